// What a configuration file may say, key by key. The same schema checks a file and yields the JSON
// Schema for editors. The message of every check is what is allowed there; what was found, and
// where, is added by load.ts. Rules that look at several keys at once are in rules.ts.
import * as z from 'zod';
import { METHOD_NAMES } from '../director/table.ts';
import { SCHEDULER_NAMES, type SchedulerName } from '../schedule/scheduler.ts';
import { addressSchema, isHostAddress, VIP_ALLOWED, vipSchema } from './address-schema.ts';
import { isIpv6Text } from './endpoint.ts';
import {
  drainSchema,
  limitsSchema,
  persistenceSchema,
  slowStartSchema,
  thresholdsSchema,
  timeoutsSchema,
} from './life-schema.ts';
import {
  fixedBits,
  PROTOCOLS,
  parsePorts,
  plainVip,
  SHORTEST_PREFIX,
  SHORTEST_PREFIX6,
} from './listening.ts';
import type { DataPath } from './problem.ts';
import { parseSource } from './sources.ts';

export const DEFAULT_SOCKET = '/run/furiwake.sock';
/** 22 MiB an arm. 256 slots lost 2 % of a full rate of small packets, 4096 none (measured). */
export const DEFAULT_RING_SLOTS = 2048;
/** IANA's port for GUE. */
export const DEFAULT_TUNNEL_PORT = 6080;
export const DEFAULT_MAXIMUM_FLOWS = 262_144;
export const DEFAULT_SOURCE_PORTS = '1024-65535';

const MAXIMUM_INTERFACES = 8;
/** As many as source-pool.ts looks through for one flow. */
const MAXIMUM_SOURCES = 64;
const MAXIMUM_WORKERS = 16;
/** sockaddr_un holds 108 bytes, the last of which is 0 (unix(7)). */
const LONGEST_SOCKET_BYTES = 107;

function wholeNumber(from: number, to: number): z.ZodInt {
  const allowed = `a whole number from ${from} to ${to}`;
  return z.int(allowed).min(from, allowed).max(to, allowed);
}

function oneOf<const Names extends readonly string[]>(names: Names) {
  return z.enum(names, `one of: ${names.join(', ')}`);
}

const INTERFACE_ALLOWED =
  'the name of a network interface, 1 to 15 characters without spaces, / and :';
// The kernel's own rule: dev_valid_name in net/core/dev.c.
const interfaceSchema = z.string(INTERFACE_ALLOWED).regex(/^[^\s/:]{1,15}$/, INTERFACE_ALLOWED);

export const LABEL_ALLOWED =
  'a name of 1 to 63 letters, digits, . _ or -, with a letter or digit first';
const LABEL = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
const labelSchema = z.string(LABEL_ALLOWED).regex(LABEL, LABEL_ALLOWED);

const SOCKET_ALLOWED = `an absolute path of at most ${LONGEST_SOCKET_BYTES} bytes`;
const socketSchema = z
  .string(SOCKET_ALLOWED)
  .regex(/^\/[^\0]+$/, SOCKET_ALLOWED)
  .refine((path) => Buffer.byteLength(path) <= LONGEST_SOCKET_BYTES, SOCKET_ALLOWED);

const portSchema = wholeNumber(1, 65_535);

const LONGEST_LIST = 256;
const listOf = <T extends z.ZodType>(schema: T, allowed: string) =>
  z.array(schema, allowed).min(1, allowed).max(LONGEST_LIST, allowed);

const vipsSchema = z.union([vipSchema, listOf(vipSchema, `${VIP_ALLOWED}, or a list of them`)]);

const RANGE_ALLOWED = 'a range from the lower port to the higher one, such as 8000-8100';
const rangeSchema = z
  .string(RANGE_ALLOWED)
  .regex(/^\d+-\d+$/, { abort: true, error: RANGE_ALLOWED })
  .refine((text) => parsePorts(text) !== undefined, RANGE_ALLOWED);
