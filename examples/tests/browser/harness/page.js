// The page's end in the browser tests: `window.page`, called by the tests over WebDriver.
'use strict';
{
  /** The longest wait of one call; the test says which call it was. */
  const PATIENCE = 30000;

  /** Bytes that may wait in a channel that is pumped. */
  const HIGH = 1 << 20;
  const LOW = 256 << 10;

  let pc = null;
  let channels = new Map(); // by label
  let candidates = [];

  // --- the connection --------------------------------------------------------------------------

  /** A new connection; what was before it is closed. */
  function fresh(config) {
    pc?.close();
    pc = new RTCPeerConnection(config ?? {});
    channels = new Map();
    candidates = [];
    pc.ondatachannel = ({ channel }) => {
      const known = channels.get(channel.label);
      if (known?.dc === null) known.attach(channel);
      else channels.set(channel.label, new Channel(channel));
    };
    pc.onicecandidate = ({ candidate }) => candidates.push(candidate?.toJSON() ?? { candidate: '' });
  }

  /** Makes an offer or answer with all its candidates, or at once if they are to trickle. */
  async function describe(trickle) {
    await pc.setLocalDescription();
    if (!trickle) await gathered();
    return pc.localDescription.toJSON();
  }

  function gathered() {
    return until(pc, 'icegatheringstatechange', () => pc.iceGatheringState === 'complete');
  }

  async function answer(offer, trickle) {
    await pc.setRemoteDescription(offer);
    return describe(trickle);
  }

  // --- channels --------------------------------------------------------------------------------

  class Channel {
    constructor(dc) {
      this.queue = [];
      this.waiting = [];
      this.dc = null;
      this.opened = new Promise((resolve, reject) => { this.open = resolve; this.fail = reject; });
      this.opened.catch(() => {});
      this.closed = new Promise((resolve) => { this.close = resolve; });
      if (dc) this.attach(dc);
    }

    attach(dc) {
      this.dc = dc;
      dc.binaryType = 'arraybuffer';
      dc.onmessage = ({ data }) => {
        const waiting = this.waiting.shift();
        if (waiting) waiting(data);
        else this.queue.push(data);
      };
      dc.onclose = () => { this.close(); this.fail(new Error(`${dc.label} closed`)); };
      if (dc.readyState === 'open') this.open();
      else dc.onopen = this.open;
    }

    /** The next message. */
    next() {
      if (this.queue.length > 0) return Promise.resolve(this.queue.shift());
      return new Promise((resolve) => { this.waiting.push(resolve); });
    }
  }

  function create(label, options) {
    channels.set(label, new Channel(pc.createDataChannel(label, options ?? {})));
  }

  /** The channel of that name, which either end may have created, open. */
  async function channel(label) {
    if (!channels.has(label)) channels.set(label, new Channel(null));
    const wanted = channels.get(label);
    await within(wanted.opened, `${label} to open`);
    return wanted;
  }

  async function send(label, data) {
    (await channel(label)).dc.send(data);
  }

  async function next(label) {
    return within((await channel(label)).next(), `a message on ${label}`);
  }

  async function echo(label, data) {
    await send(label, data);
    return next(label);
  }

  async function closed(label) {
    await within(channels.get(label).closed, `${label} to close`);
  }

  // --- messages --------------------------------------------------------------------------------

  /** Bytes that both ends know. */
  function bytes(length) {
    return new Uint8Array(length).map((_, i) => i * 31 + 7);
  }

  function same(a, b) {
    if (typeof a === 'string' || typeof b === 'string') return a === b;
    const [x, y] = [new Uint8Array(a), new Uint8Array(b)];
    return x.length === y.length && x.every((byte, i) => byte === y[i]);
  }

  /** A message of `size` bytes with its number first and last. */
  function numbered(size, number) {
    const view = new DataView(new ArrayBuffer(size));
    view.setBigUint64(0, BigInt(number), true);
    view.setBigUint64(size - 8, BigInt(number), true);
    return view.buffer;
  }

  /** Its number; -1 if it is damaged. */
  function numberOf(data, size) {
    if (data.byteLength !== size) return -1;
    const view = new DataView(data);
    const first = view.getBigUint64(0, true);
    return first === view.getBigUint64(size - 8, true) ? Number(first) : -1;
  }

  /** Waits until the channel has handed on everything. */
  async function drained(dc) {
    dc.bufferedAmountLowThreshold = 0;
    await until(dc, 'bufferedamountlow', () => dc.bufferedAmount === 0 || dc.readyState !== 'open');
  }

  /** Sends numbered messages for as long as `more(count)` says, then "end"; how many. */
  async function pump(label, size, more) {
    const { dc } = await channel(label);
    dc.bufferedAmountLowThreshold = LOW;
    let count = 0;
    while (more(count)) {
      if (dc.bufferedAmount > HIGH) {
        await new Promise((resolve) => { dc.onbufferedamountlow = resolve; });
      }
      // The event loop must see what else happens.
      if (count % 16 === 15) await new Promise((resolve) => { setTimeout(resolve); });
      dc.send(numbered(size, count));
      count += 1;
    }
    dc.send('end');
    return count;
  }

  /** Takes numbered messages until "end"; counts, and what was wrong with them. */
  async function collect(label, size) {
    const from = await channel(label);
    const seen = { count: 0, bad: 0, gaps: 0, backwards: 0, repeated: 0 };
    const numbers = new Set();
    let expected = 0;
    for (;;) {
      const data = from.queue.length > 0 ? from.queue.shift() : await from.next();
      if (data === 'end') break;
      const number = numberOf(data, size);
      if (number < 0) seen.bad += 1;
      else if (numbers.has(number)) seen.repeated += 1;
      if (number !== expected) seen.gaps += 1;
      if (number < expected) seen.backwards += 1;
      numbers.add(number);
      expected = number + 1;
      seen.count += 1;
    }
    return seen;
  }

  // --- waiting ---------------------------------------------------------------------------------

  function within(promise, what) {
    return Promise.race([promise, new Promise((_, reject) => {
      setTimeout(() => reject(new Error(`waited ${PATIENCE} ms for ${what}`)), PATIENCE);
    })]);
  }

  function until(target, event, done) {
    return within(new Promise((resolve) => {
      const look = () => { if (done()) resolve(); };
      target.addEventListener(event, look);
      look();
    }), event);
  }

  window.page = {
    fresh, describe, gathered, answer, create, channel, send, next, echo, closed, bytes, same, numbered, drained, pump,
    collect,
    get pc() { return pc; },
    get dc() { return Object.fromEntries([...channels].map(([label, { dc }]) => [label, dc])); },
    takeCandidates: () => candidates.splice(0),
  };
}
