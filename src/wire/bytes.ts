// Runs of bytes into and out of a frame: options and payloads. Each call makes a view, so these are
// for `parse` and `emit` only and never for the hot path.

/** A copy of the bytes from `at` up to `end`. */
export function copyOut(frame: DataView, at: number, end: number): Uint8Array {
  return new Uint8Array(frame.buffer, frame.byteOffset + at, end - at).slice();
}

/** Writes `bytes` at `at`. @throws RangeError if they do not fit */
export function copyIn(frame: DataView, at: number, bytes: Uint8Array): void {
  new Uint8Array(frame.buffer, frame.byteOffset + at, bytes.length).set(bytes);
}
