// The page's side. `window.peerloom` is what the buttons call, and what the browser tests call.
'use strict';
{
  const $ = (id) => document.getElementById(id);

  /** Bytes that may wait in the page's own channel, and where it goes on. */
  const HIGH = 4 << 20;
  const LOW = 1 << 20;
  /** The other end announces 256 KiB; Chromium's limit is the same. */
  const LARGE = 256 << 10;

  /** Bytes that arrived in each direction since the plot last looked. */
  const counters = window.plot.start();

  let session = null; // { pc, id, echo, flow, waiting, running, timer }

  // --- connecting ------------------------------------------------------------------------------

  /**
   * Connects. `offerer`: 'page' or 'native'; `setup`: the native end's DTLS role in an answer,
   * 'active' or 'passive'; `media`: offer audio and video too, which the native end rejects.
   */
  async function connect({ offerer = 'page', setup = 'active', media = false } = {}) {
    await disconnect();
    showError(null);
    showState('connecting');
    const began = performance.now();
    const pc = new RTCPeerConnection();
    const mine = { pc, id: null, waiting: [], running: null, began };
    session = mine;
    pc.onconnectionstatechange = () => {
      if (session === mine) showState(pc.connectionState);
      if (pc.connectionState === 'failed') lost(mine, new Error('the connection failed'));
    };
    try {
      const opening = offerer === 'page' ? offerTo(mine, setup, media) : answerTo(mine);
      await within(opening, 20000, 'no connection came about within 20 s');
      mine.setupMs = performance.now() - began;
      showState('connected');
      $('fact-setup').textContent = `${mine.setupMs.toFixed(0)} ms`;
      enable(true);
      mine.timer = setInterval(() => facts(mine).catch(() => {}), 1000);
      await facts(mine).catch(() => {});
      return { id: mine.id, setupMs: mine.setupMs };
    } catch (error) {
      if (session === mine) {
        await disconnect();
        showState('failed');
        showError(error);
      }
      throw error;
    }
  }

  /** The page offers; resolves when both channels are open. */
  async function offerTo(mine, setup, media) {
    const { pc } = mine;
    if (media) {
      pc.addTransceiver('audio');
      pc.addTransceiver('video');
    }
    const opening = Promise.all(['echo', 'flow'].map((label) => take(mine, pc.createDataChannel(label))));
    opening.catch(() => {}); // looked at below, if it comes to that
    await pc.setLocalDescription(await pc.createOffer());
    await gathered(pc);
    const reply = await post(`/api/offer?setup=${setup}`, pc.localDescription);
    mine.id = reply.id;
    await pc.setRemoteDescription(reply.description);
    return opening;
  }

  /** The native end offers; the page answers, and an answering browser is the DTLS client. */
  async function answerTo(mine) {
    const { pc } = mine;
    const opening = new Promise((resolve, reject) => {
      let missing = 2;
      pc.ondatachannel = ({ channel }) => {
        take(mine, channel).then(() => { if (--missing === 0) resolve(); }, reject);
      };
    });
    opening.catch(() => {});
    const reply = await post('/api/connections');
    mine.id = reply.id;
    await pc.setRemoteDescription(reply.description);
    await pc.setLocalDescription(await pc.createAnswer());
    await gathered(pc);
    await post(`/api/connections/${mine.id}/answer`, pc.localDescription);
    return opening;
  }

  /** Takes a channel into use; resolves when it is open. */
  function take(mine, channel) {
    channel.binaryType = 'arraybuffer';
    mine[channel.label] = channel;
    channel.onmessage = channel.label === 'echo'
      ? ({ data }) => mine.waiting.shift()?.resolve(data)
      : ({ data }) => mine.running?.message(data);
    return new Promise((resolve, reject) => {
      const closed = () => {
        const error = new Error(`channel "${channel.label}" closed`);
        reject(error);
        lost(mine, error);
      };
      if (channel.readyState === 'open') resolve();
      channel.onopen = resolve;
      channel.onerror = ({ error }) => { if (session === mine) showError(error); };
      channel.onclose = closed;
    });
  }

  async function disconnect() {
    const old = session;
    session = null;
    enable(false);
    if (!old) return;
    clearInterval(old.timer);
    lost(old, new Error('disconnected'));
    old.pc.close();
    for (const fact of document.querySelectorAll('#facts dd')) fact.textContent = '–';
    if (old.id !== null) {
      await fetch(`/api/connections/${old.id}`, { method: 'DELETE' }).catch(() => {});
    }
    showState('new');
  }

  /** Ends whatever waits for the connection. */
  function lost(mine, error) {
    for (const waiting of mine.waiting.splice(0)) waiting.reject(error);
    mine.running?.fail(error);
    if (session === mine) enable(false);
  }

  function gathered(pc) {
    if (pc.iceGatheringState === 'complete') return Promise.resolve();
    return new Promise((resolve) => {
      pc.addEventListener('icegatheringstatechange', () => {
        if (pc.iceGatheringState === 'complete') resolve();
      });
    });
  }

  // --- echo ------------------------------------------------------------------------------------

  /** Sends a string or an ArrayBuffer; resolves to what comes back. */
  function echo(data) {
    const mine = connected();
    return new Promise((resolve, reject) => {
      mine.waiting.push({ resolve, reject });
      try {
        mine.echo.send(data);
      } catch (error) {
        mine.waiting.pop();
        reject(error);
      }
    });
  }

  async function echoAndLog(data, name) {
    try {
      const began = performance.now();
      const back = await echo(data);
      const took = performance.now() - began;
      log(same(data, back) ? name : `${name}: came back changed`, `${took.toFixed(1)} ms`);
    } catch (error) {
      showError(error);
    }
  }

  function same(a, b) {
    if (typeof a === 'string' || typeof b === 'string') return a === b;
    const [x, y] = [new Uint8Array(a), new Uint8Array(b)];
    return x.length === y.length && x.every((byte, i) => byte === y[i]);
  }

  function log(text, note) {
    const line = document.createElement('li');
    for (const part of [text, note]) {
      const span = document.createElement('span');
      span.textContent = part;
      line.append(span);
    }
    $('echo-log').prepend(line);
    while ($('echo-log').children.length > 50) $('echo-log').lastChild.remove();
  }

  // --- throughput ------------------------------------------------------------------------------

  /**
   * Lets the native end send `size` bytes at a time for `secs`, `rate` messages a second or as
   * fast as it can. Resolves to what arrived and what was sent.
   */
  function download({ size = 65535, secs = 5, rate = null } = {}) {
    const result = {
      received: 0, bytes: 0, bad: 0, gaps: 0, maxStallMs: 0, stalls200: 0, firstMs: null, lastMs: null,
    };
    return run({ cmd: 'download', size, secs, rate }, (data, finish) => {
      if (typeof data === 'string') {
        const note = JSON.parse(data);
        if (note.note === 'sent') {
          const span = (result.lastMs - result.firstMs) / 1000;
          const rateSeen = span > 0 ? (result.bytes - size) / span / 1e6 : 0;
          finish({ ...result, sent: note, secs: span, MBps: rateSeen });
        }
        return note;
      }
      const now = performance.now();
      if (result.lastMs !== null) {
        const gap = now - result.lastMs;
        result.maxStallMs = Math.max(result.maxStallMs, gap);
        if (gap > 200) result.stalls200 += 1;
      }
      result.firstMs ??= now;
      result.lastMs = now;
      check(data, size, result);
      result.received += 1;
      result.bytes += data.byteLength;
      counters.down += data.byteLength;
      return null;
    });
  }

  /** Sends `size` bytes at a time for `secs`. Resolves to what the native end counted. */
  function upload({ size = 65535, secs = 5 } = {}) {
    let sent = 0;
    let counted = 0;
    const done = run({ cmd: 'upload', size }, (data, finish) => {
      const note = JSON.parse(data);
      if (note.note === 'progress') {
        counters.up += note.bytes - counted;
        counted = note.bytes;
      } else if (note.note === 'received') {
        finish({ ...note, sent, MBps: note.secs > 0 ? note.bytes / note.secs / 1e6 : 0 });
      }
      return note;
    });
    const { flow, running } = session;
    flow.bufferedAmountLowThreshold = LOW;
    const end = performance.now() + secs * 1000;
    const message = new Uint8Array(size);
    const view = new DataView(message.buffer);
    const push = () => {
      if (session?.running !== running) return;
      while (flow.bufferedAmount < HIGH) {
        if (performance.now() >= end || running.stopped) {
          flow.onbufferedamountlow = null;
          flow.send(JSON.stringify({ cmd: 'uploaded', count: sent }));
          return;
        }
        view.setBigUint64(0, BigInt(sent), true);
        view.setBigUint64(size - 8, BigInt(sent), true);
        flow.send(message);
        sent += 1;
      }
    };
    flow.onbufferedamountlow = push;
    running.kick = push;
    try {
      push();
    } catch (error) {
      running.fail(error);
    }
    return done;
  }

  /** One run on the flow channel: sends the command, hands on what comes, until it is finished. */
  function run(command, handle) {
    const mine = connected();
    if (mine.running) throw new Error('a measurement is running already');
    return new Promise((resolve, reject) => {
      const end = (settle) => (value) => {
        mine.running = null;
        if (session === mine) enable(true);
        settle(value);
      };
      const running = {
        stopped: false,
        fail: end(reject),
        message: (data) => {
          try {
            const note = handle(data, end(resolve));
            if (note?.note === 'error') end(reject)(new Error(note.why));
          } catch (error) {
            end(reject)(error);
          }
        },
      };
      mine.running = running;
      enable(true);
      try {
        mine.flow.send(JSON.stringify(command));
      } catch (error) {
        running.fail(error);
      }
    });
  }

  function stop() {
    if (!session?.running) return;
    session.running.stopped = true;
    session.running.kick?.();
    session.flow.send(JSON.stringify({ cmd: 'stop' }));
  }

  /** The number of a message stands first and last; in order and without holes they count up. */
  function check(data, size, result) {
    const view = new DataView(data);
    const whole = data.byteLength === size && size >= 16
      && view.getBigUint64(0, true) === view.getBigUint64(size - 8, true);
    if (!whole) {
      result.bad += 1;
    } else if (view.getBigUint64(0, true) !== BigInt(result.received)) {
      result.gaps += 1;
    }
  }

  async function measure(start, name) {
    const size = Number($('size').value);
    const secs = Number($('secs').value);
    const rate = $('rate').value === '' ? null : Number($('rate').value);
    $('flow-result').textContent = `${name} …`;
    try {
      const r = await start({ size, secs, rate });
      const sent = r.sent.count ?? r.sent;
      const received = r.received ?? r.count;
      const stall = r.maxStallMs ?? r.max_stall_ms;
      $('flow-result').textContent = `${name}: ${r.MBps.toFixed(1)} MB/s, ${received.toLocaleString('en')} of `
        + `${sent.toLocaleString('en')} messages arrived, ${r.gaps} out of order, ${r.bad} damaged, `
        + `longest pause ${stall.toFixed(0)} ms`;
    } catch (error) {
      $('flow-result').textContent = `${name}: ${error.message}`;
    }
  }

  // --- what the native end says ------------------------------------------------------------------

  /** The native end's state and counters. */
  async function stats() {
    return get(`/api/connections/${connected().id}`);
  }

  async function facts(mine) {
    const native = await get(`/api/connections/${mine.id}`);
    if (session !== mine) return;
    const local = await mine.pc.getStats();
    const pair = [...local.values()].find((s) => s.type === 'candidate-pair' && s.nominated && s.state === 'succeeded');
    const remote = pair && local.get(pair.remoteCandidateId);
    $('fact-rtt').textContent = pair?.currentRoundTripTime === undefined
      ? '–' : `${(pair.currentRoundTripTime * 1000).toFixed(1)} ms`;
    $('fact-pair').textContent = remote ? `${remote.address ?? '?'}:${remote.port} (${remote.candidateType})` : '–';
    $('fact-dtls').textContent = native.dtls ?? '–';
    $('fact-srtp').textContent = native.srtp_profile ?? 'none';
  }

  // --- helpers ---------------------------------------------------------------------------------

  function connected() {
    if (!session?.echo || session.echo.readyState !== 'open') throw new Error('not connected');
    return session;
  }

  async function get(path) {
    return answerOf(await fetch(path));
  }

  async function post(path, body) {
    return answerOf(await fetch(path, {
      method: 'POST',
      headers: body ? { 'content-type': 'application/json' } : {},
      body: body ? JSON.stringify(body) : undefined,
    }).catch(() => { throw new Error('the native process does not answer'); }));
  }

  async function answerOf(response) {
    const text = await response.text();
    if (!response.ok) throw new Error(`${response.status}: ${text.trim() || response.statusText}`);
    return text === '' ? null : JSON.parse(text);
  }

  function within(promise, ms, why) {
    return Promise.race([promise, new Promise((_, reject) => {
      setTimeout(() => reject(new Error(why)), ms);
    })]);
  }

  // --- showing ---------------------------------------------------------------------------------

  const NAMES = { new: 'not connected', closed: 'not connected' };

  function showState(state) {
    $('state').dataset.state = state === 'closed' ? 'new' : state;
    $('state').textContent = NAMES[state] ?? state;
  }

  function showError(error) {
    $('error').hidden = !error;
    $('error').textContent = error ? error.message : '';
  }

  function enable(on) {
    const busy = on && session?.running;
    for (const id of ['echo-send', 'echo-large']) $(id).disabled = !on;
    for (const id of ['download', 'upload']) $(id).disabled = !on || Boolean(busy);
    $('stop').disabled = !busy;
    $('connect').disabled = on;
    $('disconnect').disabled = !session;
    const native = $('offerer').value === 'native';
    $('offerer').disabled = on;
    for (const id of ['setup', 'media']) $(id).disabled = on || native;
  }

  // --- wiring ----------------------------------------------------------------------------------

  $('connect').onclick = () => {
    const options = { offerer: $('offerer').value, setup: $('setup').value, media: $('media').checked };
    $('connect').disabled = true;
    connect(options).catch(() => {}); // shown already
  };
  $('disconnect').onclick = () => disconnect();
  $('offerer').onchange = () => {
    // An answering browser is always the client, and only the page can offer media here.
    const native = $('offerer').value === 'native';
    $('setup').value = native ? 'passive' : 'active';
    enable(false);
  };
  $('download').onclick = () => measure(download, 'Native to page');
  $('upload').onclick = () => measure(upload, 'Page to native');
  $('stop').onclick = stop;
  $('echo-form').onsubmit = (event) => {
    event.preventDefault();
    echoAndLog($('echo-text').value, $('echo-text').value || '(empty)');
  };
  $('echo-large').onclick = () => {
    const data = new Uint8Array(LARGE).map((_, i) => i * 31 + 7);
    echoAndLog(data.buffer, '256 KiB');
  };
  window.addEventListener('pagehide', () => { session?.pc.close(); });

  window.peerloom = {
    connect, disconnect, echo, same, download, upload, stop, stats,
    get state() { return session?.pc.connectionState ?? 'new'; },
    get description() { return session?.pc.remoteDescription?.sdp ?? null; },
    get transceivers() { return session?.pc.getTransceivers() ?? []; },
  };
}
