// HTML as a type of its own, so that a text from outside cannot become a tag: what the template
// puts between its own pieces is escaped unless it is HTML already.

export class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export type Content = string | number | Html | readonly Content[] | null | undefined;

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** For text and for values of attributes in either kind of quotes. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character]!);
}

export function html(pieces: TemplateStringsArray, ...values: readonly Content[]): Html {
  const parts = pieces.flatMap((piece, index) => [piece, textOf(values[index])]);
  return new Html(parts.join(''));
}

function textOf(content: Content): string {
  if (content === null || content === undefined) return '';
  if (content instanceof Html) return content.text;
  if (typeof content === 'object') return content.map(textOf).join('');
  return escapeHtml(String(content));
}

/** A link to a file beside the page. Whatever the file is called, it leads nowhere else. */
export function besideThePage(file: string): string {
  return `./${file.split('/').map(encodeURIComponent).join('/')}`;
}
