// The signals of a run. They are heard from the first moment on, so that one that comes during the
// start neither kills the process half-way nor is forgotten.
import { setTimeout as delay } from 'node:timers/promises';

export interface RunSignals {
  /** Aborted by SIGTERM and SIGINT. */
  readonly stop: AbortSignal;
  /** Says what SIGHUP does. One that came before is not forgotten: it does it at once. */
  onReload(reload: () => void): void;
  /** Gives the signals back. */
  close(): void;
}

export function listenForSignals(): RunSignals {
  const controller = new AbortController();
  const stop = () => controller.abort();
  let isAsked = false;
  let onReload = () => {
    isAsked = true;
  };
  const reload = () => onReload();
  process.on('SIGTERM', stop).on('SIGINT', stop).on('SIGHUP', reload);
  return {
    stop: controller.signal,
    onReload(action) {
      onReload = action;
      if (isAsked) action();
    },
    close: () => void process.off('SIGTERM', stop).off('SIGINT', stop).off('SIGHUP', reload),
  };
}

/** Waits, but not beyond the abort. */
export async function pause(ms: number, stop: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal: stop }).catch(() => {});
}
