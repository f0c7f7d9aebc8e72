// The style sheet of the report page: light and dark, narrow and wide.
#pragma once

namespace bbam {

inline constexpr const char* kReportStyle = R"css(
:root {
  color-scheme: light dark;
  --ground: #faf9f7; --card: #ffffff; --ink: #1d1b26; --soft: #6d697b; --line: #e8e5ee;
  --wash: #f3f0f8; --accent: #6d28b8;
  --shadow: 0 1px 2px #1d1b2610, 0 8px 24px #1d1b260a;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #131218; --card: #1c1b23; --ink: #eceaf3; --soft: #9d99ad; --line: #302e3b;
    --wash: #25232e; --accent: #c79bff; --s0: #b98aff; --s1: #ff7aa5; --s2: #ffb057;
    --s3: #4fd0cf; --s4: #8fa9ff; --s5: #c3d45a; --s6: #d9a27e; --s7: #aab1c2;
    --shadow: 0 1px 2px #0006;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--ground); color: var(--ink);
  font: 16px/1.6 "Inter", system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial,
    sans-serif;
  font-feature-settings: "cv05", "ss03";
}
main, header > div { max-width: 1240px; margin: 0 auto; padding: 0 28px; }
header { padding: 56px 0 8px; }
header::before {
  content: ""; position: absolute; inset: 0 0 auto; height: 6px; background: var(--heat);
}
h1 { font-size: clamp(32px, 5vw, 52px); line-height: 1.08; letter-spacing: -0.03em; margin: 0 0 14px;
  font-weight: 700; }
h2 { font-size: 26px; line-height: 1.2; letter-spacing: -0.02em; margin: 64px 0 6px; }
h3 { font-size: 17px; letter-spacing: -0.01em; margin: 0; }
p { margin: 0 0 12px; max-width: 74ch; }
.lead { font-size: 19px; line-height: 1.55; color: var(--soft); }
.note { color: var(--soft); font-size: 14.5px; }
a { color: var(--accent); }
figure { margin: 0; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 14px; padding: 22px;
  box-shadow: var(--shadow); margin-top: 18px; }

.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(170px, 1fr)); gap: 14px;
  margin: 30px 0 0; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 14px;
  padding: 16px 20px 14px; box-shadow: var(--shadow); }
.tile b { display: block; font-size: 32px; line-height: 1.15; letter-spacing: -0.03em;
  font-variant-numeric: tabular-nums; }
.tile span { color: var(--soft); font-size: 14px; line-height: 1.35; display: block; }

.steps { display: grid; grid-template-columns: repeat(4, 1fr); gap: 22px; margin-top: 22px;
  counter-reset: step; }
.steps h3 { margin: 12px 0 4px; }
.steps h3::before { counter-increment: step; content: counter(step) "  "; color: var(--accent); }
.steps p { font-size: 14.5px; line-height: 1.5; color: var(--soft); margin: 0; }

.panel { position: relative; }
.frame { position: relative; border-radius: 9px; overflow: hidden; line-height: 0;
  background: var(--wash); }
.frame img { width: 100%; height: auto; display: block; }
.frame svg, .stack img + img { position: absolute; inset: 0; width: 100%; height: 100%; }
.frame svg rect { fill: none; stroke-width: 2.2; vector-effect: non-scaling-stroke; }
.frame svg rect.other { stroke-width: 1.4; opacity: 0.75; }
.frame svg text { font-weight: 650; fill: #fff; stroke: #000b; stroke-width: 0.24em;
  paint-order: stroke; stroke-linejoin: round; }
.panel figcaption { font-size: 13px; line-height: 1.35; color: var(--soft); padding: 5px 2px 0; }

.object { display: grid; grid-template-columns: minmax(0, 1fr) 264px; gap: 24px; }
.object .title { grid-column: 1 / -1; display: flex; flex-wrap: wrap; align-items: baseline;
  gap: 4px 14px; }
.title h3 { font-size: 19px; }
.title h3::first-letter { text-transform: uppercase; }
.title .note { margin: 0; }
.panels { display: grid; grid-template-columns: repeat(4, minmax(0, 1fr)); gap: 14px 12px; }
.seen .panels { grid-template-columns: repeat(var(--columns), minmax(0, 1fr)); }
.seen .panels + .panels { margin-top: 14px; }
.seen .title { display: flex; flex-wrap: wrap; align-items: baseline; gap: 4px 16px;
  margin-bottom: 12px; }
