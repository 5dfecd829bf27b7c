// The package cap as every datapath, in a child process on real wires.
import { whyNoNamespace } from '../linux/namespace.ts';
import { whyNoBuild } from './compile-child.ts';
import { describeDatapath } from './conformance.ts';
import { openWireStation } from './wire-station.ts';

describeDatapath('cap', {
  why: whyNoBuild() ?? whyNoNamespace(),
  open: () => openWireStation({ kind: 'cap' }),
  superFrames: false,
  filters: true,
});
