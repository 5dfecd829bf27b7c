// Runs a program to its end and keeps what it said. Every program of the lab goes through here, so
// that a failure always shows the whole command line, its exit code and its own words.
import { execFile, spawnSync } from 'node:child_process';

export interface Output {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

export interface RunOptions {
  /** Given to the program on its standard input. */
  readonly input?: string;
  /** The program is killed after this time; 60 seconds unless given. */
  readonly timeoutMs?: number;
  /** `return`: a non-zero exit code is an answer like any other. `throw` unless given. */
  readonly onFailure?: 'throw' | 'return';
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A program ended with a non-zero exit code, or could not start. */
export class CommandError extends Error {
  readonly output: Output;

  constructor(argv: readonly string[], output: Output) {
    const said = output.stderr.trim() || output.stdout.trim() || 'it said nothing';
    super(`${argv.join(' ')}: exit code ${output.exitCode}: ${said}`);
    this.name = 'CommandError';
    this.output = output;
  }
}

const DEFAULT_TIMEOUT_MS = 60_000;
const MAXIMUM_OUTPUT_BYTES = 256 * 1024 * 1024;

/** The environment of the lab's programs: some shells of root leave the sbin directories out. */
export function environment(extra: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  return { ...process.env, ...extra, PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin` };
}

/** @throws CommandError unless the program ends with 0 or `onFailure` is `return` */
export function run(argv: readonly string[], options: RunOptions = {}): Promise<Output> {
  const [program, ...rest] = argv;
  return new Promise((resolve, reject) => {
    const child = execFile(
      program!,
      rest,
      {
        env: environment(options.env),
        timeout: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
        maxBuffer: MAXIMUM_OUTPUT_BYTES,
      },
      (error, stdout, stderr) => {
        const output = { stdout, stderr: stderr || couldNotStart(error), exitCode: codeOf(error) };
        if (output.exitCode === 0 || options.onFailure === 'return') resolve(output);
        else reject(new CommandError(argv, output));
      },
    );
    // A program that ends without reading its input is no failure of ours.
    child.stdin?.on('error', () => {});
    child.stdin?.end(options.input ?? '');
  });
}

/** Like `run`, for callers that cannot wait, such as an exit handler. */
export function runSync(argv: readonly string[], options: RunOptions = {}): Output {
  const [program, ...rest] = argv;
  const result = spawnSync(program!, rest, {
    env: environment(options.env),
    input: options.input ?? '',
    timeout: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
    maxBuffer: MAXIMUM_OUTPUT_BYTES,
    encoding: 'utf8',
  });
  const output = {
    stdout: result.stdout ?? '',
    stderr: result.stderr || couldNotStart(result.error),
    exitCode: result.status ?? 128,
  };
  if (output.exitCode !== 0 && options.onFailure !== 'return') throw new CommandError(argv, output);
  return output;
}

/** 128 stands for a program that a signal ended or that could not start. */
function codeOf(error: { code?: unknown } | null): number {
  if (error === null) return 0;
  return typeof error.code === 'number' ? error.code : 128;
}

function couldNotStart(error: Error | null | undefined): string {
  return error && 'errno' in error ? error.message : '';
}
