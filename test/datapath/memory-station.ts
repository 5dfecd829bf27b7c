// A station over memory: the wire towards the arms is `put`, that from them is `sent`.
import { openMemory } from '../../src/datapath/memory.ts';
import { parseMac } from '../../src/wire/address.ts';
import { createForwarder } from './forwarder.ts';
import { ARM_MACS, ARM_MTUS, type Station } from './station.ts';

export function openMemoryStation(): Station {
  const arms = ARM_MACS.map((text, index) => {
    const { high, low } = parseMac(text)!;
    const macs = { macHigh: high, macLow: low };
    return {
      ...{ name: `eth${index}`, interfaceIndex: 0, ...macs, mtu: ARM_MTUS[index]! },
      ...{ address: 0, prefixLength: 0 },
    };
  });
  const datapath = openMemory(arms);
  const forwarder = createForwarder(datapath);
  return {
    put: async (arm, frames) => {
      for (const frame of frames) datapath.put(frame, arm);
      while (forwarder.turn() > 0);
    },
    taken: async (arm) =>
      datapath.sent.filter((frame) => frame.arm === arm).map(({ bytes }) => bytes),
    setWays: async (ways) => forwarder.setWays(ways),
    setAhead: async (bytes) => forwarder.setAhead(bytes),
    inject: async (bytes, arm) => datapath.inject(bytes, arm),
    injectInBatch: async (bytes, arm) => forwarder.injectInBatch(bytes, arm),
    setAddresses: async () => {},
    seen: async () => forwarder.seen(),
    report: async () => structuredClone(forwarder.report()),
    close: async () => {
      datapath.close();
      return { descriptors: 0, mappings: 0 };
    },
    remove: async () => {},
  };
}
