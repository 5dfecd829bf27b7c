// Random: each real as often as its weight says, whatever came before. `slots` holds the weights,
// `state` the random numbers.
import { drawByWeight, drawState, keepDrawing } from './draw.ts';
import type { Scheduler } from './scheduler.ts';
import { weightSchedule } from './weights.ts';

export const random: Scheduler = {
  name: 'random',
  summary: 'random: drawn by weight',
  consistent: false,
  build: (reals, options) => {
    return weightSchedule('random', reals, options, drawState(reals, options.seed));
  },
  choose: drawByWeight,
  takeOver: keepDrawing,
};
