// Services in great number, as a table takes them: for tests of size.
import type { ServiceInput } from '../../src/director/table.ts';
import { schedulerNamed } from '../../src/schedule/schedulers.ts';

/**
 * TCP services of two reals each, in turn by DSR and by NAT. VIPs are 10.0.0.0 and on, each with
 * services on ports 80, 81 and on; reals have ids and addresses of their own.
 */
export function manyServices(services: number, vips: number): ServiceInput[] {
  return Array.from({ length: services }, (_, id) => {
    const ids = [2 * id, 2 * id + 1];
    const port = 80 + Math.floor(id / vips);
    const schedule = schedulerNamed('rr').build(
      ids.map((real) => ({ key: String(real), weight: 1 })),
      { seed: 1 },
    );
    return {
      id,
      vips: [{ address: 0x0a000000 + (id % vips), prefixLength: 32 }],
      ports: [{ from: port, to: port }],
      protocols: [6],
      schedule,
      reals: ids.map((real) => ({
        ...{ id: real, address: 0x0b000000 + real, port: 0, arm: 0 },
        method: id % 2 === 0 ? ('dsr' as const) : ('nat' as const),
      })),
    };
  });
}
