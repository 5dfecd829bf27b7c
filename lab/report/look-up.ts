// Finding things in a result: paths by name, samples by measure, and what stands in a row where
// there are none.
import type {
  CompareResult,
  MeasureName,
  MeasureResult,
  PathName,
  PathResult,
  Sample,
} from '../compare/result.ts';

export const pathNamed = ({ paths }: CompareResult, name: PathName): PathResult | undefined =>
  paths.find((path) => path.name === name);

export const samplesOf = (path: PathResult | undefined, measure: MeasureName): readonly Sample[] =>
  path?.measures[measure]?.samples ?? [];

export const noneSamples = (result: CompareResult, measure: MeasureName): readonly Sample[] =>
  samplesOf(pathNamed(result, 'none'), measure);

/** Paths of which there is any figure. */
export const measuredPaths = ({ paths }: CompareResult): PathResult[] =>
  paths.filter(({ measures }) => Object.values(measures).some(({ samples }) => samples.length > 0));

const PATH_WORDS: Readonly<Record<PathResult['status'], string>> = {
  measured: 'not measured',
  missing: 'missing here',
  failed: 'failed',
  'not-run': 'not run',
};

const MEASURE_WORDS: Readonly<Record<MeasureResult['status'], string>> = {
  measured: 'not measured',
  failed: 'failed',
  'not-applicable': 'not applicable',
};

/** A word or two for the place of a figure that is not there. */
export function whyAbsent(path: PathResult, measure: MeasureName): string {
  const found = path.measures[measure];
  return found === undefined ? PATH_WORDS[path.status] : MEASURE_WORDS[found.status];
}
