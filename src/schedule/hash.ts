// The keyed hash of the consistent schedulers: MurmurHash3_x86_32 (Austin Appleby, public domain)
// over 32-bit words, with the director's seed as its seed. It is a published function, so that a
// director in any language can agree; vectors are in test/schedule/hash.test.ts, for example
// hashText('abc', 0) = 0xb3dd93fa and hashText('Hello, world!', 0x9747b28c) = 0x24884cba.
// The seed keeps strangers from guessing who is served by which real; it is no cryptographic hash.
import type { Arrival, Schedule } from './scheduler.ts';

const encoder = new TextEncoder();

const rotate = (word: number, bits: number) => (word << bits) | (word >>> (32 - bits));

const scramble = (word: number) => Math.imul(rotate(Math.imul(word, 0xcc9e2d51), 15), 0x1b873593);

const blend = (hash: number, word: number) =>
  (Math.imul(rotate(hash ^ scramble(word), 13), 5) + 0xe6546b64) | 0;

function avalanche(hash: number, lengthBytes: number): number {
  let mixed = hash ^ lengthBytes;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}

/** Hashes one 32-bit word, as the 4 bytes of it in little-endian order. @returns int32 */
export function hashWord(word: number, seed: number): number {
  return avalanche(blend(seed | 0, word), 4);
}

/** Hashes two 32-bit words, as 8 bytes in little-endian order. @returns int32 */
export function hashWords(first: number, second: number, seed: number): number {
  return avalanche(blend(blend(seed | 0, first), second), 8);
}

/** Hashes a client's address, with its port if the schedule's flags say so. @returns int32 */
export function hashClient({ seed, hashesPort }: Schedule, arrival: Arrival): number {
  const { client, clientPort } = arrival;
  return hashesPort ? hashWords(client, clientPort, seed) : hashWord(client, seed);
}

/** Hashes a text as UTF-8. Allocates, so it is for building schedules only. @returns int32 */
export function hashText(text: string, seed: number): number {
  const bytes = encoder.encode(text);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const tailAt = bytes.length & ~3;
  let hash = seed | 0;
  for (let at = 0; at < tailAt; at += 4) hash = blend(hash, view.getInt32(at, true));
  let tail = 0;
  for (let at = bytes.length - 1; at >= tailAt; at--) tail = (tail << 8) | view.getUint8(at);
  return avalanche(hash ^ scramble(tail), bytes.length);
}
