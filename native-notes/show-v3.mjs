// Shows when TPACKET_V2 and TPACKET_V3 hand a lone frame over: V2 slot by slot, V3 block by block,
// when a block is full or its timer ends.
import './private-wire.mjs';
import { bindTo, libc, openRing, openSocket, send, table } from './packet-sockets.mjs';
import { wireFrame } from './wire-frame.mjs';

const ROUNDS = 21;
const BLOCK_BYTES = 1 << 17;
const SLOT_BYTES = 2048;
/** The words that struct tpacket_req and tpacket_req3 begin with. */
const REQUEST = [BLOCK_BYTES, 16, SLOT_BYTES, 1024];
/** Offset of block_status in struct tpacket_block_desc. */
const BLOCK_STATUS_AT = 8;

const sender = openSocket('left');
const frame = wireFrame(100);

/** Microseconds from before a frame is sent until its status word says that it is ours. */
function handOverUs({ version, timer, statusAt, strideBytes }) {
  const fd = openSocket('right', { options: { version }, bound: false });
  const memory = openRing(fd, [...REQUEST, ...timer]);
  bindTo(fd, 'right');
  const words = new Int32Array(memory.view.buffer);
  const times = [];
  for (let round = 0; round < ROUNDS; round++) {
    const word = ((round * strideBytes) % memory.view.byteLength) / 4 + statusAt / 4;
    const started = process.hrtime.bigint();
    send(sender, [frame]);
    while ((Atomics.load(words, word) & 1) === 0);
    times.push(Number(process.hrtime.bigint() - started) / 1000);
    Atomics.store(words, word, 0);
  }
  libc.close(fd);
  return times.sort((a, b) => a - b)[ROUNDS >> 1].toFixed(0);
}

const v2 = { version: 1, statusAt: 0, strideBytes: SLOT_BYTES };
const v3 = { version: 2, statusAt: BLOCK_STATUS_AT, strideBytes: BLOCK_BYTES };
process.stdout.write(
  table([
    ['ring', 'median hand-over of a lone frame, microseconds'],
    ['V2', handOverUs({ ...v2, timer: [] })],
    // Milliseconds, bytes of private data, features.
    ['V3, block timer of 1 ms', handOverUs({ ...v3, timer: [1, 0, 0] })],
    ['V3, block timer of 10 ms', handOverUs({ ...v3, timer: [10, 0, 0] })],
  ]),
);
