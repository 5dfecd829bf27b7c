// Finds the lab that a command means: the one that was named, or the only one there is.
import { isOwnerAlive, type LabState, readStates } from '../net/state.ts';
import { UsageError } from '../requirements.ts';

/** Labs whose owner lives. */
export function livingLabs(): LabState[] {
  return readStates().filter(isOwnerAlive);
}

/** @throws UsageError if there is no such lab, or several and none was named */
export function findLab(id: string | undefined): LabState {
  const labs = livingLabs();
  if (labs.length === 0) {
    throw new UsageError('no lab is up; start one in another terminal: furiwake lab up dsr');
  }
  if (id !== undefined) {
    const named = labs.find((lab) => lab.id === id);
    if (named !== undefined) return named;
    throw new UsageError(`found lab ${id}; there are: ${idsOf(labs)}`);
  }
  if (labs.length === 1) return labs[0]!;
  throw new UsageError(`several labs are up; say which one: ${idsOf(labs)}`);
}

export function idsOf(labs: readonly LabState[]): string {
  return labs.map((lab) => `${lab.id} (${lab.title})`).join(', ');
}
