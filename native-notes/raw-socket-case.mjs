// For show-raw-socket.sh: one way to use the package raw-socket, on the host `director`.
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
import { wireFrame } from './wire-frame.mjs';

const raw = createRequire(`${process.env.RAW_SOCKET_AT}/package.json`)('raw-socket');
const TCP = 6;
const RAW = 255;

const CASES = {
  receive: async () => {
    const socket = raw.createSocket({ protocol: TCP });
    const seen = [];
    socket.on('message', (packet) => seen.push(packet[(packet[0] & 15) * 4 + 13]));
    writeFileSync('/run/ready', '');
    await sleep(1500);
    const flags = seen.map((value) => (value === 2 ? 'SYN' : `flags ${value}`));
    console.log(`the raw socket got: ${flags.join(', ') || 'nothing'}`);
    socket.close();
  },
  send: async () => {
    const socket = raw.createSocket({ protocol: RAW });
    socket.setOption(raw.SocketLevel.IPPROTO_IP, raw.SocketOption.IP_HDRINCL, 1);
    const addresses = { source: '198.51.100.1', destination: '203.0.113.1' };
    const packet = Buffer.from(wireFrame(10, addresses).subarray(14));
    packet.writeUInt16BE(0, 10);
    socket.send(packet, 0, packet.length, '203.0.113.1', (error, bytes) =>
      console.log(error?.message ?? `${bytes} bytes given to the kernel, header checksum 0`),
    );
    await sleep(500);
    socket.close();
    writeFileSync('/run/ready', '');
  },
  checksum: () => {
    const buffer = Buffer.from(new ArrayBuffer(64), 0, 4);
    const values = [0, 0x5a].map((beyond) => {
      new Uint8Array(buffer.buffer).fill(beyond, 4);
      return raw.createChecksum({ buffer, offset: 2, length: 4 });
    });
    const verdict = values[0] === values[1] ? 'the bytes beyond do not count' : 'it read beyond';
    console.log(`${values.join(' and ')}: ${verdict}`);
    writeFileSync('/run/ready', '');
  },
};

await CASES[process.argv[2]]();
process.exit();
