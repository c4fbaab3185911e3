// The page's end of `send-file`: enters the room named in the address, takes the file that is
// offered there, and offers the one that is chosen here. What the two say is in `mod.rs`.
import { join, negotiate } from '/negotiate.js';

const $ = (id) => document.getElementById(id);
const room = new URLSearchParams(location.search).get('room') ?? 'room';

const MESSAGE = 64 << 10;
/** Bytes that may wait in the channel, and where it goes on. */
const HIGH = 4 << 20;
const LOW = 1 << 20;
/** Bytes between two words about how much has come. */
const TELL = 1 << 20;

let channel = null;
let outgoing = null; // { file, offer }, until the other end has it
let incoming = null; // { offer, parts, bytes, told }, also over a lost connection

const say = (note) => channel.send(JSON.stringify(note));
const show = (text) => { $('state').textContent = text; };

function progress(bytes, size) {
  $('progress').value = size === 0 ? 1 : bytes / size;
}

async function hash(blob) {
  if (!crypto.subtle) throw new Error('the browser hashes only for pages from https or this machine');
  const digest = await crypto.subtle.digest('SHA-256', await blob.arrayBuffer());
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

// --- sending -----------------------------------------------------------------------------------

$('file').onchange = async () => {
  const [file] = $('file').files;
  if (!file) return;
  try {
    show(`hashing ${file.name}`);
    outgoing = { file, offer: { name: file.name, size: file.size, sha256: await hash(file) } };
    if (channel?.readyState === 'open') say({ offer: outgoing.offer });
  } catch (error) {
    show(error.message);
  }
};

async function send({ file }, offset) {
  const mine = channel;
  mine.bufferedAmountLowThreshold = LOW;
  for (let at = offset; at < file.size; at += MESSAGE) {
    if (mine.bufferedAmount > HIGH) {
      await new Promise((resolve) => { mine.onbufferedamountlow = resolve; });
    }
    const bytes = await file.slice(at, at + MESSAGE).arrayBuffer();
    if (mine.readyState !== 'open' || outgoing?.file !== file) return;
    mine.send(bytes);
  }
}

// --- receiving ---------------------------------------------------------------------------------

async function take(data) {
  if (!incoming) return;
  incoming.parts.push(data);
  incoming.bytes += data.byteLength;
  await taken();
}

async function taken() {
  const { offer, parts, bytes } = incoming;
  progress(bytes, offer.size);
  if (bytes - incoming.told >= TELL || bytes === offer.size) {
    incoming.told = bytes;
    if (offer.size > 0) say({ have: { bytes } });
  }
  if (bytes < offer.size) return;
  incoming = null;
  const blob = new Blob(parts);
  if (bytes > offer.size || await hash(blob) !== offer.sha256) {
    say({ refuse: { why: 'the hash of what came is wrong' } });
    show(`${offer.name}: the hash of what came is wrong`);
    return;
  }
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = offer.name;
  link.textContent = `save ${offer.name}`;
  $('files').append(link, document.createElement('br'));
  show(`received ${offer.name}: ${offer.size} bytes, hash verified`);
  say('done');
}

// --- both --------------------------------------------------------------------------------------

async function note(it) {
  if (it === 'done') {
    show(`sent ${outgoing?.offer.name}: ${outgoing?.offer.size} bytes, hash verified`);
    outgoing = null;
  } else if (it.offer) {
    // The same file goes on where it stopped.
    if (incoming?.offer.sha256 !== it.offer.sha256) {
      incoming = { offer: it.offer, parts: [], bytes: 0, told: 0 };
    }
    show(`receiving ${it.offer.name}`);
    say({ accept: { offset: incoming.bytes } });
    if (it.offer.size === incoming.bytes) await taken();
  } else if (it.accept) {
    show(`sending ${outgoing.offer.name}`);
    await send(outgoing, it.accept.offset);
  } else if (it.have) {
    progress(it.have.bytes, outgoing?.offer.size ?? 0);
  } else if (it.refuse) {
    show(`the other end refuses: ${it.refuse.why}`);
    outgoing = null;
  }
}

async function meet() {
  const place = await join(room);
  const pc = new RTCPeerConnection();
  negotiate(pc, place);
  await new Promise((resolve) => {
    const use = (it) => {
      channel = it;
      channel.binaryType = 'arraybuffer';
      // One after the other: a hash takes its time. A file that is sent does not hold up the notes.
      let order = Promise.resolve();
      channel.onmessage = ({ data }) => {
        const said = typeof data === 'string' ? JSON.parse(data) : null;
        const work = () => (said ? note(said) : take(data)).catch((error) => show(error.message));
        if (said?.accept) work();
        else order = order.then(work);
      };
      let open = false;
      channel.onopen = () => {
        if (open) return;
        open = true;
        show('connected');
        if (outgoing) say({ offer: outgoing.offer });
      };
      if (channel.readyState === 'open') channel.onopen();
      channel.onclose = resolve;
    };
    // Who came second creates the channel, so that not both offer at once.
    if (place.polite) pc.ondatachannel = ({ channel: it }) => use(it);
    else use(pc.createDataChannel('file'));
    pc.addEventListener('connectionstatechange', () => pc.connectionState === 'failed' && resolve());
  });
  pc.close();
  place.socket.close();
  if (incoming || outgoing) show('lost the other end, waiting for it');
}

for (;;) {
  try {
    await meet();
  } catch {
    await new Promise((resolve) => { setTimeout(resolve, 500); });
  }
}
