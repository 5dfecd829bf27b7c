// A step that may hang, and a person who may not want to wait: whoever waits for it gives up when
// its time is over or the comparison is interrupted. The step itself ends with the lab it runs in.

/** The person who started the comparison wants it to end. */
export class Interrupted extends Error {}

/** A step exceeded its time. */
export class TooLate extends Error {}

export interface Limits {
  readonly limitMs: number;
  readonly signal: AbortSignal;
}

/**
 * @throws Interrupted if it is, or was
 * @throws TooLate when the time is over
 */
export async function within<T>(step: () => Promise<T>, { limitMs, signal }: Limits): Promise<T> {
  if (signal.aborted) throw new Interrupted();
  let timer: NodeJS.Timeout | undefined;
  let stopped = () => {};
  const given = new Promise<never>((_, reject) => {
    stopped = () => reject(new Interrupted());
    signal.addEventListener('abort', stopped, { once: true });
    const late = () => reject(new TooLate(`exceeded its time of ${Math.round(limitMs / 1000)} s`));
    timer = setTimeout(late, limitMs);
  });
  try {
    const running = step();
    // What becomes of it when nobody waits any more is not of interest.
    running.catch(() => {});
    return await Promise.race([running, given]);
  } catch (error) {
    throw await unlessInterrupted(error, signal);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', stopped);
  }
}

/** A Ctrl-C also ends the programs of a step, and their failure may be seen before the signal. */
async function unlessInterrupted(error: unknown, signal: AbortSignal): Promise<unknown> {
  if (!signal.aborted) await new Promise((resolve) => setTimeout(resolve, SIGNAL_DELAY_MS));
  return signal.aborted ? new Interrupted() : error;
}

const SIGNAL_DELAY_MS = 50;
