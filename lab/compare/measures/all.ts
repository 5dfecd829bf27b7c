// All measures of a comparison, in the order in which a round takes them: the heavy ones first, so
// that latency is measured on a path that is warm.
import type { Measure } from '../measure.ts';
import { DOWNLOAD, UPLOAD } from './bulk.ts';
import { CONNECTIONS_PER_SECOND, REQUESTS_PER_SECOND } from './http.ts';
import { LATENCY_HALF, LATENCY_IDLE } from './latency.ts';
import { PACKETS } from './packets.ts';

export const MEASURE_LIST: readonly Measure[] = [
  UPLOAD,
  DOWNLOAD,
  PACKETS,
  CONNECTIONS_PER_SECOND,
  REQUESTS_PER_SECOND,
  LATENCY_IDLE,
  LATENCY_HALF,
];
