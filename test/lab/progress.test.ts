// The bar on a terminal: a small one, of what the bar uses of it, shows what a person would see.
import { Writable } from 'node:stream';
import { expect, test } from 'vitest';
import { startProgress } from '../../lab/progress.ts';

const ESCAPE = '\u001b';
const SEQUENCE = new RegExp(`${ESCAPE}(?:([78])|\\[(\\??)(\\d*)([A-Za-z]))|[\\s\\S]`, 'y');

/** A terminal of some columns that never scrolls. */
class Terminal extends Writable {
  readonly isTTY = true;
  readonly columns: number;
  readonly #rows: string[][] = [];
  #x = 0;
  #y = 0;
  #saved = { x: 0, y: 0 };
  #wraps = true;

  constructor(columns: number) {
    super();
    this.columns = columns;
  }

  get lines(): string[] {
    return Array.from(this.#rows, (row) => (row ?? []).join('').trimEnd());
  }

  override _write(chunk: Buffer, _: string, done: () => void): void {
    const text = chunk.toString();
    SEQUENCE.lastIndex = 0;
    for (let match = SEQUENCE.exec(text); match !== null; match = SEQUENCE.exec(text)) {
      this.#take(match);
    }
    done();
  }

  /** What is not known here, such as a colour or a hidden cursor, moves nothing. */
  #take([all, cursor, mode, value, letter]: RegExpExecArray): void {
    if (cursor === '7') this.#saved = { x: this.#x, y: this.#y };
    else if (cursor === '8') ({ x: this.#x, y: this.#y } = this.#saved);
    else if (mode === '?' && value === '7') this.#wraps = letter === 'h';
    else if (letter === 'G') this.#x = Number(value || 1) - 1;
    else if (letter === 'K') this.#row().splice(value === '2' || value === '1' ? 0 : this.#x);
    else if (letter === undefined) this.#print(all);
  }

  #print(character: string): void {
    if (character === '\r') this.#x = 0;
    else if (character === '\n') this.#goTo(0, this.#y + 1);
    else {
      if (this.#x === this.columns) {
        if (this.#wraps) this.#goTo(0, this.#y + 1);
        else this.#x -= 1;
      }
      const row = this.#row();
      while (row.length < this.#x) row.push(' ');
      row[this.#x++] = character;
    }
  }

  #goTo(x: number, y: number): void {
    this.#x = x;
    this.#y = y;
  }

  #row(): string[] {
    this.#rows[this.#y] ??= [];
    return this.#rows[this.#y]!;
  }
}

function shown(columns: number, notes: readonly string[]): string[] {
  const terminal = new Terminal(columns);
  const stream = terminal as unknown as NodeJS.WriteStream;
  const progress = startProgress({ title: 'Comparing', seconds: [10, 10] }, stream);
  progress.begin('the first');
  for (const note of notes) progress.note(note);
  progress.begin('the second');
  progress.end();
  stream.write('the table\n');
  return terminal.lines.filter((line) => line !== '');
}

test('leaves all notes above what is written after it', () => {
  const notes = ['IPVS DR is missing', 'HAProxy failed'];
  expect(shown(80, notes)).toEqual([
    'Comparing: about 20 s',
    '  IPVS DR is missing',
    '  HAProxy failed',
    'the table',
  ]);
});

test('shows the whole of a note that is longer than the terminal is wide', () => {
  expect(shown(20, ['IPVS DR is missing: no ip_vs here'])).toEqual([
    'Comparing: about 20',
    's',
    '  IPVS DR is missing',
    ': no ip_vs here',
    'the table',
  ]);
});
