// The signals of a run. They are heard from the first moment on, so that one that comes during the
// start neither kills the process half-way nor is forgotten.
import { setTimeout as delay } from 'node:timers/promises';

export interface RunSignals {
  /** Aborted by SIGTERM and SIGINT. */
  readonly stop: AbortSignal;
  /** What SIGHUP does. Before this is set it does nothing: the configuration was read just now. */
  onReload: () => void;
  /** Gives the signals back. */
  close(): void;
}

export function listenForSignals(): RunSignals {
  const controller = new AbortController();
  const stop = () => controller.abort();
  const reload = () => signals.onReload();
  process.on('SIGTERM', stop).on('SIGINT', stop).on('SIGHUP', reload);
  const signals: RunSignals = {
    stop: controller.signal,
    onReload: () => {},
    close: () => void process.off('SIGTERM', stop).off('SIGINT', stop).off('SIGHUP', reload),
  };
  return signals;
}

/** Waits, but not beyond the abort. */
export async function pause(ms: number, stop: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal: stop }).catch(() => {});
}
