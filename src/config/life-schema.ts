// What a file may say of the life of flows: timeouts by state, clients that stay with their real,
// reals that are drained or take only so many flows. Durations are written one way everywhere.
import * as z from 'zod';

const UNIT_SECONDS = { s: 1, m: 60, h: 3600, d: 86_400 } as const;
type Unit = keyof typeof UNIT_SECONDS;

/** A duration in milliseconds: seconds, or a whole number with a unit. */
function duration(fromSeconds: number, toSeconds: number, span: string) {
  const allowed = `a duration from ${span}: a whole number of seconds, or with a unit, such as 30s, 15m, 2h, 1d`;
  return z
    .union([z.int(allowed), z.string(allowed).regex(/^\d{1,9}[smhd]$/, allowed)], allowed)
    .transform((given) => secondsOf(given) * 1000)
    .refine((ms) => ms >= fromSeconds * 1000 && ms <= toSeconds * 1000, allowed);
}

function secondsOf(given: number | string): number {
  if (typeof given === 'number') return given;
  return Number(given.slice(0, -1)) * UNIT_SECONDS[given.slice(-1) as Unit];
}

const DAY = 86_400;
/** The clock of flows has 31 bits of milliseconds, which is 24 days. */
const flowTime = () => duration(1, 20 * DAY, '1s to 20d');

const timeout = (what: string, byDefault: string) =>
  flowTime().optional().describe(`${what}; ${byDefault} by default`);

/** Each key with what it is by default, as in IPVS, and so are the states; NONE lasts no packet. */
export const timeoutsSchema = z.strictObject(
  {
    established: timeout('A connection that both sides use', '15m'),
    synSent: timeout('A SYN of the real', '2m'),
    synRecv: timeout('A SYN of the client, not yet answered', '60s'),
    finWait: timeout('One side has closed; by DSR, the client has', '2m'),
    timeWait: timeout('Both sides have closed', '2m'),
    close: timeout('Reset, or closed for good', '10s'),
    closeWait: timeout('The client has closed, the real has not', '60s'),
    lastAck: timeout('The last acknowledgment is missing', '30s'),
    listen: timeout('As IPVS has it', '2m'),
    synAck: timeout('As IPVS has it', '2m'),
    udp: timeout('An exchange of datagrams', '5m'),
    sctpInit1: timeout('SCTP: the first INIT', '4s'),
    sctpInit: timeout('SCTP: an INIT that was sent again', '61s'),
    sctpCookieSent: timeout('SCTP: the real has sent its cookie', '61s'),
    sctpCookieReplied: timeout('SCTP: the client has echoed it', '61s'),
    sctpCookieWait: timeout('SCTP: an INIT of the real, or a cookie of the client', '61s'),
    sctpCookie: timeout('SCTP: the client has sent its cookie to a real that asked', '61s'),
    sctpCookieEchoed: timeout('SCTP: the real has echoed it', '61s'),
    sctpEstablished: timeout('SCTP: an association that is used', '15m'),
    sctpShutdownSent: timeout('SCTP: the real ends it', '61s'),
    sctpShutdownReceived: timeout('SCTP: the client ends it', '61s'),
    sctpShutdownAckSent: timeout('SCTP: the real agrees to the end', '61s'),
    sctpRejected: timeout('SCTP: the real has refused it', '4s'),
    sctpClosed: timeout('SCTP: at its end', '61s'),
  },
  'a mapping of states to durations, such as { established: 15m, udp: 30s }',
);

function prefixOf(longest: number) {
  const allowed = `a whole number from 1 to ${longest}`;
  return z.int(allowed).min(1, allowed).max(longest, allowed);
}

const COUNT_ALLOWED = 'a whole number from 1 to 16000000';
const flowCount = () => z.int(COUNT_ALLOWED).min(1, COUNT_ALLOWED).max(16_000_000, COUNT_ALLOWED);

export const persistenceSchema = z.strictObject(
  {
    timeout: flowTime()
      .default(360_000)
      .describe('How long after its latest new flow, and always while it has flows; 6m by default'),
    prefix: prefixOf(32)
      .default(32)
      .describe('IPv4 clients with so many leading bits in common count as one'),
    prefix6: prefixOf(128).default(128).describe('The same for IPv6'),
  },
  'a mapping such as { timeout: 6m, prefix: 24 }',
);

const RATE_ALLOWED = 'a whole number from 1 to 1000000';
const rate = () => z.int(RATE_ALLOWED).min(1, RATE_ALLOWED).max(1_000_000, RATE_ALLOWED);
const LIMITS_ALLOWED =
  'a mapping with flowsPerClient, newFlowsPerSecond or both, such as { flowsPerClient: 100 }';
export const limitsSchema = z
  .strictObject(
    {
      flowsPerClient: flowCount().optional().describe('Most flows that a client has at a time'),
      newFlowsPerSecond: rate().optional().describe('How fast a client may open flows, for long'),
      burst: rate()
        .optional()
        .describe('How many it may open at once; as many as in a second by default'),
      prefix: persistenceSchema.shape.prefix,
      prefix6: prefixOf(128)
        .default(64)
        .describe('The same for IPv6; 64 by default, a network, for a host has many addresses'),
    },
    LIMITS_ALLOWED,
  )
  .refine(
    ({ flowsPerClient, newFlowsPerSecond }) => (flowsPerClient ?? newFlowsPerSecond) !== undefined,
    { error: LIMITS_ALLOWED, when: ({ issues }) => issues.length === 0 },
  )
  .refine(
    ({ burst, newFlowsPerSecond }) => burst === undefined || newFlowsPerSecond !== undefined,
    {
      path: ['burst'],
      error: 'a burst beside newFlowsPerSecond',
    },
  );

const OLD_ALLOWED = 'one of: keep, cut, reset';
export const drainSchema = z.strictObject(
  {
    old: z
      .enum(['keep', 'cut', 'reset'], OLD_ALLOWED)
      .default('keep')
      .describe(
        'What becomes of its old flows. keep (by default): they live to their end. cut: they are ' +
          'forgotten. reset: both sides get a RST with the next packet; UDP is forgotten',
      ),
    timeout: duration(0, 20 * DAY, '0s to 20d')
      .default(0)
      .describe('How long they still live, for cut and reset; 0 by default: not at all'),
  },
  'a mapping with old and timeout; {} stops new flows and no more',
);

export const thresholdsSchema = z.strictObject(
  {
    upper: flowCount().describe('With so many flows it takes no new ones'),
    lower: flowCount()
      .optional()
      .describe('With fewer flows it takes new ones again; three quarters of upper by default'),
  },
  'a mapping such as { upper: 1000, lower: 800 }',
);

export const slowStartSchema = duration(1, DAY, '1s to 1d');
