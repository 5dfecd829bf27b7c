// What `furiwake run` prints: for people, or one JSON object a line. Problems that end the director
// go to standard error, everything else to standard output.

export interface RunLog {
  /** Something happened. `event` is for programs, `text` for people. */
  event(event: string, text: string, details?: object): void;
  /** Why the director does not start or go on. */
  problem(text: string): void;
}

export function createRunLog({ json }: { readonly json: boolean }): RunLog {
  return {
    event(event, text, details = {}) {
      const object = { timeMs: Date.now(), event, text, ...details };
      process.stdout.write(`${json ? JSON.stringify(object) : stamp(event, text)}\n`);
    },
    problem(text) {
      process.stderr.write(`furiwake: ${text}\n`);
    },
  };
}

/** The time of day before what happens while it runs; not before the blocks at start and end. */
function stamp(event: string, text: string): string {
  if (event === 'started' || event === 'summary') return text;
  return `${new Date().toTimeString().slice(0, 8)} ${text}`;
}
