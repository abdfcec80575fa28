// How fast inference answered in the last hour: p99 as a line, p50 dashed, and when a version went live.
import { clock } from "../format.js";
import { html } from "../html.js";
import { ticks, useWidth } from "./metricchart.js";

const LEFT = 46;
const RIGHT = 14;
const TOP = 32;
const BOTTOM = 26;
const HEIGHT = 190;

// A line with gaps where nothing was asked.
function path(times, values, x, y) {
  let pen = "M";
  return values.map((value, at) => {
    if (value === null) return ((pen = "M"), "");
    const part = `${pen}${x(times[at]).toFixed(1)} ${y(value).toFixed(1)}`;
    pen = "L";
    return part;
  }).join("");
}

// Moments with nothing asked before and after: a line would not show them.
const lonely = (values) => values.map((value, at) => [value, at]).filter(([value, at]) => value !== null && (values[at - 1] ?? null) === null && (values[at + 1] ?? null) === null);

const ms = (value) => (value === null || value === undefined ? "none asked" : `${value < 10 ? value.toFixed(1) : value.toFixed(0)} ms`);
export const milliseconds = ms;

export function LatencyChart({ series, went, colour, failed }) {
  const [box, width] = useWidth();
  const { at, p50, p99 } = series;
  const heard = p99.filter((value) => value !== null);
  if (!heard.length) return html`<div ref=${box} class="in quiet"><p>Nobody asked in the last hour.</p><p class="small soft">The line begins with the first prediction; Try it is one.</p><a class="btn edge" href="/try">Try it</a></div>`;
  const [first, last] = [at[0], Math.max(at.at(-1), at[0] + 60)];
  const high = Math.max(...heard, 0.5) * 1.15;
  const x = (moment) => LEFT + ((moment - first) / (last - first)) * (width - LEFT - RIGHT);
  const y = (value) => TOP + ((high - value) / high) * (HEIGHT - TOP - BOTTOM);
  const marks = (width < 460 ? [0, 0.5, 1] : [0, 0.25, 0.5, 0.75, 1]).map((part) => first + part * (last - first));
  const inside = went.filter((one) => one.at / 1000 >= first && one.at / 1000 <= last);
  const newest = inside.at(-1);
  const title = `Latency of predictions in the last hour: p99 ${ms(heard.at(-1))}, at most ${ms(Math.max(...heard))}; p50 ${ms(p50.filter((value) => value !== null).at(-1))}.${newest ? ` Version ${newest.version} went live at ${clock(newest.at)}.` : ""}`;
  return html`<div ref=${box} class="chart-box"><svg class="chart" width=${width} height=${HEIGHT} viewBox="0 0 ${width} ${HEIGHT}" role="img" aria-label=${title}>
    <g aria-hidden="true"><line x1=${LEFT} x2=${LEFT + 16} y1="14" y2="14" stroke=${colour} stroke-width="1.8" /><text x=${LEFT + 22} y="18">p99 ${ms(heard.at(-1))}</text>
      <line x1=${LEFT + 96} x2=${LEFT + 112} y1="14" y2="14" stroke="var(--ink-2)" stroke-width="1.5" stroke-dasharray="4 3" /><text x=${LEFT + 118} y="18">p50 ${ms(p50.filter((value) => value !== null).at(-1))}</text>
      ${newest && width > 420 && html`<line x1=${LEFT + 196} x2=${LEFT + 196} y1="8" y2="20" stroke="var(--ok)" stroke-width="2" /><text x=${LEFT + 204} y="18">${newest.version} went live${failed === 0 ? ", no request failed" : ""}</text>`}</g>
    ${ticks(0, high).map((mark) => html`<g key=${mark}><line x1=${LEFT} x2=${width - RIGHT} y1=${y(mark)} y2=${y(mark)} stroke="var(--line)" /><text x=${LEFT - 8} y=${y(mark) + 4} text-anchor="end">${mark} ms</text></g>`)}
    ${marks.map((moment, index) => html`<text key=${moment} x=${x(moment)} y=${HEIGHT - 7} text-anchor=${index === 0 ? "start" : index === marks.length - 1 ? "end" : "middle"}>${clock(moment * 1000).slice(0, last - first < 900 ? 8 : 5)}</text>`)}
    ${inside.map((one) => html`<line key=${one.id} x1=${x(one.at / 1000)} x2=${x(one.at / 1000)} y1=${TOP - 4} y2=${HEIGHT - BOTTOM} stroke="var(--ok)" stroke-width="2" />`)}
    <path d=${path(at, p50, x, y)} fill="none" stroke="var(--ink-2)" stroke-width="1.3" stroke-dasharray="4 3" />
    ${lonely(p50).map(([value, of]) => html`<circle key=${of} cx=${x(at[of])} cy=${y(value)} r="1.5" fill="var(--ink-2)" />`)}
    ${lonely(p99).map(([value, of]) => html`<circle key=${of} cx=${x(at[of])} cy=${y(value)} r="2" fill=${colour} />`)}
    <path d=${path(at, p99, x, y)} fill="none" stroke=${colour} stroke-width="1.5" stroke-linecap="round" />
  </svg></div>`;
}
