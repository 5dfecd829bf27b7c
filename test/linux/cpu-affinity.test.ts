// A pinned thread stays on the last processor that it may use, and nowhere else; the rest of its
// process stays as it was. Each case is a process of its own, since a pin outlives the test.
import { execFileSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { expect, test } from 'vitest';

const PROGRAM = `
  const { Worker, isMainThread } = require('node:worker_threads');
  const allowed = () => /Cpus_allowed_list:\\s*(\\S+)/.exec(
    require('node:fs').readFileSync('/proc/thread-self/status', 'utf8'))[1];
  const before = allowed();
  const worker = new Worker(\`
    import('\${process.cwd()}/dist/src/linux/cpu-affinity-unsafe.js').then(({ pinThread }) => {
      pinThread();
      const status = require('node:fs').readFileSync('/proc/thread-self/status', 'utf8');
      require('node:worker_threads').parentPort.postMessage(
        /Cpus_allowed_list:\\\\s*(\\\\S+)/.exec(status)[1]);
    });\`, { eval: true });
  worker.on('message', (pinned) => {
    console.log(JSON.stringify({ before, pinned, after: allowed() }));
    worker.terminate();
  });
`;

function pin(prefix: readonly string[]) {
  const [program, ...rest] = [...prefix, process.execPath, '-e', PROGRAM];
  const output = execFileSync(program!, rest, { encoding: 'utf8' });
  return JSON.parse(output) as Record<'before' | 'pinned' | 'after', string>;
}

test.skipIf(availableParallelism() < 2)('a thread is pinned, its process is not (2 CPUs)', () => {
  const { before, pinned, after } = pin([]);
  expect(pinned).toBe(before.split(/[-,]/).at(-1));
  expect(after).toBe(before);
});

test('whoever starts it under taskset has chosen', () => {
  expect(pin(['taskset', '-c', '0'])).toEqual({ before: '0', pinned: '0', after: '0' });
});