const PORT_ALLOWED = 'a port from 1 to 65535, or a range, such as 8000-8100';
const PORTS_ALLOWED = `${PORT_ALLOWED}, or any, or a list of ports and ranges`;
const portOrRangeSchema = z.union([portSchema, rangeSchema], PORT_ALLOWED);
const portsSchema = z.union([
  z.union([portSchema, rangeSchema, z.literal('any')], PORTS_ALLOWED),
  listOf(portOrRangeSchema, PORTS_ALLOWED),
]);

const protocolSchema = oneOf(PROTOCOLS);
const protocolsSchema = z.union([
  protocolSchema,
  listOf(protocolSchema, `a protocol or a list of: ${PROTOCOLS.join(', ')}`),
]);

const methodSchema = oneOf(METHOD_NAMES);

const realSchema = z.strictObject(
  {
    address: addressSchema.describe('Address of the real, of the same family as the VIP'),
    port: portSchema
      .optional()
      .describe(
        'Port at the real; by default, and always for methods dsr, ipip and gue, the one that the ' +
          'client asked for',
      ),
    weight: wholeNumber(0, 65_535)
      .default(1)
      .describe('Share of new flows among the reals of the service; 0 takes no new flows'),
    method: methodSchema
      .optional()
      .describe("How packets reach this real; the service's method by default"),
    name: labelSchema.optional().describe('Name in status and logs; address:port by default'),
    interface: interfaceSchema
      .optional()
      .describe('Interface that leads to the real; by default the one whose subnet holds it'),
    gateway: addressSchema
      .optional()
      .describe(
        'Router that leads to a real on none of the subnets of the interfaces; by default the ' +
          "one of the host's route to it. Not for method dsr",
      ),
    drain: drainSchema
      .optional()
      .describe('Takes no new flows, whatever its weight; {} alone keeps the old ones'),
    thresholds: thresholdsSchema.optional().describe('How many flows it takes at a time'),
  },
  'an address, or a mapping such as { address: 192.0.2.21, weight: 2 }',
);

const sorrySchema = realSchema.omit({ weight: true, drain: true, thresholds: true });

/** What the file may call a scheduler; `mh` is IPVS's name of maglev. */
const schedulerSchema = oneOf([...SCHEDULER_NAMES, 'mh']).default('maglev');

/** The scheduler that a name of the file stands for. */
export const schedulerOf = (name: z.output<typeof schedulerSchema>): SchedulerName =>
  name === 'mh' ? 'maglev' : name;

/** Primes: those that IPVS has (MH, of IP_VS_MH_TAB_INDEX 8 to 17), and that of Maglev's paper. */
export const MAGLEV_SLOTS = [
  ...[251, 509, 1021, 2039, 4093, 8191, 16_381, 32_749, 65_521, 65_537, 131_071],
] as const;
const SLOTS_ALLOWED = `one of: ${MAGLEV_SLOTS.join(', ')}`;
const hashSchema = z.strictObject(
  {
    port: z
      .boolean('true or false')
      .optional()
      .describe(
        "sh, maglev, rendezvous: hash the client's port too, so that the flows of one client " +
          'spread. By default false with sh, else true',
      ),
    fallback: z
      .boolean('true or false')
      .optional()
      .describe(
        'sh, dh, maglev: what becomes of a new flow that hashes to a real of weight 0. true (by ' +
          'default): it goes to another real. false: it is refused',
      ),
    slots: z
      .literal(MAGLEV_SLOTS, SLOTS_ALLOWED)
      .optional()
      .describe(
        'maglev: how many slots its reals are laid out on, 2 bytes each; a hundred times as many ' +
          'as reals give shares true to 1 %. By default 65537. Directors that shall agree need ' +
          'the same number',
      ),
  },
  'a mapping with port, fallback and slots',
);

const REALS_ALLOWED = 'a list of at least one real';
const SOURCE_ALLOWED = 'a network or an address, such as 192.0.2.0/24 or 2001:db8::/32';
const sourceSchema = z
  .string(SOURCE_ALLOWED)
  .refine((text) => parseSource(text) !== undefined, SOURCE_ALLOWED);
