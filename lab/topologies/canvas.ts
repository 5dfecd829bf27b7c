// A sheet of characters to draw on, each with a colour. Lines in two kinds, so that two paths can
// cross and still be told apart without colours.
export type Paint = (text: string) => string;

const plain: Paint = (text) => text;

interface Cell {
  readonly character: string;
  readonly paint: Paint;
}

export class Canvas {
  readonly #rows: Cell[][] = [];

  /** Writes `text` with its first character at column `x` of row `y`; what was there is gone. */
  text(x: number, y: number, text: string, paint: Paint = plain): void {
    const row = this.#row(y);
    for (const [index, character] of [...text].entries()) row[x + index] = { character, paint };
  }

  /** A box of `width` columns with a title in its upper edge and a line of text in each row. */
  box(x: number, y: number, box: Box): void {
    const { width, title, lines, titlePaint = plain } = box;
    const inner = width - 2;
    this.text(x, y, `┌ ${title} ${'─'.repeat(inner - title.length - 2)}┐`);
    this.text(x + 2, y, title, titlePaint);
    for (const [index, line] of lines.entries()) {
      this.text(x, y + 1 + index, `│ ${line.padEnd(inner - 1)}│`);
    }
    this.text(x, y + 1 + lines.length, `└${'─'.repeat(inner)}┘`);
  }

  /** The sheet as lines without trailing blanks; neighbours of one colour are painted together. */
  render(): string {
    return this.#rows.map(renderRow).join('\n');
  }

  #row(y: number): Cell[] {
    while (this.#rows.length <= y) this.#rows.push([]);
    return this.#rows[y]!;
  }
}

export interface Box {
  readonly width: number;
  readonly title: string;
  readonly titlePaint?: Paint;
  readonly lines: readonly string[];
}

function renderRow(row: readonly Cell[]): string {
  let text = '';
  let run = '';
  let paint = plain;
  // A row may have gaps, which no iteration over its cells may skip.
  for (let x = 0; x < row.length; x++) {
    const cell = row[x] ?? { character: ' ', paint: plain };
    if (cell.paint !== paint) {
      text += run === '' ? '' : paint(run);
      run = '';
      paint = cell.paint;
    }
    run += cell.character;
  }
  const last = run.trimEnd();
  return last === '' ? text.trimEnd() : text + paint(last);
}
