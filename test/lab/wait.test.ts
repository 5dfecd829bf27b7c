// Waiting on conditions: until they hold, until it is in vain, and what is said then.
import { describe, expect, it } from 'vitest';
import { until, WaitError } from '../../lab/wait.ts';

describe('until', () => {
  it('gives the first truthy value, and takes a throw for "not yet"', async () => {
    let looks = 0;
    const value = await until('the third look', () => {
      looks++;
      if (looks === 1) throw new Error('too early');
      return looks === 3 && 'seen';
    });
    expect(value).toBe('seen');
    expect(looks).toBe(3);
  });

  it('says what it waited for and what it saw last', async () => {
    const never = until('rain', () => Promise.reject(new Error('blue sky')), { timeoutMs: 30 });
    await expect(never).rejects.toThrow('waited 0.03 s for rain; last seen: blue sky');
    await expect(never).rejects.toBeInstanceOf(WaitError);
  });

  it('gives up at once when waiting is pointless', async () => {
    const giveUp = () => 'the well is dry';
    await expect(until('water', () => false, { giveUp })).rejects.toThrow(
      'waited for water, but the well is dry',
    );
  });
});
