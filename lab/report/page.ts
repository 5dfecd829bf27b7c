// The shell of a page: one HTML text that asks for nothing else, no script, no font, no file.
import { type Content, Html, html } from './html.ts';
import { STYLE } from './style.ts';
import type { Section } from './table.ts';

export interface Page {
  /** Of the window. */
  readonly title: string;
  /** What stands above the contents: the heading and what is to be known first. */
  readonly header: Content;
  readonly sections: readonly Section[];
}

export function renderPage({ title, header, sections }: Page): string {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>${new Html(STYLE)}</style>
</head>
<body>
<div class="page">
<header>
${header}
</header>
<nav aria-label="Contents"><ol>${sections.map(entryOf)}</ol></nav>
<main>
${sections.map(renderSection)}
</main>
</div>
</body>
</html>
`.text;
}

const entryOf = ({ id, title }: Section): Html => html`<li><a href="#${id}">${title}</a></li>`;

const renderSection = ({ id, title, body }: Section): Html => html`<section>
<h2 id="${id}">${title}</h2>
${body}
</section>
`;
