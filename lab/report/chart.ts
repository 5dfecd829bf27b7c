// Charts as SVG texts. Colours are variables of the page, so that one picture serves the light and
// the dark scheme and the printer; it scales with its box, which is why all of them are of the same
// small width. The same option always gives the same text.
import * as echarts from 'echarts';
import { type Content, escapeHtml, Html, html } from './html.ts';

/** In pixels at which text has the size it says; about half of the page's width. */
export const CHART_WIDTH = 470;

export const INK = 'var(--ink)';
export const DIM = 'var(--dim)';
export const RULE = 'var(--rule)';
export const PAPER = 'var(--paper)';

export const FONT = 'system-ui, sans-serif';
export const TEXT_SIZE = 12;

export interface Chart {
  /** What it shows, for people who do not see it. */
  readonly description: string;
  readonly height: number;
  readonly option: echarts.EChartsOption;
}

const THEME: echarts.EChartsOption = {
  animation: false,
  backgroundColor: 'transparent',
  textStyle: { fontFamily: FONT, fontSize: TEXT_SIZE },
};

export function drawChart({ description, height, option }: Chart): Html {
  const size = { width: CHART_WIDTH, height };
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, ...size });
  try {
    chart.setOption({ ...THEME, ...option });
    return new Html(labelled(cleaned(chart.renderToSVGString({ useViewBox: true })), description));
  } finally {
    chart.dispose();
  }
}

/**
 * Without what only scripts and mice would use, and without addresses of namespaces, which HTML
 * does not need. Texts within are escaped, so that no tag or quote in them can match.
 */
function cleaned(svg: string): string {
  return svg
    .replace(/<style ?>[\s\S]*?<\/style>/g, '')
    .replace(/ (xmlns(:xlink)?|version|baseProfile|class|ecmeta_\w+|pointer-events)="[^"]*"/g, '')
    .replace(/<rect width="\d+" height="\d+" x="0" y="0" fill="none"><\/rect>/, '')
    .trim();
}

/** Ids count up over all charts of a process; a page needs ids of its own that stay the same. */
function labelled(svg: string, description: string): string {
  const label = `<svg role="img" aria-label="${escapeHtml(description)}" `;
  return svg.replace(/^<svg /, label).replace(/\bzr\d+-c/g, `${idOf(description)}-c`);
}

const idOf = (text: string): string => `chart-${text.toLowerCase().replace(/[^a-z0-9]+/g, '-')}`;

export interface Figure {
  readonly title: Content;
  readonly note?: Content;
  readonly chart: Chart;
}

export function figure({ title, note, chart }: Figure): Html {
  const below = note === undefined ? '' : html`<figcaption>${note}</figcaption>`;
  return html`<figure><h3>${title}</h3>${drawChart(chart)}${below}</figure>`;
}

/** Two beside each other where there is room. Without figures there is no picture: undefined. */
export function figures(list: readonly (Figure | undefined)[]): Html {
  const drawn = list.filter((each) => each !== undefined);
  return drawn.length === 0 ? html`` : html`<div class="figures">${drawn.map(figure)}</div>`;
}
