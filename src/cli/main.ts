#!/usr/bin/env node
// The program's first step, which must come before its modules are loaded: that alone would make
// the heap of a director twice as large as it needs to be.
import { keepYoungSpacesSmall } from '../control/v8-settings.ts';

// What the lab computes is large at times, and soon over.
if (process.argv[2] !== 'lab') keepYoungSpacesSmall();
await import('./program.ts');
