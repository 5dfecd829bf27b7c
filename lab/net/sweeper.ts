// Cleans a lab away, however its owner ends. The sweeper is a small shell, started before the first
// namespace, that blocks on a pipe from the owner. The pipe ends when the owner closes it or dies,
// of SIGKILL too; then the sweeper kills what runs in the lab's namespaces and deletes them and the
// files. A good end and a bad one take the same way, so the way is always tried.
import { type ChildProcess, spawn } from 'node:child_process';
import { environment, run } from './command.ts';
import { NAMESPACE_DIRECTORY, readState, stateFile } from './state.ts';

/** Every lab's directory carries this in its path; the sweeper removes no other. */
export const DIRECTORY_MARK = 'furiwake-lab-';

/** What the owner says on the pipe before it closes it, if it ends in order. */
const ORDERLY = 'orderly\n';

// Killing takes the kernel a moment, and a process that dies may have been about to start another,
// so it looks again until nothing is left. `ip netns pids` finds processes by their namespace. An
// owner that died may have left an `ip` that is still about to add a namespace: hence the second
// sweep then.
const SCRIPT = `
trap '' INT TERM HUP
id=$1 directory=$2 state=$3 farewell=
while read -r word; do farewell=$word; done
pids_of_lab() {
  for path in ${NAMESPACE_DIRECTORY}/"$id"-*; do
    [ -e "$path" ] && ip netns pids "\${path##*/}"
  done
}
sweep() {
  round=0
  while [ $round -lt 100 ]; do
    pids=$(pids_of_lab)
    [ -n "$pids" ] || break
    kill -KILL $pids
    sleep 0.02
    round=$((round + 1))
  done
  for path in ${NAMESPACE_DIRECTORY}/"$id"-*; do
    [ -e "$path" ] && ip netns delete "\${path##*/}"
  done
}
sweep
[ -n "$farewell" ] || { sleep 0.3; sweep; }
case $directory in
  /*/${DIRECTORY_MARK}*) rm -rf "$directory" ;;
esac
rm -f "$state"
`;

function argv(id: string, directory: string): string[] {
  return ['sh', '-c', SCRIPT, 'furiwake-lab-sweeper', id, directory, stateFile(id)];
}

export interface Sweeper {
  readonly pid: number;
  /** Lets it sweep now and waits until it is done. Any number of times. */
  sweep(): Promise<void>;
}

/** Starts the sweeper of a lab that this process owns. */
export function startSweeper(id: string, directory: string): Sweeper {
  const [program, ...rest] = argv(id, directory);
  // A session of its own: a Ctrl-C in the terminal must not reach it.
  const child = spawn(program!, rest, {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
    cwd: '/',
    env: environment(),
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  letOwnerExit(child);
  return {
    pid: child.pid!,
    sweep: async () => {
      child.ref();
      child.stdin!.end(ORDERLY);
      await ended;
    },
  };
}

/** Neither the child nor its pipe keeps the owner's event loop running. */
function letOwnerExit(child: ChildProcess): void {
  child.unref();
  const pipe = child.stdin!;
  pipe.on('error', () => {});
  if ('unref' in pipe && typeof pipe.unref === 'function') pipe.unref();
}

/** Sweeps a lab whose owner is dead. */
export async function sweepOrphan(id: string): Promise<void> {
  await run(argv(id, readState(id)?.directory ?? ''), { input: ORDERLY });
}
