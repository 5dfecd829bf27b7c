// Talk with a child process in a network namespace: the parent asks for something by name, the
// child answers with a value or a failure.
import { type ChildProcess, spawn } from 'node:child_process';

interface Answer {
  readonly id: number;
  readonly value?: unknown;
  readonly failure?: string;
}

export interface Child {
  readonly pid: number;
  /** @throws Error with the child's own words, or if the child is gone */
  ask(name: string, ...values: readonly unknown[]): Promise<unknown>;
  /** Ends it and waits for that. */
  end(): Promise<void>;
}

export function startChild(namespace: string, file: string): Child {
  const child: ChildProcess = spawn('ip', ['netns', 'exec', namespace, process.execPath, file], {
    stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
    serialization: 'advanced',
  });
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const waiting = new Map<number, (answer: Answer) => void>();
  const ended = new Promise<void>((resolve) =>
    child.once('exit', (code, signal) => {
      for (const [id, answer] of waiting) {
        answer({ id, failure: `the child ended (${signal ?? code}): ${said}` });
      }
      resolve();
    }),
  );
  child.on('message', (message) => {
    const answer = message as Answer;
    waiting.get(answer.id)?.(answer);
    waiting.delete(answer.id);
  });
  let asked = 0;
  return {
    pid: child.pid!,
    ask: (name, ...values) =>
      new Promise((resolve, reject) => {
        const id = ++asked;
        waiting.set(id, ({ value, failure }) => {
          if (failure === undefined) resolve(value);
          else reject(new Error(`${name}: ${failure}`));
        });
        if (child.exitCode === null) child.send({ id, name, values }, () => {});
        else reject(new Error(`${name}: the child has ended`));
      }),
    end: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}
