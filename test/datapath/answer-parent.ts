// The child's side of child.ts.
type Handler = (...values: never[]) => unknown;

interface Question {
  readonly id: number;
  readonly name: string;
  readonly values: never[];
}

/** Answers the parent by these handlers for as long as there is a parent. */
export function answerParent(handlers: Readonly<Record<string, Handler>>): void {
  process.on('message', ({ id, name, values }: Question) => {
    void answer(handlers[name], values).then((result) => process.send?.({ id, ...result }));
  });
  process.on('disconnect', () => process.exit(0));
}

async function answer(handler: Handler | undefined, values: never[]) {
  try {
    if (handler === undefined) throw new Error('no such question');
    return { value: await handler(...values) };
  } catch (error) {
    return { failure: (error as Error).message };
  }
}
