// Offers, receives both channels, and shows what arrived before what.
const show = (id, text) => { document.getElementById(id).textContent = text; };

const connection = new RTCPeerConnection();
// Only so that the offer has a section for data; the other end opens the channels.
connection.createDataChannel("offer");
let all = 0, over = 0, next = 0, overtaking = 0, last = performance.now();

function control(event) {
  // How many large messages were sent before this one.
  const sent = Number(event.data);
  all += 1;
  if (sent > next) {
    over += 1;
    overtaking += 1;
  }
  show("all", all);
  show("over", over);
}

function bulk(event) {
  const number = new DataView(event.data).getUint32(0);
  const row = document.getElementById("rows").insertRow(0);
  const now = performance.now();
  row.insertCell().textContent = number;
  row.insertCell().textContent = (now - last).toFixed(0);
  row.insertCell().textContent = "|".repeat(overtaking) || "none";
  if (document.getElementById("rows").rows.length > 50) document.getElementById("rows").deleteRow(50);
  next = number + 1;
  overtaking = 0;
  last = now;
}

connection.ondatachannel = ({ channel }) => {
  channel.binaryType = "arraybuffer";
  channel.onmessage = channel.label === "bulk" ? bulk : control;
};
connection.onconnectionstatechange = () => show("state", connection.connectionState);

await connection.setLocalDescription();
await new Promise((done) => {
  const check = () => connection.iceGatheringState === "complete" && done();
  connection.onicegatheringstatechange = check;
  check();
});
const response = await fetch("/api/offer", {
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify(connection.localDescription),
});
if (response.ok) await connection.setRemoteDescription(await response.json());
else show("state", await response.text());
