// Imported first by every show-*.mjs: runs it again in namespaces of its own (private.sh), with a
// wire in them: what is sent on `left` arrives at `right`, and the other way round.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

if (process.env.FURIWAKE_NOTE !== 'inside') {
  const wire = fileURLToPath(new URL('private-wire.sh', import.meta.url));
  const { status } = spawnSync('sh', [wire, ...process.argv.slice(1)], { stdio: 'inherit' });
  process.exit(status ?? 1);
}
