// The guard behind the tap: for each arm one nft table at its ingress hook, which drops what the
// director handles before the host's own IP stack sees it. Packet sockets tap the frames earlier,
// so the director still gets them. The kernel removes the tables when their owner ends
// (nft-shell.ts). One table an arm, with a fixed name, so two directors can never work on the same
// arm.
import { type NftShell, openNft } from './nft-shell.ts';

export interface GuardedReal {
  readonly address: string;
  readonly protocol: string;
  /** Ports from one to another. */
  readonly from: number;
  readonly to: number;
}

/** What is dropped; addresses are those of both families, as text. VIPs may be prefixes. */
export interface GuardRules {
  /** All packets to these, and questions for their MAC address, are the director's. */
  readonly vips: readonly string[];
  /** Reals whose replies come back through the director. */
  readonly replies: readonly GuardedReal[];
  /** Addresses of the host, to which the reals may still answer for the host's own connections. */
  readonly own: readonly string[];
}

export interface Guard {
  /**
   * Replaces the rules of every arm, each arm in one transaction. Returns a problem, and then the
   * old ones are back on those that had taken the new ones; or undefined.
   */
  update(rules: GuardRules): Promise<string | undefined>;
  /** Takes all rules away. */
  remove(): Promise<void>;
}

export interface GuardOptions {
  /** Interface names. */
  readonly interfaces: readonly string[];
  readonly rules: GuardRules;
  /** Called if the guard vanishes without `remove`. */
  readonly onLost: () => void;
  /** The nft command; tests put `ip netns exec` before it. */
  readonly command?: readonly string[];
}

export type GuardResult =
  | { readonly ok: true; readonly guard: Guard }
  | { readonly ok: false; readonly problem: string };

/** Name of the nft table (family netdev) that guards an interface. */
export const guardTable = (name: string): string =>
  `furiwake_${name.replace(/[^A-Za-z0-9_.-]/g, '_')}`;

/** Installs the guard on all interfaces or, with a problem, on none. */
export async function installGuard(options: GuardOptions): Promise<GuardResult> {
  const { interfaces, rules, onLost, command } = options;
  let installed = false;
  const onEnd = () => {
    if (installed) onLost();
  };
  const shell = openNft({ onEnd, ...(command && { command }) });
  for (const name of interfaces) {
    const errors = await shell.run(installLine(name, rules));
    if (errors === '') continue;
    await shell.close();
    return { ok: false, problem: explain(name, errors) };
  }
  installed = true;
  let current = rules;
  return {
    ok: true,
    guard: {
      update: async (next) => {
        const problem = await update(shell, interfaces, next);
        if (problem === undefined) current = next;
        else await update(shell, interfaces, current);
        return problem;
      },
      remove: () => shell.close(),
    },
  };
}

async function update(
  shell: NftShell,
  interfaces: readonly string[],
  rules: GuardRules,
): Promise<string | undefined> {
  for (const name of interfaces) {
    const chain = `netdev ${guardTable(name)} ingress`;
    const errors = await shell.run([`flush chain ${chain}`, ...addRules(chain, rules)].join('; '));
    if (errors !== '') return `the guard on ${name} keeps its old rules: ${errors}`;
  }
  return undefined;
}

function installLine(name: string, rules: GuardRules): string {
  const table = guardTable(name);
  const chain = `netdev ${table} ingress`;
  const hook = `type filter hook ingress device "${name}" priority -300; policy accept;`;
  return [
    `create table netdev ${table} { flags owner; }`,
    `add chain ${chain} { ${hook} }`,
    ...addRules(chain, rules),
  ].join('; ');
}

/**
 * The commands that fill the chain. nft refuses an empty set, so a rule without entries is none.
 */
function addRules(chain: string, { vips, replies, own }: GuardRules): string[] {
  const matches = FAMILIES.flatMap(({ word, has, asked }): string[] => {
    const vipsHere = vips.filter(has);
    const repliesHere = replies.filter(({ address }) => has(address));
    return [
      // The host would otherwise answer for a VIP by proxy ARP or NDP.
      ...(vipsHere.length > 0 ? [`${word} daddr ${setOf(vipsHere)}`, asked(vipsHere)] : []),
      ...(repliesHere.length > 0 ? [matchReplies(word, repliesHere, own.filter(has))] : []),
    ];
  });
  return matches.map((match) => `add rule ${chain} ${match} drop`);
}

const isIpv6 = (address: string): boolean => address.includes(':');

interface Family {
  readonly word: 'ip' | 'ip6';
  has(address: string): boolean;
  /** Matches the question for the MAC address of one of these. */
  asked(vips: readonly string[]): string;
}

const FAMILIES: readonly Family[] = [
  {
    word: 'ip',
    has: (address) => !isIpv6(address),
    asked: (vips) => `arp daddr ip ${setOf(vips)}`,
  },
  {
    word: 'ip6',
    has: isIpv6,
    // The target of RFC 4861, 4.3; nft before 1.0.8 has no word for it.
    asked: (vips) => `icmpv6 type nd-neighbor-solicit @th,64,128 ${setOf(vips.map(digitsOf))}`,
  },
];

function matchReplies(
  word: Family['word'],
  replies: GuardRules['replies'],
  own: readonly string[],
): string {
  const sources = replies.map(
    ({ address, protocol, from, to }) =>
      `${address} . ${protocol} . ${from === to ? from : `${from}-${to}`}`,
  );
  const notOurs = own.length > 0 ? ` ${word} daddr != ${setOf(own)}` : '';
  return `${word} saddr . meta l4proto . th sport ${setOf(sources)}${notOurs}`;
}

/** An IPv6 address or prefix without an IPv4 part as one number or two, `0x` and 32 digits each. */
function digitsOf(vip: string): string {
  const [address = '', length = '128'] = vip.split('/');
  const first = BigInt(addressDigits(address));
  const last = first | ((1n << BigInt(128 - Number(length))) - 1n);
  const digits = (value: bigint) => `0x${value.toString(16).padStart(32, '0')}`;
  return first === last ? digits(first) : `${digits(first)}-${digits(last)}`;
}

function addressDigits(address: string): string {
  const [before = '', after] = address.split('::');
  const groups = (part: string) => part.split(':').filter((group) => group !== '');
  const ends = [groups(before), groups(after ?? '')] as const;
  const zeros = Array<string>(8 - ends[0].length - ends[1].length).fill('0');
  const all = [...ends[0], ...zeros, ...ends[1]];
  return `0x${all.map((group) => group.padStart(4, '0')).join('')}`;
}

const setOf = (entries: readonly string[]): string => `{ ${[...new Set(entries)].join(', ')} }`;

/** EPERM is what the kernel gives for a table that another process owns, EEXIST for any other. */
function explain(name: string, errors: string): string {
  const table = guardTable(name);
  if (/cache initialization failed: Operation not permitted/.test(errors)) {
    return (
      'the guard needs CAP_NET_ADMIN in the user namespace that owns this network namespace; ' +
      'without it set "guard: off" in the config'
    );
  }
  if (/Operation not permitted|File exists/.test(errors)) {
    return (
      `guard table ${table} is already there: another director works on ${name}? ` +
      `Look with: nft list table netdev ${table}`
    );
  }
  if (/ENOENT/.test(errors)) {
    return 'the guard needs nft: apt-get install nftables, or set "guard: off" in the config';
  }
  return `the guard on ${name} cannot be installed: ${errors}`;
}
