// Tables of the page, each in a box of its own that scrolls when it is wider than the page, and the
// footnotes below one.
import { ABSENT } from './figures.ts';
import { type Content, type Html, html } from './html.ts';

export interface TableColumn {
  readonly title: Content;
  readonly align?: 'right';
}

/** Its first cell is the row's name. A reason fills the rest of the row. */
export type TableRow =
  | { readonly name: Content; readonly cells: readonly Content[] }
  | { readonly name: Content; readonly reason: string };

export function table(columns: readonly TableColumn[], rows: readonly TableRow[]): Html {
  const heads = columns.map(
    ({ title, align }) => html`<th scope="col"${classOf(align)}>${title}</th>`,
  );
  return html`<div class="scroll" tabindex="0"><table>
<thead><tr>${heads}</tr></thead>
<tbody>${rows.map((row) => rowOf(row, columns))}</tbody>
</table></div>`;
}

const classOf = (align: 'right' | undefined): Content =>
  align === undefined ? '' : html` class="${align}"`;

function rowOf(row: TableRow, columns: readonly TableColumn[]): Html {
  const name = html`<th scope="row">${row.name}</th>`;
  if ('reason' in row) {
    return html`<tr class="absent">${name}<td colspan="${columns.length - 1}">${row.reason}</td></tr>\n`;
  }
  const cells = row.cells.map(
    (cell, index) => html`<td${classOf(columns[index + 1]?.align)}>${cell}</td>`,
  );
  return html`<tr>${name}${cells}</tr>\n`;
}

/** Reasons below a table; the same reason has one letter wherever it is given. */
export class Footnotes {
  readonly #reasons: string[] = [];

  dash(reason: string): Html {
    return html`<span class="dash">${ABSENT}</span>${this.mark(reason)}`;
  }

  mark(reason: string): Html {
    if (!this.#reasons.includes(reason)) this.#reasons.push(reason);
    return html`<sup>${letter(this.#reasons.indexOf(reason))}</sup>`;
  }

  list(): Html {
    const lines = this.#reasons.map(
      (reason, index) => html`<li><sup>${letter(index)}</sup> ${reason}</li>`,
    );
    return lines.length === 0 ? html`` : html`<ul class="footnotes">${lines}</ul>`;
  }
}

const letter = (index: number): string => String.fromCharCode(97 + (index % 26));

export interface Section {
  /** In the address of its heading. */
  readonly id: string;
  readonly title: string;
  readonly body: Html;
}
