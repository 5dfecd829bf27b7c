// One `nft -i` child that stays open: one line in, one transaction, its errors out. Tables made
// with `flags owner` belong to this child's netlink socket, so the kernel removes them when it
// ends, and it ends when its standard input closes: at the latest when our process is gone, however
// it died.
import { type ChildProcess, spawn } from 'node:child_process';

const ANSWER_TIMEOUT_MS = 10_000;
const CLOSE_TIMEOUT_MS = 2_000;
/**
 * A line that is no command, so that nft refuses it before it asks the kernel for anything: its
 * echo marks the end of the errors of the line before it.
 */
const END = 'furiwake_end_of_errors_';

export interface NftShell {
  /**
   * Runs one line (commands separated by `;` are one transaction).
   * @returns what nft complained of, or an empty string
   */
  run(line: string): Promise<string>;
  /** Ends the child and waits for it; all tables it owns are gone then. */
  close(): Promise<void>;
}

export interface NftOptions {
  /** The command before its arguments; tests put `ip netns exec` here. */
  readonly command?: readonly string[];
  /** Called if the child ends without `close`. */
  readonly onEnd: () => void;
}

interface Waiting {
  readonly mark: string;
  readonly settle: (errors: string) => void;
}

/** Starts the child. It never throws: without nft, every `run` gives the reason. */
export function openNft({ command = ['nft'], onEnd }: NftOptions): NftShell {
  const child = startChild(command);
  let errors = '';
  let asked = 0;
  let ended = false;
  let closing = false;
  let waiting: Waiting | undefined;
  let queue: Promise<unknown> = Promise.resolve();

  const settle = (text: string) => {
    waiting?.settle(text);
    waiting = undefined;
    errors = '';
  };
  const end = (reason: string) => {
    if (ended) return;
    ended = true;
    settle(complaints(errors) || reason);
    if (!closing) onEnd();
  };
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
    if (waiting === undefined) return;
    const at = errors.indexOf(waiting.mark);
    if (at >= 0) settle(complaints(beforeEnd(errors.slice(0, at))));
  });
  // A write to a child that has just died; its end is reported by its own event.
  child.stdin?.on('error', () => {});
  child.on('error', (error) => end(`cannot start nft: ${error.message}`));
  child.on('close', () => end('nft ended'));

  const ask = (line: string) =>
    new Promise<string>((resolve) => {
      if (ended) return resolve('nft has ended');
      asked += 1;
      const mark = `${END}${asked}\n`;
      const timer = setTimeout(
        () => settle(`nft did not answer within ${ANSWER_TIMEOUT_MS / 1000} s`),
        ANSWER_TIMEOUT_MS,
      );
      const settleOnce = (text: string) => {
        clearTimeout(timer);
        resolve(text);
      };
      waiting = { mark, settle: settleOnce };
      child.stdin?.write(`${line}\n${mark}`);
    });

  return {
    run(line) {
      const answer = queue.then(() => ask(line));
      queue = answer;
      return answer;
    },
    close() {
      closing = true;
      return endChild(child);
    },
  };
}

function startChild([program = 'nft', ...words]: readonly string[]): ChildProcess {
  return spawn(program, [...words, '-i'], {
    stdio: ['pipe', 'ignore', 'pipe'],
    // A session of its own: Ctrl-C at the terminal goes to the director alone, which ends the
    // child.
    detached: true,
    // Without a home there is no ~/.nft.history to fill. PATH of users often lacks the sbin
    // folders.
    env: { ...process.env, HOME: '/dev/null', PATH: `${process.env.PATH}:/usr/sbin:/sbin` },
  });
}

function endChild(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    const { pid } = child;
    if (pid === undefined || child.exitCode !== null || child.signalCode !== null) return resolve();
    const timer = setTimeout(() => child.kill('SIGKILL'), CLOSE_TIMEOUT_MS);
    child.once('close', () => {
      clearTimeout(timer);
      resolve();
    });
    child.stdin?.end();
  });
}

/** Errors without that of the mark, whose first line comes just before it. */
const beforeEnd = (text: string): string => text.slice(0, text.lastIndexOf('Error:'));

/** The lines that say what is wrong: not nft's echo of the command, which may be very long. */
function complaints(text: string): string {
  const lines = text.split('\n').filter((line) => /^(\S+: )?Error: |not permitted/.test(line));
  return [...new Set(lines.map((line) => line.replace(/^Error: /, '')))].join('; ');
}