const SOURCE_LIST_ALLOWED = 'a list of at least one network or address';
const sourcesSchema = z
  .strictObject(
    {
      allow: z
        .array(sourceSchema, SOURCE_LIST_ALLOWED)
        .min(1, SOURCE_LIST_ALLOWED)
        .optional()
        .describe('Clients that may open flows; all others may not, where there is such a list'),
      deny: z
        .array(sourceSchema, SOURCE_LIST_ALLOWED)
        .min(1, SOURCE_LIST_ALLOWED)
        .optional()
        .describe('Clients that may open none'),
    },
    'a mapping with allow and deny',
  )
  .refine(({ allow = [], deny = [] }) => {
    const denied = new Set(deny.map((text) => parseSource(text)?.join('/')));
    return !allow.some((text) => denied.has(parseSource(text)?.join('/')));
  }, 'each network in one of allow and deny');

const serviceSchema = z.strictObject(
  {
    vip: vipsSchema.describe(
      'Virtual IP address that clients talk to, a prefix of such addresses, or a list. The ' +
        'director answers ARP or NDP for every one of them: no interface of the director may ' +
        'have it',
    ),
    port: portsSchema.describe(
      'Port that clients connect to, a range (8000-8100), a list of ports and ranges, or any. Of ' +
        'several services the more exact one takes a packet: by VIP first, then by port',
    ),
    protocol: protocolsSchema.default('tcp').describe('Transport protocol, or a list of them'),
    method: methodSchema.describe(
      'How a packet reaches its real. dsr: by MAC address, the real answers the client directly. ' +
        'nat: by address and port, the answer comes back through the director. fullnat: like nat, ' +
        'and the real sees an address of the sourcePool as its client, so that the answer comes ' +
        "back whatever the real's routes are. ipip, gue: through a tunnel to a real in any subnet, " +
        'which answers the client directly',
    ),
    scheduler: schedulerSchema.describe(
      'Chooses the real of a new flow; furiwake schedulers compares them. In turn: rr, wrr (by ' +
        'weight). By hash of the client: sh, maglev (mh is another word for it), rendezvous; of ' +
        'the VIP: dh. By the flows that reals have: lc, wlc, sed, nq, ovf, twos; and by VIP: ' +
        'lblc, lblcr. The highest weight: fo. By lot: random',
    ),
    hash: hashSchema.optional().describe('Flags of a scheduler that hashes'),
    persistence: persistenceSchema.optional().describe('New flows of a client stay with its real'),
    onePacket: z
      .boolean('true or false')
      .optional()
      .describe('UDP: each datagram is scheduled alone, and no flow is remembered'),
    slowStart: slowStartSchema
      .optional()
      .describe(
        'A real that is new or back gets a growing part of its share for so long. Not for ' +
          'schedulers that hash',
      ),
    sorry: z
      .union([addressSchema.describe('Address of the sorry server'), sorrySchema])
      .optional()
      .describe('Serves new flows while no real can take any'),
    sources: sourcesSchema
      .optional()
      .describe('Who may open flows: of several networks that hold a client the longest decides'),
    limits: limitsSchema
      .optional()
      .describe('How many flows each client has, and how fast it opens them'),
    whenAllDown: oneOf(['refuse', 'sorry', 'failOpen'])
      .optional()
      .describe(
        'New flows while no real can take any. sorry: to the sorry server, by default where there ' +
          'is one. refuse: dropped, by default where there is none. failOpen: if all are down, to ' +
          'all of them as if all were up',
      ),
    reals: z
      .array(
        z
          .union([addressSchema.describe('Address of a real with weight 1'), realSchema])
          .describe('A real: an address, or a mapping'),
        REALS_ALLOWED,
      )
      .min(1, REALS_ALLOWED)
      .describe('Real servers behind the service'),
  },
  'a mapping with vip, port, method and reals',
);

