// The counters that move together, by what happened.

export const opened = (real: number, bytes: number): Record<string, number> => ({
  openedFlows: 1,
  [`real ${real} openedFlows`]: 1,
  ...requested(real, bytes),
});

export const requested = (real: number, bytes: number): Record<string, number> => ({
  [`real ${real} requestPackets`]: 1,
  [`real ${real} requestBytes`]: bytes,
});

export const replied = (real: number, bytes: number): Record<string, number> => ({
  [`real ${real} replyPackets`]: 1,
  [`real ${real} replyBytes`]: bytes,
});

export const droppedFor = (reason: string): Record<string, number> => ({
  droppedFrames: 1,
  [`drop ${reason}`]: 1,
});
