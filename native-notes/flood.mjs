// For show-cap.sh: sends many small frames (flood.mjs INTERFACE small COUNT) or one super-frame of
// four segments (flood.mjs INTERFACE super).
import { openSocket, send } from './packet-sockets.mjs';
import { superFrame, wireFrame } from './wire-frame.mjs';

const [interfaceName, kind, count] = process.argv.slice(2);
if (kind === 'super') {
  send(openSocket(interfaceName, { options: { vnetHeader: 1 } }), [superFrame(4000, 1000)]);
} else {
  const fd = openSocket(interfaceName, { options: { qdiscBypass: 1 } });
  const batch = Array.from({ length: 64 }, () => wireFrame(18));
  for (let sent = 0; sent < Number(count); sent += batch.length) send(fd, batch);
}
