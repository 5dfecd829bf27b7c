// Holds native-notes/ against the machine: each show-* script is run, and the lines that carry a
// claim must come out of it. What depends on the speed of a machine is not looked at. Also:
// whatever the notes refer to exists, and no script is left without a note and a test.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { whyNoNamespace } from './linux/namespace.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const NOTES = `${ROOT}native-notes/`;
const WORST_MS = 120_000;
const noNamespace = whyNoNamespace();
const ONLY_TIMES = 'skipped: it only measures, for a minute; run it by hand';
const noRawSocket = isInstalled('raw-socket') ? undefined : 'skipped: raw-socket is not installed';

/** The lines of each script that carry its claims, in their order. */
const CLAIMS: Readonly<Record<string, readonly (string | RegExp)[]>> = {
  'show-tap.sh': [
    '--- behind an nft rule at ingress',
    /^socket of ETH_P_ALL got +3$/,
    /^socket of ETH_P_IP got +0$/,
    /kernel sent by itself +0$/,
    '--- without it',
    /^socket of ETH_P_IP got +3$/,
    /kernel sent by itself +[1-9]/,
  ],
  'show-double.sh': [/^guard auto: 10 of 10 .*: 0$/, /^guard off: [0-9] of 10 .*: [1-9][0-9]*$/],
  'show-guard.sh': [
    /flags owner/,
    /ip daddr 10\.0\.0\.100 drop/,
    /^Error: .*Operation not permitted$/,
    /another director works on eth0/,
    'exit code 2',
    'the rules are gone',
  ],
  'show-start-check.sh': [
    /^furiwake: eth0 forwards IPv4/,
    'exit code 2',
    /^CapEff:\t0000000000002000$/,
    /datapath ring +guard none/,
  ],
  'show-flow-cache.sh': [
    '--- 1000 datagrams of one flow',
    /^frames +1,000 sent on/,
    /^cache +1 flow repeated by the kernel, [1-9]\d\d of the frames sent on$/,
    '"packets": 1000',
    /^link_type:\s+tcx$/,
    '--- kill -9',
    '"packets": 1000',
  ],
  'show-ring.mjs': [
    /^status +0 -> 1 +0 -> 1$/,
    /^IPv4 header at +90, 2 past a multiple of 4 +96, a multiple of 4$/,
    'status words: 1 1 1 1',
    /^a 7th frame: +5 1 1 1 /,
    'sendmmsg took 1 frame',
    /^50 bytes came back to left, the very ones sent$/,
  ],
  'show-lanes.mjs': [
    /^sent: +100 5000 200 300 6000 400 1800$/,
    /^received: 100 5000 200 300 6000 400 1800$/,
    /^lanes: +small large small small large small large$/,
  ],
  'show-sending.mjs': [
    /^0 +5 +0 +5$/,
    /^1 +0 +0 +5$/,
    /^on +1 frame\(s\) arrive +1 frame\(s\) arrive$/,
    /^off +4 frame\(s\) arrive +sendmmsg: ENOBUFS$/,
  ],
  'show-v3.mjs': [/^V2 +\d+$/, /^V3, block timer of 10 ms +\d+$/],
  'show-offloads.sh': [
    '--- offloads as they are on a veth',
    /^its gso_size .* 1448$/,
    /^frames whose TCP checksum is right +0$/,
    /^--- the sender's offloads off/,
    /^largest frame, bytes +1514$/,
    /^frames with NEEDS_CSUM +0$/,
    /generic-receive-offload on here/,
    /^its gso_size .* 1448$/,
  ],
  'show-partial.mjs': [
    /^tx on +finished +accepted +dropped: checksum error$/,
    /^tx on +partial +accepted +accepted$/,
    /^tx off +finished +accepted +dropped: checksum error$/,
    /^tx off +partial +accepted +dropped: checksum error$/,
  ],
  'show-arp.sh': [
    /10\.0\.0\.100 \[02:00:00:00:00:11\]/,
    /10\.0\.0\.100 \[02:00:00:00:00:12\]/,
    'what real1 asks: who-has 10.0.0.1 tell 10.0.0.100',
    '--- arp_ignore=1, arp_announce=2',
    'who answers ARP for the VIP:',
    'what real1 asks: who-has 10.0.0.1 tell 10.0.0.11',
  ],
  'show-ndp.sh': [
    '--- the VIP on lo of real1',
    'who asks for the VIP is answered: nothing',
    'real1 answers a client from the VIP and asks: who has 2001:db8::1',
    /^its source is fe80::/,
    '--- and real1 forwards',
    'who asks for the VIP is answered: nothing',
    '--- the VIP on eth0 of real1',
    'who asks for the VIP is answered: tgt is 2001:db8::99',
    'eth0.forwarding=1: no',
    'all.forwarding=1: yes',
  ],
  'show-cap.sh': [
    /^Assertion `status == 0'/,
    'ended by SIGABRT',
    '--- send before open',
    'ended by SIGSEGV',
    '--- send after close',
    'ended by SIGSEGV',
    /^--- nothing refers to the buffer/,
    'ended by SIGSEGV',
    /process\.report\.getReport/,
    'ended by SIGSEGV',
    'Error: ERR_DLOPEN_FAILED',
    // How that ends is a race of two threads over one event loop; mostly by a signal.
    '--- in a worker thread alone',
    '2 frames seen',
    '3 frames seen',
    "own frames seen: 0 of 1; the kernel's pings seen: 2 of 2",
    'Error: send: Message too long',
    /^a frame of 4042 bytes came as 1530, truncated: false$/,
  ],
  'show-pcap-parser.mjs': [
    'version 9.4:',
    '  pcap-parser: 3 frames, no error',
    /the scan: +offset 4: pcap version 9\.4/,
    'cut in the third:',
    '  pcap-parser: 2 frames, no error',
    /the scan: +offset 176/,
    'a record of 2 GB:',
    '  pcap-parser: 1 frames, no error',
    /the scan: +offset 100/,
  ],
  'show-raw-socket.sh': [
    /^client: curl ends with 7/,
    'the raw socket got: SYN',
    /^client: curl ends with 28/,
    'the raw socket got: nothing',
    /who-has 203\.0\.113\.1 tell 203\.0\.113\.2/,
    /IP 198\.51\.100\.1\.1000 > 203\.0\.113\.1\.2000/,
    /it read beyond/,
  ],
  'show-v8.mjs': [
    / 0 {3}one DataView, offsets$/,
    / [1-9]\d* {3}a subarray and a DataView for each frame$/,
    / [1-9]\d* {3}fields as BigInt$/,
  ],
  'show-inlining.sh': [],
};

/** Scripts that make no network, and so need no root. */
const UNPRIVILEGED = new Set(['show-pcap-parser.mjs', 'show-v8.mjs']);

function whySkipped(script: string): string | undefined {
  if (script === 'show-inlining.sh') return ONLY_TIMES;
  if (!UNPRIVILEGED.has(script) && noNamespace !== undefined) return noNamespace;
  return script === 'show-raw-socket.sh' ? noRawSocket : undefined;
}

function isInstalled(name: string): boolean {
  try {
    createRequire(import.meta.url).resolve(name);
    return true;
  } catch {
    return false;
  }
}

/** The first claim that no line answers, the lines being gone through once, in order. */
function missingClaim(claims: readonly (string | RegExp)[], lines: readonly string[]) {
  let next = 0;
  for (const line of lines) {
    const claim = claims[next];
    if (claim === undefined) break;
    if (typeof claim === 'string' ? line === claim : claim.test(line)) next += 1;
  }
  return claims[next];
}

describe('the scripts of native-notes', () => {
  for (const [script, claims] of Object.entries(CLAIMS)) {
    const why = whySkipped(script);
    test.skipIf(why !== undefined)(`${script} ${why ?? ''}`, { timeout: WORST_MS }, () => {
      const program = script.endsWith('.sh') ? 'sh' : process.execPath;
      const { stdout, stderr, status } = spawnSync(program, [NOTES + script], { encoding: 'utf8' });
      const missing = missingClaim(claims, stdout.split('\n'));
      expect(missing, `${stdout}\n${stderr}`).toBeUndefined();
      expect(status).toBe(0);
    });
  }
});

describe('the notes', () => {
  const files = readdirSync(NOTES);
  const notes = files.filter((file) => file.endsWith('.md'));
  const textOf = (note: string) => readFileSync(NOTES + note, 'utf8');

  test.each(notes)('%s links to what exists', (note) => {
    for (const [, target = ''] of textOf(note).matchAll(/\]\((?!https?:)([^)#]+)[^)]*\)/g)) {
      expect(existsSync(NOTES + target), target).toBe(true);
    }
  });

  test.each(notes)('%s names files that exist', (note) => {
    const names = textOf(note).matchAll(
      /(?:src|lab|test|native-notes)\/[\w./-]+\.(?:ts|mjs|sh|md)/g,
    );
    for (const [name] of names) expect(existsSync(ROOT + name), name).toBe(true);
  });

  test('every note is in the index', () => {
    const chapters = notes.filter((note) => note !== 'README.md');
    for (const note of chapters) expect(textOf('README.md')).toContain(`](${note})`);
  });

  test('every script has a note and a test', () => {
    const scripts = files.filter((file) => file.startsWith('show-'));
    expect(Object.keys(CLAIMS).sort()).toEqual(scripts.sort());
    const chapters = notes.filter((note) => note !== 'README.md').map(textOf);
    for (const script of scripts) {
      const shown = chapters.some((text) => text.includes(`native-notes/${script}`));
      expect(shown, script).toBe(true);
    }
  });
});
