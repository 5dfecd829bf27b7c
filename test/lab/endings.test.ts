// However the owner of a lab ends, nothing of the lab is left. The owner is a process of its own
// here, run from the build, because it has to die.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { whyNoLab } from '../../lab/requirements.ts';
import { until } from '../../lab/wait.ts';
import { type Known, processesOf, remainsOf } from './remains.ts';

const reason = whyNoLab();
const built = (path: string) => fileURLToPath(new URL(`../../dist/lab/${path}`, import.meta.url));

const OWNER = `
import { startNginx } from ${JSON.stringify(built('hosts/nginx.js'))};
import { buildTopology, TOPOLOGIES } from ${JSON.stringify(built('topologies/build.js'))};
const lab = await buildTopology(TOPOLOGIES.dsr);
await startNginx(lab, 'r1');
lab.spawn('r2', { name: 'family', argv: ['sh', '-c', 'sleep 1000 & wait'] });
console.log(JSON.stringify({ id: lab.id, directory: lab.directory }));
process.stdin.once('data', (text) => eval(String(text)));
`;

interface Owner {
  readonly child: ChildProcess;
  readonly known: Known;
}

async function startOwner(): Promise<Owner> {
  // A process group of its own, as a shell gives one to each command.
  const child = spawn(process.execPath, ['--input-type=module', '-e', OWNER], {
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let complaint = '';
  child.stderr!.on('data', (text) => {
    complaint += text;
  });
  const line = await Promise.race([once(child.stdout!, 'data'), once(child, 'exit')]);
  if (child.exitCode !== null) throw new Error(`the owner ended: ${complaint}`);
  const { id, directory } = JSON.parse(String(line[0])) as { id: string; directory: string };
  const pids = await until('all processes of the lab', async () => {
    const found = await processesOf(id);
    return found.length >= 4 && found;
  });
  return { child, known: { id, directory, pids } };
}

async function expectGone({ known }: Owner): Promise<void> {
  await until('nothing to be left', () => {
    const remains = remainsOf(known);
    if (remains.length > 0) throw new Error(remains.join(', '));
    return true;
  });
}

describe.skipIf(reason !== undefined)(`the end of a lab${reason ? `: ${reason}` : ''}`, () => {
  it.each([
    ['its program simply ends', 'process.stdin.pause()', 0],
    ['process.exit is called', 'process.exit(7)', 7],
    ['nobody catches an exception', 'throw new Error("on purpose")', 1],
  ])('cleans up when %s', async (_, code, exitCode) => {
    const owner = await startOwner();
    owner.child.stdin!.end(code);
    const [actual] = await once(owner.child, 'exit');
    expect(actual).toBe(exitCode);
    await expectGone(owner);
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const)('is gone by the time that %s has ended its owner', async (signal, exitCode) => {
    const owner = await startOwner();
    process.kill(owner.child.pid!, signal);
    const [actual] = await once(owner.child, 'exit');
    expect(actual).toBe(exitCode);
    expect(remainsOf(owner.known)).toEqual([]);
  });

  it('cleans up after a Ctrl-C, which the whole process group gets', async () => {
    const owner = await startOwner();
    process.kill(-owner.child.pid!, 'SIGINT');
    await once(owner.child, 'exit');
    expect(remainsOf(owner.known)).toEqual([]);
  });

  it.each(['process', 'process group'])('cleans up after SIGKILL of the %s', async (whom) => {
    const owner = await startOwner();
    process.kill(whom === 'process' ? owner.child.pid! : -owner.child.pid!, 'SIGKILL');
    await once(owner.child, 'exit');
    await expectGone(owner);
  });
});
