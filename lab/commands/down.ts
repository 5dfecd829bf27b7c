// `furiwake lab down`: ends a lab through its owner, which removes it in order, and sweeps what
// dead owners left.
import { isOwnerAlive, labNamespaces, orphans, readState } from '../net/state.ts';
import { sweepOrphan } from '../net/sweeper.ts';
import { requireLab, UsageError } from '../requirements.ts';
import { until } from '../wait.ts';
import { findLab, idsOf, livingLabs } from './find.ts';

const END_TIMEOUT_MS = 15_000;

/** @param id undefined: sweeps all orphans and ends the only lab that is up */
export async function runDown(id: string | undefined): Promise<void> {
  requireLab(['ip']);
  const dead = orphans().filter((orphan) => id === undefined || orphan === id);
  for (const orphan of dead) {
    await sweepOrphan(orphan);
    console.log(`${orphan}: swept what its dead owner left`);
  }
  if (dead.length > 0 && (id !== undefined || livingLabs().length === 0)) return;
  if (id === undefined && livingLabs().length > 1) {
    throw new UsageError(`several labs are up; say which one: ${idsOf(livingLabs())}`);
  }
  await endLab(findLab(id).id);
}

async function endLab(id: string): Promise<void> {
  const owner = readState(id)?.ownerPid;
  if (owner !== undefined) process.kill(owner, 'SIGTERM');
  await until(
    `process ${owner}, the owner of ${id}, to remove it (kill -9 ${owner} if it hangs)`,
    () => isGone(id),
    { timeoutMs: END_TIMEOUT_MS },
  );
  console.log(`${id}: ended`);
}

function isGone(id: string): boolean {
  const state = readState(id);
  const owned = state !== undefined && isOwnerAlive(state);
  return !owned && state === undefined && labNamespaces(id).length === 0;
}