.chip { font-size: 13.5px; color: var(--soft); white-space: nowrap; }
.chip i { display: inline-block; width: 11px; height: 11px; border-radius: 3px; margin-right: 6px;
  vertical-align: -1px; }
.bars { display: grid; grid-template-columns: auto 1fr auto; gap: 6px 10px; align-items: center;
  font-size: 13.5px; margin-bottom: 14px; }
.bars i { height: 9px; border-radius: 5px; background: var(--wash); display: block;
  overflow: hidden; }
.bars i::before { content: ""; display: block; height: 100%; width: var(--w); border-radius: 5px;
  background: var(--soft); opacity: 0.55; }
.bars i.best::before { background: var(--accent); opacity: 1; }
.bars b { font-variant-numeric: tabular-nums; font-weight: 600; text-align: right; }
.side h4 { margin: 0 0 8px; font-size: 13px; color: var(--soft); font-weight: 600; }

.heatbar { display: flex; align-items: center; gap: 10px; font-size: 13px; color: var(--soft);
  margin: 4px 0 0; }
.heatbar i { width: 180px; height: 10px; border-radius: 5px; background: var(--heat); }

.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 15px; }
th, td { text-align: right; padding: 9px 14px; border-bottom: 1px solid var(--line);
  white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 2px; }
th:last-child, td:last-child { padding-right: 2px; }
th { font-size: 13px; font-weight: 600; color: var(--soft); }
tbody tr:last-child td { border-bottom: 0; }
table.figures { max-width: calc(var(--columns) * 220px); }
td.bar { width: 45%; }
td.bar i { display: block; height: 9px; border-radius: 5px; background: var(--accent);
  width: var(--w); min-width: 2px; }
.wrap td { white-space: normal; overflow-wrap: anywhere; text-align: left; }
.wrap td:first-child { color: var(--soft); white-space: nowrap; vertical-align: top; }

.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(420px, 100%), 1fr));
  gap: 18px; }
section > .plots { margin-top: 18px; }
.plots > .card { margin: 0; }
.plot figcaption { font-size: 13px; color: var(--soft); margin-bottom: 6px; }
.plot figcaption b { display: block; color: var(--ink); font-size: 15px; font-weight: 600; }
.plot figcaption span { display: flex; flex-wrap: wrap; gap: 0 14px; min-height: 1.6em; }
.plot figcaption i { font-style: normal; white-space: nowrap; }
.plot figcaption i::before { content: ""; display: inline-block; width: 14px; height: 3px;
  border-radius: 2px; background: currentColor; margin-right: 6px; vertical-align: middle; }
.chart { width: 100%; height: auto; display: block; }
.chart text { font-size: 12px; fill: var(--soft); font-variant-numeric: tabular-nums; }
.side .chart text { font-size: 17px; }
.chart .grid { stroke: var(--line); stroke-width: 1; }
.chart polyline { fill: none; stroke: currentColor; stroke-width: 2; stroke-linejoin: round; }
.side .chart polyline { stroke-width: 2.6; }
.chart polyline.faint { opacity: 0.22; stroke-width: 1.2; }
.chart .zero { stroke: var(--soft); opacity: 0.6; }
.chart .mark, .chart .bar { fill: currentColor; }
.chart .figure { font-size: 10.5px; fill: var(--ink); }
.chart .heat { shape-rendering: crispEdges; }
.chart .outline { fill: none; stroke: #fff; stroke-width: 1.5; stroke-dasharray: 5 4; }
.s0 { color: var(--s0); } .s1 { color: var(--s1); } .s2 { color: var(--s2); }
.s3 { color: var(--s3); } .s4 { color: var(--s4); } .s5 { color: var(--s5); }
.s6 { color: var(--s6); } .s7 { color: var(--s7); }

details { margin-top: 14px; }
summary { cursor: pointer; color: var(--accent); font-weight: 600; font-size: 15px; }
code { font: 13.5px/1.5 ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
footer { color: var(--soft); font-size: 13.5px; padding: 44px 0 56px; }

@media (max-width: 980px) {
  .object { grid-template-columns: 1fr; }
  .steps { grid-template-columns: repeat(2, 1fr); }
}
@media (max-width: 620px) {
  main, header > div { padding: 0 16px; }
  .panels, .seen .panels { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .card { padding: 16px; }
  .chart text { font-size: 17px; }
  .chart .slanted, .chart .figure { font-size: 13px; }
}
@media (prefers-reduced-motion: reduce) { .stack img { animation: none !important; } }
@media print { .card, .tile { break-inside: avoid; box-shadow: none; } }
)css";

}  // namespace bbam
