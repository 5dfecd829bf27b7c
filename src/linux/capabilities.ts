// Which privileges the process has. The kernel decides by capabilities, not by the user id, so this
// asks for them alone (capabilities(7)). A child process does not inherit them as they are: it gets
// the ambient ones, or, as root, those of the bounding set.
import { readFileSync } from 'node:fs';

/** Bit numbers of include/uapi/linux/capability.h. */
const CAP_NET_ADMIN = 12n;
const CAP_NET_RAW = 13n;
const CAP_SYS_ADMIN = 21n;
const CAP_BPF = 39n;

export interface Capabilities {
  /** May open packet sockets. */
  readonly netRaw: boolean;
  /** May change the network: addresses, rules, the guard. */
  readonly netAdmin: boolean;
  /** A program that this process starts, such as nft, may change the network too. */
  readonly childNetAdmin: boolean;
  /** May load eBPF programs; those for frames need `netAdmin` too. */
  readonly bpf: boolean;
}

/** Parses /proc/PID/status. A line that is missing counts as no capabilities. */
export function parseCapabilities(status: string): Capabilities {
  const mask = (field: string) =>
    BigInt(`0x${new RegExp(`^${field}:\\s*([0-9a-f]+)$`, 'm').exec(status)?.[1] ?? '0'}`);
  const effectiveUser = /^Uid:\s*\d+\s+(\d+)/m.exec(status)?.[1];
  const effective = mask('CapEff');
  const inherited = effectiveUser === '0' ? mask('CapBnd') : mask('CapAmb');
  const has = (set: bigint, bit: bigint) => ((set >> bit) & 1n) === 1n;
  return {
    netRaw: has(effective, CAP_NET_RAW),
    netAdmin: has(effective, CAP_NET_ADMIN),
    childNetAdmin: has(inherited, CAP_NET_ADMIN),
    bpf: has(effective, CAP_BPF) || has(effective, CAP_SYS_ADMIN),
  };
}

/** The capabilities of this process. */
export function readCapabilities(): Capabilities {
  return parseCapabilities(readFileSync('/proc/self/status', 'utf8'));
}
