// The page's end of `chat`: enters the room named in the address, and talks to whoever comes.
import { join, negotiate } from '/negotiate.js';

const $ = (id) => document.getElementById(id);
const room = new URLSearchParams(location.search).get('room') ?? 'room';
let channel = null;

function show(text, kind) {
  const line = document.createElement('li');
  line.textContent = text;
  line.className = kind;
  $('lines').append(line);
  line.scrollIntoView();
}

async function meet() {
  show('waiting for somebody', 'note');
  const place = await join(room);
  const pc = new RTCPeerConnection();
  negotiate(pc, place);
  await new Promise((resolve) => {
    const use = (it) => {
      channel = it;
      channel.onmessage = ({ data }) => show(typeof data === 'string' ? data : `(${data.byteLength ?? data.size} bytes)`, 'theirs');
      channel.onclose = resolve;
      if (channel.readyState === 'open') show('connected', 'note');
      else channel.onopen = () => show('connected', 'note');
    };
    // Who came second creates the channel, so that not both offer at once.
    if (place.polite) pc.ondatachannel = ({ channel: it }) => use(it);
    else use(pc.createDataChannel('chat'));
    pc.addEventListener('connectionstatechange', () => pc.connectionState === 'failed' && resolve());
  });
  show('the other end has left', 'note');
  pc.close();
  place.socket.close();
}

$('form').onsubmit = (event) => {
  event.preventDefault();
  if (channel?.readyState !== 'open') return show('nobody is here', 'note');
  channel.send($('text').value);
  show($('text').value, 'ours');
  $('text').value = '';
};

for (;;) {
  try {
    await meet();
  } catch (error) {
    show(error.message, 'note');
    await new Promise((resolve) => { setTimeout(resolve, 1000); });
  }
}
