// An option's value that counts something: rounds, seconds.
import { InvalidArgumentError } from 'commander';

/** Reads a whole number from 1. */
export function wholeNumber(largest: number) {
  return (text: string): number => {
    const value = /^\d{1,6}$/.test(text) ? Number(text) : 0;
    if (value >= 1 && value <= largest) return value;
    throw new InvalidArgumentError(`Allowed: a whole number from 1 to ${largest}.`);
  };
}
