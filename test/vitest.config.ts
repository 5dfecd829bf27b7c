// Tests run in forked processes, because native addons do not share a process well, and two files
// at a time at most: two cores do not carry more.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

// Longest first. Without figures of an earlier run, vitest starts the largest files first; these
// are small ones that take long, and one of them begun last would run alone, beside an idle core.
const SLOW = [
  ...['lab/verify-lab', 'fuzz/frames', 'native-notes', 'lab/commands', 'lab/verify-breaks'],
  ...['lab/recovery', 'lab/life', 'fuzz/frames-of-all', 'fuzz/batches', 'director/no-allocation'],
  ...['simulation/director'],
].map((name) => `${ROOT}test/${name}.test.ts`);
const gone = SLOW.filter((file) => !existsSync(file));
if (gone.length > 0) throw new Error(`no such test, correct SLOW: ${gone.join(', ')}`);

class SlowFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification) => (SLOW.indexOf(moduleId) + 1 || 100) - 1;
    return (await super.sort(files)).sort((one, other) => place(one) - place(other));
  }
}

export default defineConfig({
  root: ROOT,
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 2,
    sequence: { sequencer: SlowFirst },
    testTimeout: 60_000,
    hookTimeout: 120_000,
    reporters: ['default'],
  },
});
