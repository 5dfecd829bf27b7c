// eBPF through bpf(2): maps, programs, and where programs are attached (include/uapi/linux/bpf.h).
// Needs CAP_BPF and CAP_NET_ADMIN. All that is opened here ends with its descriptor, so nothing of
// it outlives the process, however that ends.
import type { Libc } from './libc-unsafe.ts';
import {
  fail,
  mapScratch,
  mapShared,
  REFUSAL,
  type Releases,
  type Scratch,
} from './packet-socket-unsafe.ts';

/** Number of the system call, by architecture. */
const SYSCALL: Partial<Record<string, number>> = { x64: 321, arm64: 280 };

const BPF_MAP_CREATE = 0;
const BPF_MAP_UPDATE_ELEM = 2;
const BPF_MAP_DELETE_ELEM = 3;
const BPF_PROG_LOAD = 5;
const BPF_LINK_CREATE = 28;

/** No room: the table is full, the entry is in use on another processor, or there is no memory. */
const [ENOENT, E2BIG, EBUSY, ENOMEM] = [2, 7, 16, 12];
const NO_ROOM = [E2BIG, EBUSY, ENOMEM];

const BPF_MAP_TYPE_HASH = 1;
const BPF_MAP_TYPE_ARRAY = 2;
const BPF_MAP_TYPE_PERCPU_ARRAY = 6;
const BPF_F_MMAPABLE = 1 << 10;

/** What a program is for. */
export const SOCKET_FILTER = 1;
export const SCHED_CLS = 3;

const BPF_TCX_INGRESS = 46;
const BPF_F_BEFORE = 1 << 3;

/** Bytes of union bpf_attr that the commands here fill; the rest of what is handed over is zero. */
const ATTRIBUTE_BYTES = 128;
/** For the longest program: 4,096 instructions of classic BPF become some 9,000. */
const ROOM_BYTES = 256 * 1024;
const NAME_BYTES = 15;
/** Of the verifier's words, how much an error shows. */
const LOG_BYTES = 16 * 1024;
const LOG_SHOWN = 400;

/** What a thread needs to make bpf(2) calls: room for their arguments. */
export interface Bpf {
  readonly libc: Libc;
  readonly number: number;
  readonly room: Scratch;
  readonly bytes: Uint8Array;
}

/** An array of the kernel's that is mapped here too: both sides read and write the same bytes. */
export interface MappedArray {
  readonly fd: number;
  readonly view: ArrayBuffer;
}

/** @throws Error where this architecture's number of bpf(2) is not known */
export function openBpf(libc: Libc, releases: Releases): Bpf {
  const number = SYSCALL[process.arch];
  if (number === undefined) refuse(`its number is not known for ${process.arch}`);
  const room = mapScratch(libc, ROOM_BYTES, releases);
  return { libc, number, room, bytes: new Uint8Array(room.view.buffer) };
}

/** Calls bpf(2) with the attributes at the beginning of the room; gives what the kernel gives. */
function call({ libc, number, room }: Bpf, command: number): number {
  return Number(libc.syscall(number, command, room.address, ATTRIBUTE_BYTES));
}

function begin({ bytes, room }: Bpf): DataView {
  bytes.fill(0, 0, ATTRIBUTE_BYTES);
  return room.view;
}

function setName({ bytes }: Bpf, at: number, name: string): void {
  bytes.set(new TextEncoder().encode(name.slice(0, NAME_BYTES)), at);
}

export interface MapLayout {
  readonly name: string;
  readonly keyBytes: number;
  /** A multiple of eight. */
  readonly valueBytes: number;
  readonly entries: number;
}

/** A hash table, with room for all its entries from the start. */
export function createHash(bpf: Bpf, layout: MapLayout, releases: Releases): number {
  return createMap(bpf, BPF_MAP_TYPE_HASH, layout, 0, releases);
}

/** An array of entries, all zero, that this process sees as memory. */
export function createMappedArray(
  bpf: Bpf,
  layout: Omit<MapLayout, 'keyBytes'>,
  releases: Releases,
): MappedArray {
  const whole = { ...layout, keyBytes: 4 };
  const fd = createMap(bpf, BPF_MAP_TYPE_ARRAY, whole, BPF_F_MMAPABLE, releases);
  return { fd, view: mapShared(bpf.libc, fd, layout.valueBytes * layout.entries, releases) };
}

/** An array that each processor has for itself. */
export function createOwnArrays(
  bpf: Bpf,
  layout: Omit<MapLayout, 'keyBytes'>,
  releases: Releases,
): number {
  return createMap(bpf, BPF_MAP_TYPE_PERCPU_ARRAY, { ...layout, keyBytes: 4 }, 0, releases);
}