const INTERFACES_ALLOWED = `a list of 1 to ${MAXIMUM_INTERFACES} interface names`;
const ringSchema = z.strictObject(
  {
    slots: wholeNumber(64, 8192)
      .optional()
      .describe(
        'Receive slots of each interface for frames of up to 1,800 bytes, 2 KiB each; one larger ' +
          `slot of 68 KiB comes with every 8. By default ${DEFAULT_RING_SLOTS}`,
      ),
  },
  'a mapping with slots',
);
const flowsSchema = z.strictObject(
  {
    maximum: wholeNumber(1024, 16_000_000)
      .optional()
      .describe(`Most flows that are remembered; ${DEFAULT_MAXIMUM_FLOWS} by default`),
    halfOpenMaximum: wholeNumber(256, 16_000_000)
      .optional()
      .describe(
        'Most of them that are half open: a connection without its third packet, a UDP exchange ' +
          'without its second request. One more takes the place of the oldest, so that a flood ' +
          'leaves room for others. By default a quarter of maximum, or four times what the rings ' +
          'of all workers on all interfaces hold if that is more',
      ),
  },
  'a mapping with maximum and halfOpenMaximum',
);

const SOURCES_ALLOWED =
  'a prefix, of 8 to 32 bits with IPv4 (172.16.0.0/16), of 64 to 128 with IPv6 ' +
  '(2001:db8:f::/64), or a list with one of each';
const tunnelSourceSchema = z
  .string(SOURCES_ALLOWED)
  .refine(isHostPrefix, SOURCES_ALLOWED)
  .overwrite(plainVip);
const tunnelSchema = z.strictObject(
  {
    port: portSchema
      .optional()
      .describe(`UDP port of GUE at the reals; ${DEFAULT_TUNNEL_PORT} by default`),
    sources: z
      .union([tunnelSourceSchema, listOf(tunnelSourceSchema, SOURCES_ALLOWED)])
      .optional()
      .describe(
        'Source addresses of outer packets: each flow has one of this prefix, so that the way to ' +
          'the real spreads them. The director answers ARP or NDP for them, and no other host may ' +
          "have them. By default the interface's own address",
      ),
  },
  'a mapping with port and sources',
);

/** Whether this is a prefix of host addresses, written with its length. */
function isHostPrefix(text: string): boolean {
  const [address = '', ...length] = text.split('/');
  const bits = fixedBits(text) ?? 0;
  const shortest = isIpv6Text(text) ? SHORTEST_PREFIX6 : SHORTEST_PREFIX;
  return length.length === 1 && bits >= shortest && isHostAddress(address);
}

const POOL_ADDRESSES_ALLOWED = `a list of 1 to ${MAXIMUM_SOURCES} IPv4 and IPv6 addresses`;
const sourcePoolSchema = z.strictObject(
  {
    addresses: z
      .array(addressSchema, POOL_ADDRESSES_ALLOWED)
      .min(1, POOL_ADDRESSES_ALLOWED)
      .max(MAXIMUM_SOURCES, POOL_ADDRESSES_ALLOWED)
      .describe(
        'Addresses of their own, to which the reals have a way; a service uses those of its ' +
          'family. The director answers ARP or NDP for them: no interface may have one',
      ),
    ports: rangeSchema
      .default(DEFAULT_SOURCE_PORTS)
      .describe('Ports of each address; each is used once for each address and port of a real'),
  },
  'a mapping with addresses',
);

