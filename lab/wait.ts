// Waiting for a condition. The lab never sleeps for a while and hopes: it asks again and again, and
// when the time is over it says what it waited for and what it saw last.
import { setTimeout as pause } from 'node:timers/promises';

/** What was awaited did not come. */
export class WaitError extends Error {}

export interface UntilOptions {
  /** 10 seconds unless given. */
  readonly timeoutMs?: number;
  /** Time between two looks; 20 ms unless given. */
  readonly intervalMs?: number;
  /** A reason why waiting has become pointless, such as a process that died. */
  readonly giveUp?: () => string | undefined;
}

/**
 * Asks `check` until it gives something truthy. A check that throws counts as "not yet", and its
 * message is part of the error in the end.
 * @param description what is awaited, to fit after "waited for"
 */
export async function until<T>(
  description: string,
  check: () => T | Promise<T>,
  options: UntilOptions = {},
): Promise<NonNullable<Exclude<T, false>>> {
  const { timeoutMs = 10_000, intervalMs = 20 } = options;
  const start = performance.now();
  for (;;) {
    const { value, seen } = await look(check);
    if (value) return value as NonNullable<Exclude<T, false>>;
    const reason = options.giveUp?.();
    if (reason !== undefined) throw new WaitError(`waited for ${description}, but ${reason}`);
    if (performance.now() - start > timeoutMs) {
      throw new WaitError(`waited ${timeoutMs / 1000} s for ${description}; last seen: ${seen}`);
    }
    await pause(intervalMs);
  }
}

async function look<T>(check: () => T | Promise<T>): Promise<{ value?: T; seen: string }> {
  try {
    const value = await check();
    return { value, seen: String(value) };
  } catch (error) {
    return { seen: error instanceof Error ? error.message : String(error) };
  }
}