function createMap(
  bpf: Bpf,
  type: number,
  { name, keyBytes, valueBytes, entries }: MapLayout,
  flags: number,
  releases: Releases,
): number {
  const view = begin(bpf);
  for (const [index, word] of [type, keyBytes, valueBytes, entries, flags].entries()) {
    view.setUint32(index * 4, word, true);
  }
  setName(bpf, 28, name);
  const fd = call(bpf, BPF_MAP_CREATE);
  if (fd < 0) refuse(`map ${name} of ${entries} entries: ${errorOf(bpf)}`);
  releases.push(() => bpf.libc.close(fd));
  return fd;
}

/** Where key and value of a call lie in the room. */
const KEY_AT = ATTRIBUTE_BYTES;
const VALUE_AT = ATTRIBUTE_BYTES + 64;

/** Puts an entry into a hash table; false if there is no room for it. Both are copied at once. */
export function updateElement(bpf: Bpf, fd: number, key: Uint8Array, value: Uint8Array): boolean {
  layKey(bpf, fd, key).setBigUint64(16, bpf.room.address + BigInt(VALUE_AT), true);
  bpf.bytes.set(value, VALUE_AT);
  if (call(bpf, BPF_MAP_UPDATE_ELEM) === 0) return true;
  if (!NO_ROOM.includes(bpf.libc.errno())) fail(bpf.libc, 'BPF_MAP_UPDATE_ELEM');
  return false;
}

/**
 * Takes an entry out, if it is there.
 * @throws Error if the kernel refuses: it would go on with what the entry says
 */
export function deleteElement(bpf: Bpf, fd: number, key: Uint8Array): void {
  layKey(bpf, fd, key);
  if (call(bpf, BPF_MAP_DELETE_ELEM) === 0 || bpf.libc.errno() === ENOENT) return;
  fail(bpf.libc, 'BPF_MAP_DELETE_ELEM');
}

/** What a command does not use must be zero. */
function layKey(bpf: Bpf, fd: number, key: Uint8Array): DataView {
  const view = begin(bpf);
  view.setUint32(0, fd, true);
  view.setBigUint64(8, bpf.room.address + BigInt(KEY_AT), true);
  bpf.bytes.set(key, KEY_AT);
  return view;
}

/**
 * Loads a program.
 * @param type SOCKET_FILTER or SCHED_CLS
 * @param program instructions of eight bytes each
 * @throws Error with the end of what the kernel's verifier said
 */
export function loadProgram(
  bpf: Bpf,
  type: number,
  name: string,
  program: Uint8Array,
  releases: Releases,
): number {
  const { libc, bytes, room } = bpf;
  const view = begin(bpf);
  const licenseAt = ATTRIBUTE_BYTES;
  const logAt = ATTRIBUTE_BYTES + 16;
  const programAt = logAt + LOG_BYTES;
  if (programAt + program.length > ROOM_BYTES) throw new RangeError('the program is too long');
  bytes.fill(0, licenseAt, logAt + 1);
  bytes.set(new TextEncoder().encode('MIT'), licenseAt);
  bytes.set(program, programAt);
  view.setUint32(0, type, true);
  view.setUint32(4, program.length / 8, true);
  view.setBigUint64(8, room.address + BigInt(programAt), true);
  view.setBigUint64(16, room.address + BigInt(licenseAt), true);
  setName(bpf, 48, name);
  let fd = call(bpf, BPF_PROG_LOAD);
  if (fd < 0) {
    view.setUint32(24, 1, true);
    view.setUint32(28, LOG_BYTES, true);
    view.setBigUint64(32, room.address + BigInt(logAt), true);
    fd = call(bpf, BPF_PROG_LOAD);
  }
  if (fd < 0) {
    const error = errorOf(bpf);
    const said = new TextDecoder().decode(bytes.slice(logAt, bytes.indexOf(0, logAt)));
    refuse(`program ${name}: ${error}: ${said.trim().slice(-LOG_SHOWN)}`);
  }
  releases.push(() => libc.close(fd));
  return fd;
}

/**
 * Runs a SCHED_CLS program on each frame that comes in on an interface, before all that others have
 * there: tcx, since Linux 6.6.
 */
export function attachToIngress(
  bpf: Bpf,
  program: number,
  interfaceIndex: number,
  releases: Releases,
): void {
  const view = begin(bpf);
  view.setUint32(0, program, true);
  view.setUint32(4, interfaceIndex, true);
  view.setUint32(8, BPF_TCX_INGRESS, true);
  view.setUint32(12, BPF_F_BEFORE, true);
  const fd = call(bpf, BPF_LINK_CREATE);
  if (fd < 0) {
    refuse(`program on interface ${interfaceIndex} (tcx, Linux 6.6 or later): ${errorOf(bpf)}`);
  }
  releases.push(() => bpf.libc.close(fd));
}

const errorOf = ({ libc }: Bpf): string => libc.nameOf(libc.errno());

/** Nothing but the flow cache needs this, and everything goes without one. */
function refuse(what: string): never {
  const advice = 'to do without the flow cache, set "datapath: ring"';
  throw Object.assign(new Error(`bpf(2), ${what}; ${advice}`), { name: REFUSAL });
}
