// The states of a TCP connection as the director sees it, and how long each lasts. The table is
// that of IPVS (Linux net/netfilter/ipvs/ip_vs_proto_tcp.c), in its two forms: two-way, where both
// directions pass the director (NAT), and client-only, where the replies do not (DSR).

export const STATE_NAMES = [
  'NONE',
  'ESTABLISHED',
  'SYN_SENT',
  'SYN_RECV',
  'FIN_WAIT',
  'TIME_WAIT',
  'CLOSE',
  'CLOSE_WAIT',
  'LAST_ACK',
  'LISTEN',
  'SYNACK',
  'UDP',
  'UDP_NEW',
] as const;
export type StateName = (typeof STATE_NAMES)[number];

export const NONE = 0;
export const ESTABLISHED = 1;
export const SYN_SENT = 2;
export const SYN_RECV = 3;
export const FIN_WAIT = 4;
export const TIME_WAIT = 5;
export const CLOSE = 6;
/** Not a TCP state: an exchange of UDP datagrams has just this one, from the second request on. */
export const UDP = 11;
/** The state before: one request has come, which may be forged. */
export const UDP_NEW = 12;

/**
 * How long a flow lives without a packet, by state: IPVS's `tcp_timeouts`, `udp_timeouts` and
 * `sctp_timeouts`. The states of SCTP are in sctp-states.ts, and begin with number 13. The file may
 * change all but the two of NONE, which no flow is in after its first packet.
 */
export const TIMEOUT_MS = Int32Array.from(
  [
    ...[2, 900, 120, 60, 120, 120, 10, 60, 30, 120, 120, 300, 300],
    ...[2, 4, 61, 61, 61, 61, 61, 61, 900, 61, 61, 61, 4, 61],
  ],
  (seconds) => seconds * 1000,
);

/**
 * One bit for each state in which a flow counts as active: IPVS's `tcp_state_active_table`, which
 * has ESTABLISHED, SYN_SENT, SYN_RECV and SYNACK (old kernels have ESTABLISHED alone). UDP is
 * active too. In IPVS it never is, so that sed, nq, ovf and lblc, which look at active flows alone,
 * are blind to it there; the choices of lc, wlc and twos are the same either way. Of SCTP it is
 * ESTABLISHED alone.
 */
export const ACTIVE_STATES = 0b1_1100_0000_1110 | (1 << 21);

/** One bit for each state that a full table does not give up: ESTABLISHED (of both) and UDP. */
export const KEPT_STATES = 0b1000_0000_0010 | (1 << 21);

/**
 * One bit for each state that proves nothing yet: SYN_SENT, SYN_RECV, SYNACK and UDP_NEW; of SCTP
 * INIT1, INIT and COOKIE_SENT.
 */
export const HALF_OPEN_STATES = 0b1_0100_0000_1100 | (0b111 << 14);

/** Whose packet it is, and whether the director sees both sides. */
export const FROM_CLIENT = 0;
export const FROM_SERVER = 1;
export const CLIENT_ONLY = 2;

// One row per event, one column per state, columns in the order of STATE_NAMES.
const [ES, SS, SR, FW, TW, CL, CW, LA, LI, SA] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10] as const;
const TRANSITIONS = [
  // From the client, two-way: SYN, FIN, ACK, RST.
  [SR, ES, ES, SR, SR, SR, SR, SR, SR, SR, SR],
  [CL, CW, SS, TW, TW, TW, CL, CW, LA, LI, TW],
  [ES, ES, SS, ES, FW, TW, CL, CW, CL, LI, ES],
  [CL, CL, CL, SR, CL, CL, CL, CL, LA, LI, SR],
  // From the server, two-way.
  [SS, ES, SS, SR, SS, SS, SS, SS, SS, LI, SR],
  [TW, FW, SS, TW, FW, TW, CL, TW, LA, LI, TW],
  [ES, ES, SS, ES, FW, TW, CL, CW, LA, ES, ES],
  [CL, CL, SS, CL, CL, TW, CL, CL, CL, CL, CL],
  // Client only: a FIN of the client is the only sign that the connection ends.
  [SR, ES, ES, SR, SR, SR, SR, SR, SR, SR, SR],
  [CL, FW, SS, TW, FW, TW, CL, CW, LA, LI, TW],
  [ES, ES, SS, ES, FW, TW, CL, CW, CL, LI, ES],
  [CL, CL, CL, SR, CL, CL, CL, CL, LA, LI, CL],
] as const;

const EVENT_SYN = 0;
const EVENT_FIN = 1;
const EVENT_ACK = 2;
const EVENT_RST = 3;
const EVENT_NOTHING = 4;

/** The one event that a combination of flags stands for: RST before SYN before FIN before ACK. */
function eventOf(flags: number): number {
  if (flags & 0x04) return EVENT_RST;
  if (flags & 0x02) return EVENT_SYN;
  if (flags & 0x01) return EVENT_FIN;
  return flags & 0x10 ? EVENT_ACK : EVENT_NOTHING;
}

/** [direction 2 bits][flags 5 bits][state 4 bits] to the next state. */
const NEXT_STATE = buildNextState();

function buildNextState(): Uint8Array {
  const next = new Uint8Array(4 << 9);
  for (let direction = 0; direction < 3; direction++) {
    for (let flags = 0; flags < 32; flags++) {
      const event = eventOf(flags);
      for (let state = 0; state <= SA; state++) {
        const row = TRANSITIONS[direction * 4 + event];
        const to = event === EVENT_NOTHING ? CL : row?.[state];
        next[(direction << 9) | (flags << 4) | state] = to ?? CL;
      }
    }
  }
  return next;
}

/**
 * The state after a packet.
 * @param direction FROM_CLIENT, FROM_SERVER or CLIENT_ONLY
 * @param flags the flags byte of the TCP header
 */
export function nextState(direction: number, flags: number, state: number): number {
  return NEXT_STATE[(direction << 9) | ((flags & 0x1f) << 4) | state] as number;
}

/** True if a SYN on a flow in this state opens a new connection rather than repeating the old. */
export function isEnded(state: number, direction: number): boolean {
  return (
    state === TIME_WAIT || state === CLOSE || (state === FIN_WAIT && direction === CLIENT_ONLY)
  );
}
