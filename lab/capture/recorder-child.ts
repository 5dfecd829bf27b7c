// The process of one recorder: it captures on one interface until it is told to stop. `cap` may
// abort its process at any time, so each recorder has one of its own, and a parent that expects it
// (record.ts). It ends with its parent.
import { openCapHandle } from '../../src/datapath/cap-handle-unsafe.ts';
import { readInterface } from '../../src/linux/interfaces.ts';
import type { FromRecorder, StartRecording, ToRecorder } from './recorder-messages.ts';
import { beginRecording, type Recording } from './recording.ts';

const parent = process.ppid;
let recording: Recording | undefined;

process.on('message', (message: ToRecorder) => {
  if (message.type === 'start') start(message);
  else void recording?.stop().then((report) => tellLast({ type: 'report', report }));
});
process.on('disconnect', () => {
  if (recording === undefined) process.exit(0);
  void recording.stop().then(() => process.exit(0));
});

function start(order: StartRecording): void {
  try {
    const found = readInterface(order.interface);
    if (!found.ok) throw new Error(found.problem);
    recording = beginRecording({
      order,
      mtu: found.interface.mtu,
      openHandle: openCapHandle,
      onEnd: (report) => tellLast({ type: 'report', report }),
      orphaned: () => process.ppid !== parent,
    });
    tell({ type: 'ready' });
  } catch (error) {
    tellLast({ type: 'failed', message: (error as Error).message });
  }
}

function tell(message: FromRecorder): void {
  if (process.connected) process.send?.(message);
}

/** Says the last thing and ends; also if the parent hears nothing any more. */
function tellLast(message: FromRecorder): void {
  if (process.connected) process.send?.(message, () => process.exit(0));
  else process.exit(0);
}
