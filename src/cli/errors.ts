// What an operator did or met that the command cannot go on with. The message is all that is
// shown, without a stack; anything else that is thrown is a bug and shows its stack.
import { formatProblem, type Problem } from '../config/problem.ts';

/** 1: what was asked for failed or is not so. 2: wrong use or wrong input. */
export type FailureCode = 1 | 2;

export class OperatorError extends Error {
  readonly exitCode: FailureCode;

  constructor(message: string, exitCode: FailureCode) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** All problems of a configuration file in one message. */
export function invalidConfig(file: string, problems: readonly Problem[]): OperatorError {
  const lines = problems.map(formatProblem);
  const [first = ''] = lines;
  if (lines.length <= 1) return new OperatorError(first, 2);
  return new OperatorError(`${file} has ${lines.length} problems:\n  ${lines.join('\n  ')}`, 2);
}
