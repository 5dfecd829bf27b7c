// A station over real wires, for ring and cap: the datapath runs in a child process in one network
// namespace, the far ends of its wires in another.
import type { Arm } from '../../src/datapath/datapath.ts';
import { parseIpv4, parseMac } from '../../src/wire/address.ts';
import { type Child, startChild } from './child.ts';
import { compileChildren } from './compile-child.ts';
import type { Report, SeenFrame } from './forwarder.ts';
import { ARM_MACS, ARM_MTUS, REAL, type Remains, type Station, VIP } from './station.ts';
import { makeWires, type Wires } from './wires.ts';

const SOURCES = [
  ...['station-child.ts', 'far-end-child.ts', 'forwarder.ts', 'answer-parent.ts'],
] as const;

export interface TakenFrame {
  /** The virtio_net_hdr that it arrived with. */
  readonly header: Uint8Array;
  readonly bytes: Uint8Array;
}

export interface WireStation extends Station {
  readonly wires: Wires;
  /** The process of the datapath under test. */
  readonly child: Child;
  takenWhole(arm: number): Promise<readonly TakenFrame[]>;
}

export interface WireStationOptions {
  readonly kind: 'ring' | 'tc' | 'cap';
  /** Slots of the ring. */
  readonly slots?: number;
  /** VLANs of each arm that are other interfaces' affair. */
  readonly vlans?: readonly number[];
}

const addresses = (texts: readonly string[]) => Int32Array.from(texts, (text) => parseIpv4(text)!);

export async function openWireStation(options: WireStationOptions): Promise<WireStation> {
  const wires = makeWires();
  const folder = compileChildren(SOURCES);
  const child = startChild(wires.director, folder.path('station-child.js'));
  const far = startChild(wires.hosts, folder.path('far-end-child.js'));
  const remove = async () => {
    await Promise.all([child.end(), far.end()]);
    wires.remove();
    folder.remove();
  };
  try {
    await far.ask('open', ['eth0', 'eth1']);
    const wanted = { vips: addresses([VIP]), reals: addresses([REAL]) };
    await child.ask('open', {
      slots: 256,
      ...options,
      arms: armsOn(wires, options.vlans),
      ...wanted,
    });
  } catch (error) {
    await remove();
    throw error;
  }
  const takenWhole = keepFetching((arm, from) => far.ask('taken', arm, from));
  const seen = keepFetching((_, from) => child.ask('seen', from));
  return {
    wires,
    child,
    takenWhole: (arm) => takenWhole(arm) as Promise<TakenFrame[]>,
    put: (arm, frames) => far.ask('put', arm, frames) as Promise<void>,
    taken: async (arm) => ((await takenWhole(arm)) as TakenFrame[]).map(({ bytes }) => bytes),
    setWays: (ways) => child.ask('setWays', ways) as Promise<void>,
    setAhead: (bytes) => child.ask('setAhead', bytes) as Promise<void>,
    inject: (bytes, arm) => child.ask('inject', bytes, arm) as Promise<void>,
    injectInBatch: (bytes, arm) => child.ask('injectInBatch', bytes, arm) as Promise<void>,
    setAddresses: (vips, reals) => {
      const wanted = { vips: addresses(vips), reals: addresses(reals) };
      return child.ask('setAddresses', wanted) as Promise<void>;
    },
    seen: () => seen(0) as Promise<SeenFrame[]>,
    report: () => child.ask('report') as Promise<Report>,
    close: () => child.ask('close') as Promise<Remains>,
    remove,
  };
}

/** Fetches a list that only grows, each time only what is new of it. */
function keepFetching(fetch: (key: number, from: number) => Promise<unknown>) {
  const lists = new Map<number, unknown[]>();
  return async (key: number): Promise<unknown[]> => {
    const list = lists.get(key) ?? [];
    lists.set(key, list);
    list.push(...((await fetch(key, list.length)) as unknown[]));
    return list;
  };
}

function armsOn(wires: Wires, vlans: readonly number[] = []): Arm[] {
  return ARM_MACS.map((text, index) => {
    const { high, low } = parseMac(text)!;
    const name = `eth${index}`;
    return {
      ...{ name, interfaceIndex: wires.indexOf(name), macHigh: high, macLow: low },
      ...{ address: 0, prefixLength: 0, mtu: ARM_MTUS[index]!, vlans },
    };
  });
}
