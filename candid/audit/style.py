"""The page's style sheet: one column on a phone, grids on a screen, no colour needed on paper."""

STYLE = """
:root { color-scheme: light dark; --ink: #1a1a1a; --soft: #5c5c5c; --paper: #fff; --card: #f4f4f2;
  --rule: #d9d9d6; --yes: #1f7a4d; --no: #b3541e; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #ececea; --soft: #a5a5a1; --paper: #161616; --card: #222221; --rule: #3a3a38;
    --yes: #5cc492; --no: #e79660; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.25rem 1rem 4rem; max-width: 72rem; background: var(--paper);
  color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; line-height: 1.3; margin: 2.25rem 0 .5rem; break-after: avoid; }
p { margin: .35rem 0 .75rem; max-width: 44rem; }
.warning { color: var(--no); font-weight: 600; }
.soft, figcaption { color: var(--soft); }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); gap: .6rem;
  margin: 1rem 0; }
.cards div { background: var(--card); border-radius: .5rem; padding: .6rem .75rem; break-inside: avoid; }
.cards dt { color: var(--soft); font-size: .85rem; }
.cards dd { margin: 0; font-size: 1.45rem; font-variant-numeric: tabular-nums; line-height: 1.3; }
.cards small { display: block; font-size: .8rem; color: var(--soft); line-height: 1.3; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .92rem; }
th, td { text-align: left; padding: .25rem .9rem .25rem 0; border-bottom: 1px solid var(--rule);
  vertical-align: top; overflow-wrap: anywhere; }
.number { text-align: right; }
.pairs { display: grid; grid-template-columns: repeat(auto-fill, minmax(13.5rem, 1fr)); gap: .7rem; }
figure { margin: 0; padding: .6rem; border: 1px solid var(--rule); border-radius: .5rem;
  break-inside: avoid; }
figcaption { font-size: .82rem; margin-bottom: .35rem; }
figcaption strong { color: var(--yes); }
.rejected figcaption strong { color: var(--no); }
.two { display: grid; grid-template-columns: 1fr 1fr; gap: .5rem; font-size: .78rem; line-height: 1.3;
  color: var(--soft); overflow-wrap: anywhere; }
.two b { color: var(--ink); font-weight: 600; }
img { display: block; width: 100%; height: 6rem; object-fit: contain; margin-bottom: .3rem; }
img.small { image-rendering: pixelated; }
svg { width: 100%; max-width: 45rem; height: auto; display: block; }
svg text { fill: var(--soft); font: 12px system-ui, sans-serif; }
svg .accepted { fill: var(--yes); }
svg .rejected { fill: var(--no); }
svg line { stroke: var(--soft); }
@media (max-width: 40rem) { svg text { font-size: 20px; } }
@media print {
  :root { color-scheme: light; --ink: #000; --soft: #444; --paper: #fff; --card: #fff; --rule: #bbb;
    --yes: #000; --no: #000; }
  body { max-width: none; padding: 0; font-size: 10pt; }
  .cards div { border: 1px solid var(--rule); }
  h2 { margin-top: 1.2rem; font-size: 12pt; }
  .scroll { overflow: visible; }
  .pairs { grid-template-columns: repeat(5, 1fr); gap: .4rem; }
  figure { padding: .3rem; }
  figcaption, .two { font-size: 7pt; }
  img { height: 3.6rem; }
  svg .rejected { fill: #999; }
}
"""
