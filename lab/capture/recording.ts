// One recording: frames from a capture of `cap` into a pcap file. Frames are written out whenever
// the event loop has seen all that waited, and every so many within a burst that does not end; so
// when the process aborts because its interface went away, the file holds all but the last moment.
// `cap` gives no times: a frame has the time when it was handed to us, a little later than that of
// its arrival, strictly increasing. Times of two recorders tell order only beyond that delay.
import type { CapHandle, CapHandleOptions } from '../../src/datapath/cap-handle-unsafe.ts';
import { createPcapWriter, type PcapWriter } from '../pcap/write-pcap.ts';
import type { RecorderProblem, RecordReport, StartRecording } from './recorder-messages.ts';

const BURST_FRAMES = 1024;
const QUIET_TURNS = 5;
const QUIET_TURN_MS = 10;
const LONGEST_WAIT_MS = 2_000;

const ETHERNET_BYTES = 14;
const TAG_BYTES = 4;
const IPV6_HEADER_BYTES = 40;

export interface RecordingOptions {
  readonly order: StartRecording;
  /** MTU of the interface in bytes: a shorter frame is never truncated. */
  readonly mtu: number;
  readonly openHandle: (options: CapHandleOptions) => CapHandle;
  /** Told once, if the recording ends by itself. */
  readonly onEnd: (report: RecordReport) => void;
  /** Asked at every write within a burst; true ends the recording. */
  readonly orphaned: () => boolean;
}

export interface Recording {
  /** Waits until no more frames come, two seconds at most, and ends. */
  stop(): Promise<RecordReport>;
}

/** @throws Error if the file or the interface cannot be opened */
export function beginRecording(options: RecordingOptions): Recording {
  return new RunningRecording(options);
}

class RunningRecording implements Recording {
  readonly #options: RecordingOptions;
  readonly #writer: PcapWriter;
  readonly #handle: CapHandle;
  readonly #nextTimestampUs = wallClock();
  #truncatedFrames = 0;
  #unwritten = 0;
  #arrived = 0;
  #report: RecordReport | undefined;

  constructor(options: RecordingOptions) {
    const { order } = options;
    this.#options = options;
    // The capture first: if there is none, no file is left behind. Its frames come later.
    this.#handle = options.openHandle({
      interface: order.interface,
      filter: order.filter,
      bufferBytes: order.bufferBytes,
      onFrame: (frame, length) => this.#record(frame, length),
    });
    this.#writer = createPcapWriter(order.file, {
      limitFrames: order.limitFrames ?? undefined,
      limitBytes: order.limitBytes,
    });
  }

  async stop(): Promise<RecordReport> {
    const quiet = await this.#untilQuiet();
    return this.#end({ quiet });
  }

  /** Each turn of the event loop takes all that waits in the kernel, so quiet turns mean empty. */
  async #untilQuiet(): Promise<boolean> {
    let quietTurns = 0;
    const deadline = performance.now() + LONGEST_WAIT_MS;
    while (quietTurns < QUIET_TURNS && this.#report === undefined) {
      if (performance.now() > deadline) return false;
      const before = this.#arrived;
      await new Promise((resolve) => setTimeout(resolve, QUIET_TURN_MS));
      quietTurns = this.#arrived === before ? quietTurns + 1 : 0;
    }
    return true;
  }

  #record(frame: Buffer, length: number): void {
    if (this.#report !== undefined) return;
    this.#arrived += 1;
    const originalBytes = wireBytes(frame, length, this.#options.mtu);
    const bytes = frame.subarray(0, length);
    const timestampUs = this.#nextTimestampUs();
    try {
      if (!this.#writer.write({ timestampUs, bytes, originalBytes })) {
        this.#endEarly();
        return;
      }
      if (originalBytes > length) this.#truncatedFrames += 1;
      this.#scheduleWrite();
    } catch (error) {
      this.#endEarly(this.#writeFailed(error));
    }
  }

  #scheduleWrite(): void {
    this.#unwritten += 1;
    if (this.#unwritten === 1) setImmediate(() => this.#writeOut());
    if (this.#unwritten % BURST_FRAMES !== 0) return;
    this.#writer.flush();
    if (this.#options.orphaned()) this.#endEarly();
  }

  #writeOut(): void {
    this.#unwritten = 0;
    if (this.#report !== undefined) return;
    try {
      this.#writer.flush();
    } catch (error) {
      this.#endEarly(this.#writeFailed(error));
    }
  }

  #writeFailed(error: unknown): RecorderProblem {
    const message = `cannot write ${this.#options.order.file}: ${(error as Error).message}`;
    return { name: 'write-failed', message };
  }

  #endEarly(crashed?: RecorderProblem): void {
    this.#options.onEnd(this.#end({ quiet: false, crashed }));
  }

  #end(how: { quiet: boolean; crashed?: RecorderProblem | undefined }): RecordReport {
    if (this.#report !== undefined) return this.#report;
    const missedFrames = this.#handle.takeMissedFrames() ?? null;
    this.#handle.stop();
    const notClosed = this.#close();
    const crashed = how.crashed ?? notClosed;
    this.#report = {
      file: this.#options.order.file,
      frames: this.#writer.frames,
      bytes: this.#writer.bytes,
      truncatedFrames: this.#truncatedFrames,
      missedFrames,
      full: this.#writer.full ?? null,
      quiet: how.quiet,
      crashed: crashed ?? null,
    };
    return this.#report;
  }

  #close(): RecorderProblem | undefined {
    try {
      this.#writer.close();
      return undefined;
    } catch (error) {
      return this.#writeFailed(error);
    }
  }
}

/** Microseconds since 1970 from the monotonic clock, each call at least one more than the last. */
function wallClock(): () => number {
  let last = 0;
  return () => {
    const now = Math.floor((performance.timeOrigin + performance.now()) * 1000);
    last = Math.max(now, last + 1);
    return last;
  };
}

/**
 * Length of a captured frame on the wire. libpcap cuts a frame that offloads made longer than a
 * slot of its ring, and `cap` does not tell; then the IP header still says how long the packet is.
 */
export function wireBytes(frame: Buffer, length: number, mtu: number): number {
  if (length < mtu + ETHERNET_BYTES) return length;
  const tagged = frame.readUInt16BE(12) === 0x8100;
  const l3 = ETHERNET_BYTES + (tagged ? TAG_BYTES : 0);
  switch (frame.readUInt16BE(l3 - 2)) {
    case 0x0800:
      return Math.max(length, l3 + frame.readUInt16BE(l3 + 2));
    case 0x86dd:
      return Math.max(length, l3 + IPV6_HEADER_BYTES + frame.readUInt16BE(l3 + 4));
    default:
      return length;
  }
}
