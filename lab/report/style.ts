// The page's one style sheet: light and dark by the reader's preference, light on paper, whatever
// the preference; no font, picture or file from anywhere else.
import { colourVariables } from './path-style.ts';

const LIGHT = `--paper:#fff;--ink:#1d2126;--dim:#656c75;--rule:#e0e3e7;--soft:#f4f5f7;
--link:#0b5cad;--good:#0a6b3d;--bad:#b3261e;${colourVariables('light')}`;

const DARK = `--paper:#15181c;--ink:#e6e8eb;--dim:#9aa2ac;--rule:#2d3238;--soft:#1e2227;
--link:#7cb8f5;--good:#5fca94;--bad:#f58a82;${colourVariables('dark')}`;

const TEXT = `
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif;
font-variant-numeric:lining-nums}
.page{max-width:1040px;margin:0 auto;padding:40px 24px 80px}
h1{font-size:1.9rem;line-height:1.2;margin:0 0 .3rem;letter-spacing:-.01em}
h2{font-size:1.35rem;line-height:1.3;margin:3.4rem 0 .7rem;padding-top:1.1rem;
border-top:1px solid var(--rule);letter-spacing:-.005em}
h3{font-size:1rem;line-height:1.4;margin:1.9rem 0 .5rem}
p,li,dd{max-width:44rem;overflow-wrap:anywhere}
p{margin:.6rem 0}
a{color:var(--link);text-underline-offset:2px}
.meta,.small,figcaption,.footnotes,.looked,.unit{color:var(--dim)}
.meta{margin:0}
.small,.footnotes,figcaption{font-size:.875rem;line-height:1.45}
.unit{font-weight:400}
.summary{font-size:1.15rem;line-height:1.55;margin:1.4rem 0}
.notice{border-left:3px solid var(--dim);padding:.15rem 0 .15rem .75rem}
nav ol{list-style:none;margin:0;padding:0;display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;
font-size:.9375rem}
nav li{max-width:none}`;

const FIGURES = `
.figures{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:28px 40px;margin:1.4rem 0}
figure{margin:0;min-width:0}
figure h3{margin:0 0 .35rem}
figure svg{display:block;width:100%;height:auto}
figcaption{margin-top:.25rem}
@media (max-width:760px){.figures{grid-template-columns:minmax(0,1fr);gap:30px}
.page{padding:24px 14px 60px}}
.advice{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:0 32px}
@media (max-width:860px){.advice{grid-template-columns:minmax(0,1fr)}}
.advice h3{margin-top:1rem}
.advice ul{margin:0;padding-left:1.1rem}
.advice li{margin:.35rem 0;overflow-wrap:break-word}`;

const TABLES = `
.scroll{overflow-x:auto;margin:.6rem 0}
table{border-collapse:collapse;width:100%;font-size:.875rem;line-height:1.4;
font-variant-numeric:tabular-nums lining-nums}
th,td{text-align:left;vertical-align:top;padding:.4rem .9rem .4rem 0;
border-bottom:1px solid var(--rule)}
th:last-child,td:last-child{padding-right:0}
thead th{color:var(--dim);font-weight:500;white-space:nowrap;vertical-align:bottom}
tbody th{font-weight:500;white-space:nowrap}
.right{text-align:right;white-space:nowrap}
b{font-weight:600}
.spread{display:block;color:var(--dim);font-size:.8125rem}
.absent td,.dash{color:var(--dim)}
.absent td{min-width:18rem}
sup{font-size:.7em;line-height:0;margin-left:.15em;color:var(--dim)}
.footnotes{list-style:none;margin:.3rem 0;padding:0}
.prose-table tbody th{white-space:normal;width:40%;min-width:10rem}
.prose-table td{min-width:12rem}
dl{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:.3rem 1.4rem;margin:.8rem 0}
dt{color:var(--dim)}dd{margin:0}
@media (max-width:520px){dl{grid-template-columns:minmax(0,1fr);gap:0}dd{margin-bottom:.5rem}}`;

const EVIDENCE = `
code,pre{font-family:ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace;
font-size:.8125rem}
pre{background:var(--soft);padding:.8rem 1rem;overflow-x:auto;line-height:1.5;margin:.4rem 0;
border-radius:4px}
details{margin:.4rem 0}
summary{cursor:pointer;color:var(--dim)}
.badge{display:inline-block;font-size:.75rem;font-weight:600;line-height:1.5;padding:0 .45rem;
border:1px solid currentColor;border-radius:3px;white-space:nowrap}
.holds{color:var(--good)}.fails{color:var(--bad)}.not-tested{color:var(--dim)}
.claims,.files{list-style:none;margin:.3rem 0;padding:0}
.claims>li{margin:.6rem 0;max-width:none}
.frames,.files{font-size:.875rem}
.frames{display:flex;flex-wrap:wrap;gap:0 1.4rem;overflow-wrap:anywhere}
.commands{font-size:.875rem;margin:0}
.commands pre{margin:.2rem 0 .4rem}
.looked{font-size:.875rem;white-space:nowrap}`;

const PRINT = `
@media print{
:root{${LIGHT}}
@page{margin:15mm}
body{font-size:10.5pt}
.page{max-width:none;padding:0}
nav,summary{color:inherit}
h2{break-before:auto;break-after:avoid;margin-top:1.6rem}
h3,h2+p{break-after:avoid}
figure,tr,.claims>li,.advice section{break-inside:avoid}
.figures{gap:16px 24px;grid-template-columns:repeat(2,minmax(0,1fr))}
.scroll{overflow:visible}
table{font-size:7.5pt}.spread{font-size:7pt}
th,td{padding-right:.5rem}
pre{white-space:pre-wrap;overflow:visible;overflow-wrap:anywhere;font-size:7.5pt}
a{color:inherit}
details::details-content{content-visibility:visible;block-size:auto;display:block}
}`;

export const STYLE = `:root{color-scheme:light dark;${LIGHT}}
@media screen and (prefers-color-scheme:dark){:root{${DARK}}}
${TEXT}${FIGURES}${TABLES}${EVIDENCE}${PRINT}`;
