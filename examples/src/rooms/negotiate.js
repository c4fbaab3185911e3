// Perfect negotiation (W3C WebRTC §10.7) over a room of the `signalling` program. The other end is
// a page that does the same, or a native `Negotiator`.
//
//   const room = await join("tea");            // resolves when both are there
//   const pc = new RTCPeerConnection();
//   negotiate(pc, room);                       // at once: signals may come from now on
//   const channel = pc.createDataChannel("…"); // asks for the offer by itself

// Enters a room of this page's server; rejects when it is full or closed.
export const join = (name, server = location.origin) =>
  new Promise((resolve, reject) => {
    const socket = new WebSocket(`${server.replace(/^http/, "ws")}/rooms/${name}`);
    socket.onmessage = ({ data }) => resolve({ socket, polite: JSON.parse(data).polite });
    socket.onclose = () => reject(new Error("the room is full or closed"));
  });

export function negotiate(pc, { socket, polite }) {
  const send = (signal) => socket.readyState === WebSocket.OPEN && socket.send(JSON.stringify(signal));
  let makingOffer = false;
  let ignoreOffer = false;
  let settingAnswer = false;

  pc.onicecandidate = ({ candidate }) => send({ candidate });
  pc.onnegotiationneeded = async () => {
    try {
      makingOffer = true;
      await pc.setLocalDescription();
      send({ description: pc.localDescription });
    } finally {
      makingOffer = false;
    }
  };
  pc.oniceconnectionstatechange = () => pc.iceConnectionState === "failed" && pc.restartIce();

  socket.onmessage = async ({ data }) => {
    const { description, candidate } = JSON.parse(data);
    if (description) {
      const ready = !makingOffer && (pc.signalingState === "stable" || settingAnswer);
      ignoreOffer = !polite && description.type === "offer" && !ready;
      if (ignoreOffer) return;
      settingAnswer = description.type === "answer";
      await pc.setRemoteDescription(description);
      settingAnswer = false;
      if (description.type === "offer") {
        await pc.setLocalDescription();
        send({ description: pc.localDescription });
      }
    } else {
      await pc.addIceCandidate(candidate).catch((error) => {
        if (!ignoreOffer) throw error;
      });
    }
  };
}
