"""The page's style sheet: one column on a phone, light or dark as the reader likes, plain on paper."""

CSS = """
:root {
  --bg: #ffffff; --ink: #1d2126; --muted: #59616b; --rule: #d9dde2; --soft: #f4f6f8; --accent: #0b62b8;
  --good: #14713d; --good-bg: #e2f4e9; --bad: #a3201d; --bad-bg: #fce8e6; --wrong: #c2410c;
  --c0: #0b6bb5; --c1: #c2500a; --c2: #007a5a; --c3: #ab4f86; --c4: #3a8fc4; --c5: #a87000;
  --c6: #6b5413; --c7: #30363d;
  color-scheme: light dark;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --bg: #14171a; --ink: #e8eaed; --muted: #a5adb6; --rule: #363c43; --soft: #1d2126; --accent: #6db3f2;
    --good: #7fdca4; --good-bg: #12331f; --bad: #ff9d94; --bad-bg: #431815; --wrong: #fb923c;
    --c0: #5aaeee; --c1: #ff9350; --c2: #2fc79a; --c3: #e493c4; --c4: #8fd0f5; --c5: #e8b33e; --c6: #cdb36a;
    --c7: #cfd5db;
  }
}
* { box-sizing: border-box; }
html { scroll-behavior: smooth; }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
body {
  margin: 0 auto; padding: 1.25rem 1rem 4rem; max-width: 66rem; background: var(--bg); color: var(--ink);
  font: 1rem/1.55 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  overflow-wrap: break-word;
}
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0.2rem 0; }
h2 { font-size: 1.35rem; margin: 3rem 0 0.5rem; padding-top: 1rem; border-top: 2px solid var(--ink); }
h3 { font-size: 1.1rem; margin: 2.25rem 0 0.5rem; }
p { margin: 0.5rem 0; max-width: 48rem; }
a { color: var(--accent); }
.eyebrow, figcaption, caption, .muted { color: var(--muted); }
.eyebrow { margin: 0; font-size: 0.875rem; }
.skip { position: absolute; left: -999rem; }
.skip:focus { position: static; }
nav ul { display: flex; flex-wrap: wrap; gap: 0.25rem 1rem; margin: 1rem 0 0; padding: 0; list-style: none; }
nav a { display: inline-block; padding: 0.25rem 0; }
.cards {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: 0.75rem; margin: 1rem 0;
}
.cards div { background: var(--soft); border-radius: 0.5rem; padding: 0.75rem 0.9rem; }
.cards dt { color: var(--muted); font-size: 0.875rem; }
.cards dd { margin: 0; }
.cards b { display: block; font-size: 1.6rem; line-height: 1.25; font-variant-numeric: tabular-nums; }
.cards span { color: var(--muted); font-size: 0.875rem; }
.badge {
  display: inline-block; padding: 0 0.55rem; border-radius: 1rem; font-size: 0.875rem; font-weight: 600;
}
.good { color: var(--good); background: var(--good-bg); }
.bad { color: var(--bad); background: var(--bad-bg); }
.wide { overflow-x: auto; margin: 0.75rem 0 1.25rem; }
table {
  border-collapse: collapse; font-size: 0.9rem; font-variant-numeric: tabular-nums;
  min-width: min(100%, 24rem);
}
caption { text-align: left; padding-bottom: 0.3rem; font-size: 0.875rem; }
th, td {
  padding: 0.3rem 0.7rem; border-bottom: 1px solid var(--rule); text-align: right; white-space: nowrap;
  vertical-align: top;
}
th:first-child, td.word { text-align: left; }
th { font-weight: 600; }
td.word { white-space: normal; }
tbody th { font-weight: 500; }
.settings { width: 100%; }
.settings th { white-space: normal; font-weight: 400; color: var(--muted); }
.settings th:first-child { width: 30%; }
.settings td { overflow-wrap: anywhere; }
.settings thead th { font-weight: 600; text-align: left; }
.runs tbody th { white-space: normal; min-width: 10rem; max-width: 26rem; font-weight: 600; }
.runs small { display: block; font-weight: 400; font-size: 0.8125rem; color: var(--muted); }
.confusion { min-width: 0; }
.confusion th, .confusion td {
  border: 0; padding: 1px; text-align: center; font-size: 0.75rem; font-weight: 500; vertical-align: middle;
}
.confusion tbody th { text-align: right; padding-right: 0.4rem; }
.confusion thead th:first-child { text-align: right; padding-right: 0.4rem; color: var(--muted); }
.cell {
  display: block; width: 3.9rem; padding: 0.35rem 0; border-radius: 0.2rem; line-height: 1.2;
  background: color-mix(in srgb, var(--tone) calc(var(--share) * 48%), var(--soft));
}
.cell b { display: block; font-size: 0.95rem; font-weight: 600; }
.cell small { color: inherit; font-size: 0.7rem; }
.cell.right { --tone: var(--accent); }
.cell.wrong { --tone: var(--wrong); }
details { margin: 0.5rem 0; }
summary { cursor: pointer; color: var(--accent); padding: 0.25rem 0; }
.charts {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); gap: 1rem 2rem;
}
.all { columns: 17rem; column-gap: 2rem; font-size: 0.8125rem; }
.all > div { margin-bottom: 0.75rem; }
.all h4 { margin: 0 0 0.1rem; font-size: 0.875rem; break-after: avoid; }
.all dl { margin: 0; }
.all dl div {
  display: flex; justify-content: space-between; gap: 1rem; border-bottom: 1px solid var(--rule);
}
.all dt { color: var(--muted); }
.all dd { margin: 0; text-align: right; overflow-wrap: anywhere; }
figure { margin: 0.5rem 0; max-width: 31rem; }
figure.full { max-width: none; }
figure img { max-width: 100%; height: auto; background: #ffffff; border-radius: 0.25rem; }
figure > svg { display: block; width: 100%; height: auto; }
figcaption { font-size: 0.875rem; }
svg text { font-size: 11px; fill: var(--ink); }
svg text.muted { fill: var(--muted); }
.grid { stroke: var(--rule); stroke-width: 1; fill: none; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.dashed { stroke-dasharray: 5 4; }
.rule { stroke: var(--muted); stroke-width: 1.5; stroke-dasharray: 2 4; }
.bar.c0 { fill: var(--c0); opacity: 0.75; }
.count { fill: var(--ink); opacity: 0.55; }
.legend {
  display: flex; flex-wrap: wrap; gap: 0.1rem 1rem; margin: 0.25rem 0; padding: 0; list-style: none;
  font-size: 0.875rem;
}
.key { width: 1.5rem; height: 0.5rem; margin-right: 0.35rem; vertical-align: middle; }
pre {
  background: var(--soft); padding: 0.75rem; border-radius: 0.4rem; white-space: pre-wrap;
  overflow-wrap: anywhere;
}
@media (max-width: 30rem) {
  .cell { width: 2.5rem; }
  .confusion th { font-size: 0.65rem; }
  th, td { padding: 0.3rem 0.45rem; }
}
@media print {
  body { max-width: none; padding: 0; font-size: 10pt; }
  nav, .skip { display: none; }
  .wide { overflow: visible; }
  details::details-content { content-visibility: visible; block-size: auto; }
  summary { display: none; }
  .cell, .badge, .cards div { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  figure, tr, .cards, .confusion { break-inside: avoid; }
  .all { columns: 3; font-size: 7.5pt; }
  h2, h3 { break-after: avoid; }
  .charts { grid-template-columns: 1fr 1fr; }
  table { font-size: 8.5pt; }
  td, th { white-space: normal; }
}
""" + "".join(
    f".c{number} {{ stroke: var(--c{number}); }} .dot.c{number} {{ fill: var(--c{number}); }}\n"
    for number in range(8)
)
