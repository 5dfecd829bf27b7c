// The JSON Schema for editors says what the loader says, as far as JSON Schema can: every property
// is described, and what it states of a value agrees with what the loader accepts. The example is
// held against the loader.
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { EXAMPLE_CONFIG } from '../../src/cli/example.ts';
import { parseConfig } from '../../src/config/load.ts';
import { jsonSchema } from '../../src/config/schema.ts';
import { SCHEDULER_NAMES } from '../../src/schedule/scheduler.ts';

interface Schema {
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | false;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly required?: readonly string[];
  readonly [keyword: string]: unknown;
}

const schema = jsonSchema() as Schema;
const service = schema.properties?.services?.additionalProperties as Schema;
const real = service.properties?.reals?.items?.anyOf?.[1] as Schema;

/** Every property in a schema and below, with its path. */
function propertiesOf(node: Schema, path: string): [string, Schema][] {
  const inside = [node.items, node.additionalProperties || undefined, ...(node.anyOf ?? [])];
  return [
    ...Object.entries(node.properties ?? {}).flatMap(([name, property]): [string, Schema][] => [
      [`${path}/${name}`, property],
      ...propertiesOf(property, `${path}/${name}`),
    ]),
    ...inside.flatMap((child) => (child ? propertiesOf(child, `${path}/*`) : [])),
  ];
}

describe('the JSON Schema', () => {
  const properties = propertiesOf(schema, '');

  it('has every key', () => {
    expect(properties).toHaveLength(9 + 3 + 3 + 7 + 2 + 5 + 4 + 45 + 5 + 6);
  });

  it.each(properties)('describes %s', (_, property) => {
    expect(property.description).toMatch(/\w{3}/);
  });

  it('requires what has no default, and nothing else', () => {
    expect(schema.required).toEqual(['interfaces', 'services']);
    expect(service.required).toEqual(['vip', 'port', 'method', 'reals']);
    expect(real.required).toEqual(['address']);
  });

  it('allows no unknown keys', () => {
    for (const mapping of [schema, schema.properties?.ring, service, real])
      expect(mapping?.additionalProperties).toBe(false);
  });

  it('states the bounds and the lists', () => {
    expect(JSON.stringify(service.properties?.port)).toContain('"minimum":1,"maximum":65535');
    expect(real.properties?.port).toMatchObject({ minimum: 1, maximum: 65_535 });
    expect(real.properties?.weight).toMatchObject({ minimum: 0, maximum: 65_535, default: 1 });
    expect(service.properties?.scheduler).toMatchObject({
      enum: [...SCHEDULER_NAMES, 'mh'],
      default: 'maglev',
    });
    expect(schema.properties?.interfaces).toMatchObject({ minItems: 1, maxItems: 8 });
  });

  // Read back by zod's own reader of JSON Schema, so that the schema itself is at work here.
  const reader = z.fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0]);
  const web = { vip: '192.0.2.10', port: 80, method: 'dsr', reals: ['192.0.2.21'] };
  const fileWith = (change: object) => ({
    interfaces: ['eth0'],
    services: { web: { ...web, ...change } },
  });

  it.each([
    ['the least', {}],
    ['a real as a mapping', { reals: [{ address: '192.0.2.21', weight: 2 }] }],
    ['every key', { protocol: 'udp', scheduler: 'mh', hash: { port: false, fallback: false } }],
  ])('accepts %s', (_, change) => {
    expect(reader.safeParse(fileWith(change)).success).toBe(true);
  });

  it.each([
    ['an unknown key', { colour: 'blue' }],
    ['port 0', { port: 0 }],
    ['port 70000', { port: 70_000 }],
    ['a VIP that is no address', { vip: 'web.example' }],
    ['an unknown scheduler', { scheduler: 'llc' }],
    ['a flag that is no flag', { hash: { ports: true } }],
    ['a flag that is no boolean', { hash: { port: 'yes' } }],
    ['no reals', { reals: [] }],
    ['weight -1', { reals: [{ address: '192.0.2.21', weight: -1 }] }],
    ['no method', { method: undefined }],
  ])('rejects %s', (_, change) => {
    expect(reader.safeParse(fileWith(change)).success).toBe(false);
  });
});

describe('the example', () => {
  it('is a good configuration, with a service of each method', () => {
    const result = parseConfig(EXAMPLE_CONFIG, 'example');
    expect(result).toMatchObject({ ok: true });
    expect(result.ok && result.config.services.map(({ method }) => method)).toEqual([
      'dsr',
      'dsr',
      'nat',
      'gue',
    ]);
  });

  it('shows every key', () => {
    for (const [path] of propertiesOf(schema, ''))
      expect(EXAMPLE_CONFIG).toMatch(new RegExp(`\\b${path.split('/').at(-1)}:`));
  });

  it('shows the defaults where it says so', () => {
    const keys = ['datapath', 'guard', 'socket', 'ring', 'flows', 'workers', 'hashSeed'];
    const left = [...keys, '  maximum', '  halfOpenMaximum'];
    const lines = EXAMPLE_CONFIG.split('\n').filter(
      (line) => !left.some((key) => line.startsWith(`${key}:`)),
    );
    const short = parseConfig(lines.join('\n'), 'example');
    expect(short).toEqual(parseConfig(EXAMPLE_CONFIG, 'example'));
  });
});
