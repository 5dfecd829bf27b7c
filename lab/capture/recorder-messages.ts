// What a recorder and its parent say to each other, as JSON over the child's IPC channel.

export interface StartRecording {
  readonly type: 'start';
  readonly interface: string;
  /** The pcap file to write. */
  readonly file: string;
  /** As pcap-filter(7) has it; empty for all frames. */
  readonly filter: string;
  readonly limitFrames: number | null;
  readonly limitBytes: number;
  readonly bufferBytes: number;
}

export type ToRecorder = StartRecording | { readonly type: 'stop' };

/** What came of a recording. */
export interface RecordReport {
  readonly file: string;
  /** Frames in the file. */
  readonly frames: number;
  /** Bytes of these frames as captured. */
  readonly bytes: number;
  /** Frames that were longer than what libpcap gave of them. */
  readonly truncatedFrames: number;
  /** Frames that the kernel lost because its ring was full; null if that cannot be known. */
  readonly missedFrames: number | null;
  /** The limit that ended the recording; null if none did. */
  readonly full: 'frames' | 'bytes' | null;
  /** False if frames still came when the recording was stopped. */
  readonly quiet: boolean;
  /** Why the recording ended before it was told to; null if it did not. The file is readable. */
  readonly crashed: RecorderProblem | null;
}

export interface RecorderProblem {
  /**
   * `link-lost`: the interface went down or was removed. `write-failed`: the file could not be
   * written, as on a full disk. `unresponsive`: it did not stop. `killed`: anything else.
   */
  readonly name: 'link-lost' | 'write-failed' | 'unresponsive' | 'killed';
  readonly message: string;
}

export type FromRecorder =
  | { readonly type: 'ready' }
  | { readonly type: 'failed'; readonly message: string }
  | { readonly type: 'report'; readonly report: RecordReport };
