// Questions for the flow table travel to the data plane and back as messages. Each has a number,
// and each is settled: by its answer, by the end of the data plane, or by time.
import type { ToDataPlane } from './messages.ts';
import type { FlowStatus } from './status.ts';

const TIMEOUT_MS = 3000;

export interface FlowQuestions {
  /** @throws Error if the data plane does not run or does not answer */
  ask(limit: number): Promise<readonly FlowStatus[]>;
  answer(request: number, flows: readonly FlowStatus[]): void;
  /** The data plane is gone: no question will be answered any more. */
  abandon(): void;
}

interface Waiting {
  resolve(flows: readonly FlowStatus[]): void;
  reject(error: Error): void;
}

/** @param post sends to the data plane, if there is one */
export function createFlowQuestions(post: (message: ToDataPlane) => void): FlowQuestions {
  const waiting = new Map<number, Waiting>();
  let asked = 0;
  const settle = (request: number): Waiting | undefined => {
    const found = waiting.get(request);
    waiting.delete(request);
    return found;
  };
  return {
    ask: (limit) =>
      new Promise((resolve, reject) => {
        asked += 1;
        const request = asked;
        const timer = setTimeout(
          () => settle(request)?.reject(new Error('the data plane does not answer')),
          TIMEOUT_MS,
        );
        waiting.set(request, {
          resolve: (flows) => {
            clearTimeout(timer);
            // Each worker gives so many.
            resolve(flows.slice(0, limit));
          },
          reject: (error) => {
            clearTimeout(timer);
            reject(error);
          },
        });
        post({ type: 'flows', request, limit });
      }),
    answer: (request, flows) => settle(request)?.resolve(flows),
    abandon() {
      for (const request of [...waiting.keys()]) {
        settle(request)?.reject(new Error('the data plane does not run at the moment'));
      }
    },
  };
}