const SERVICES_ALLOWED = 'a mapping of at least one service, by name';
export const configSchema = z
  .strictObject(
    {
      interfaces: z
        .array(interfaceSchema, INTERFACES_ALLOWED)
        .min(1, INTERFACES_ALLOWED)
        .max(MAXIMUM_INTERFACES, INTERFACES_ALLOWED)
        .describe('Interfaces that the director works on'),
      datapath: oneOf(['ring', 'tc', 'cap'])
        .default('ring')
        .describe(
          "ring: the kernel's packet ring, fast. tc: the same, and the kernel repeats by itself " +
            'what was decided of a flow (CAP_BPF and CAP_NET_ADMIN, Linux 6.6). cap: libpcap, ' +
            'portable',
        ),
      workers: wholeNumber(1, MAXIMUM_WORKERS)
        .default(1)
        .describe(
          'Threads that forward, each on a processor of its own with its own share of the flows: ' +
            "a client's flows are all in one of them. Only for the datapaths ring and tc",
        ),
      // YAML 1.2 reads `off` as text, where YAML 1.1 read it as false.
      guard: oneOf(['auto', 'off'])
        .default('auto')
        .describe(
          "auto: keep the host's own kernel from handling VIP frames too, if the process may. " +
            'off: only check at start that it does not',
        ),
      socket: socketSchema.default(DEFAULT_SOCKET).describe('Unix socket for furiwake status'),
      ring: ringSchema.optional().describe('The receive ring of each interface'),
      timeouts: timeoutsSchema
        .optional()
        .describe('How long a flow lives without a packet, by state; by default as in IPVS'),
      sourcePool: sourcePoolSchema
        .optional()
        .describe('Who stands for the clients by method fullnat'),
      flows: flowsSchema.optional().describe('The table of known flows'),
      tunnel: tunnelSchema.optional().describe('Outer packets of the methods ipip and gue'),
      hashSeed: wholeNumber(0, 4_294_967_295)
        .default(0)
        .describe('Key of the hashes of schedulers; directors that shall agree share it'),
      services: z
        // The names are checked by a rule: a record would not look into a service with a bad name.
        .record(z.string(), serviceSchema, SERVICES_ALLOWED)
        .refine((services) => Object.keys(services).length > 0, SERVICES_ALLOWED)
        .meta({ minProperties: 1, propertyNames: { pattern: LABEL.source } })
        .describe('Services by name'),
    },
    'a mapping with interfaces and services; furiwake check --example prints one',
  )
  .meta({
    title: 'furiwake configuration',
    description: 'Services, reals and interfaces of a furiwake director',
  });

/** What the schema makes of a file: defaults of single keys filled in. */
export type ConfigData = z.output<typeof configSchema>;
export type ServiceData = z.output<typeof serviceSchema>;
export type RealData = ServiceData['reals'][number];
export type SorryData = NonNullable<ServiceData['sorry']>;

/** The schemas of single values, for rules that look at files with problems elsewhere. */
export const VALUE_SCHEMAS = {
  address: addressSchema,
  vip: vipSchema,
  port: portSchema,
  portOrRange: portOrRangeSchema,
  protocol: protocolSchema,
  method: methodSchema,
  scheduler: schedulerSchema,
  label: labelSchema,
  interface: interfaceSchema,
  tunnelSource: tunnelSourceSchema,
} as const;

/** The keys allowed in the mapping at this path, for advice on an unknown one. */
export function allowedKeys(path: DataPath): readonly string[] {
  if (path.length === 0) return Object.keys(configSchema.shape);
  if (path[0] === 'ring') return Object.keys(ringSchema.shape);
  if (path[0] === 'flows') return Object.keys(flowsSchema.shape);
  if (path[0] === 'tunnel') return Object.keys(tunnelSchema.shape);
  if (path[0] === 'timeouts') return Object.keys(timeoutsSchema.shape);
  if (path[0] === 'sourcePool') return Object.keys(sourcePoolSchema.shape);
  if (path.length === 2) return Object.keys(serviceSchema.shape);
  const [last] = path.slice(-1);
  if (last === 'drain') return Object.keys(drainSchema.shape);
  if (last === 'thresholds') return Object.keys(thresholdsSchema.shape);
  if (last === 'persistence') return Object.keys(persistenceSchema.shape);
  if (last === 'sources') return Object.keys(sourcesSchema.shape);
  if (last === 'limits') return Object.keys(limitsSchema.shape);
  if (last === 'sorry') return Object.keys(sorrySchema.shape);
  return Object.keys(path[2] === 'hash' ? hashSchema.shape : realSchema.shape);
}

/** JSON Schema (draft 2020-12) of the file, for editors. */
export function jsonSchema(): Record<string, unknown> {
  return z.toJSONSchema(configSchema, { io: 'input' });
}
