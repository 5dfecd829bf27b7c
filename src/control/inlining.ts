// V8 stops inlining when a function has grown by 920 bytes of bytecode, which is less than a
// packet's way through the director; each call that stays one costs several nanoseconds (measured:
// `npm run bench core`, 22 ns a packet). To be called before the hot functions run for the first
// time.
import { setFlagsFromString } from 'node:v8';

export function inlineGenerously(): void {
  setFlagsFromString('--max-inlined-bytecode-size=2000');
  setFlagsFromString('--max-inlined-bytecode-size-cumulative=5000');
}
