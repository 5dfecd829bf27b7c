// A thread that sleeps punctually has a slack of 1 µs, and the rest of its process stays as it was.
// In a process of its own, since the slack outlives the test.
import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';

const PROGRAM = `
  const { readFileSync } = require('node:fs');
  const { Worker } = require('node:worker_threads');
  const slack = (thread) => Number(readFileSync('/proc/' + thread + '/timerslack_ns', 'utf8'));
  const worker = new Worker(\`
    import('\${process.cwd()}/dist/src/linux/timer-slack-unsafe.js').then(({ sleepPunctually }) => {
      sleepPunctually();
      const path = require('node:fs').readlinkSync('/proc/thread-self');
      require('node:worker_threads').parentPort.postMessage(path.split('/').at(-1));
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    });\`, { eval: true });
  worker.on('message', (thread) => {
    console.log(JSON.stringify([slack(thread), slack(process.pid)]));
    process.exit();
  });
`;

test('the slack of the calling thread alone is 1 µs', () => {
  const output = execFileSync(process.execPath, ['-e', PROGRAM], { encoding: 'utf8' });
  const [own, others] = JSON.parse(output) as [number, number];
  expect(own).toBe(1000);
  expect(others).toBeGreaterThan(1000);
});
