// The way of the bytes: a picture for each path, and the figures that its arrows are drawn from.
import { throughBalancer } from '../../compare/derive.ts';
import type { CompareResult, PathResult } from '../../compare/result.ts';
import { figures } from '../chart.ts';
import { flowPicture } from '../charts/flow-picture.ts';
import { perByte } from '../figures.ts';
import { type Content, html } from '../html.ts';
import { measuredPaths, samplesOf } from '../look-up.ts';
import { colourOf } from '../path-style.ts';
import { Footnotes, type Section, type TableRow, table } from '../table.ts';
import { absenceOf } from './throughput.ts';

export function waySection(result: CompareResult): Section {
  const drawn = measuredPaths(result).filter(
    (path) => throughOf(path, 'download') !== null || throughOf(path, 'upload') !== null,
  );
  return {
    id: 'way',
    title: 'Which way the bytes go',
    body: html`<p>Arrows are as wide as the bytes that went this way for each byte that the
programs at the ends exchanged. Into and out of the balancer they are what the kernel of its host
counted, headers and both directions in it; “straight” is the rest, which never came near it.
Behind DSR and tunnels the thick arrow of the download does not touch the balancer; a pipe stands
for packets that travel within packets of the director’s own.</p>
${figures(
  drawn.map((path) => ({
    title: path.title,
    note: path.summary,
    chart: flowPicture({
      ...{ title: path.title, kind: path.kind, colour: colourOf(path.name) },
      through: { download: throughOf(path, 'download'), upload: throughOf(path, 'upload') },
    }),
  })),
)}
${crossings(result)}`,
  };
}

type Direction = 'download' | 'upload';

const throughOf = (path: PathResult, direction: Direction) =>
  throughBalancer(samplesOf(path, direction));

function crossings(result: CompareResult): Content {
  const footnotes = new Footnotes();
  const withFigures = measuredPaths(result);
  const rows = result.paths.map((path): TableRow => {
    const name = path.title;
    if (!withFigures.includes(path)) return { name, reason: absenceOf(path) };
    if (path.kind === 'none') {
      const dash = () => footnotes.dash('There is no balancer that bytes could cross.');
      return { name, cells: [dash(), dash(), dash(), dash()] };
    }
    const cells = (['download', 'upload'] as const).flatMap((direction): Content[] => {
      const through = throughOf(path, direction);
      const reason = path.measures[direction]?.reason ?? `The ${direction} was not measured.`;
      if (through === null) return [footnotes.dash(reason), footnotes.dash(reason)];
      return [perByte(through.in), perByte(through.out)];
    });
    return { name, cells };
  });
  const columns = ['Download: in', 'out', 'Upload: in', 'out'].map((title) => ({
    title,
    align: 'right' as const,
  }));
  return html`<h3>Bytes at the balancer for each byte delivered</h3>
${table([{ title: 'Path' }, ...columns], rows)}
${footnotes.list()}`;
}
