// A metric over versions, with what the gate lets pass as a band: below it a version is held.
import { figure, isError, metricValue, metricWords } from "../format.js";
import { html, useLayoutEffect, useRef, useState } from "../html.js";
import { seriesColour } from "../state.js";
import { gateBound, versionHref } from "./words.js";

const LEFT = 46;
const RIGHT = 92;
const TOP = 16;
const BOTTOM = 28;
const HEIGHT = 190;

// The width that an element has; a chart is drawn in pixels, so that its text keeps its size.
export function useWidth(start = 560) {
  const element = useRef(null);
  const [width, setWidth] = useState(start);
  useLayoutEffect(() => {
    const seen = new ResizeObserver(([entry]) => setWidth(Math.max(240, Math.round(entry.contentRect.width))));
    seen.observe(element.current);
    return () => seen.disconnect();
  }, []);
  return [element, width];
}

// Round marks of an axis, between three and six.
export function ticks(low, high) {
  const span = high - low || 1;
  const step = 10 ** Math.floor(Math.log10(span / 2.5));
  const by = [1, 2, 5, 10].map((factor) => factor * step).find((size) => span / size <= 5);
  const found = [];
  for (let mark = Math.ceil(low / by - 1e-9) * by; mark <= high + by * 1e-6; mark += by) found.push(Number(mark.toPrecision(10)));
  return found;
}

// Each version's gate is drawn from the version that was live when it came; the last one goes on to the right.
function boundsOf(points, history, gate, name) {
  const value = new Map(points.map(({ version, metrics }) => [version, metrics[name]]));
  const went = history.filter(({ action }) => ["publish", "promote", "rollback"].includes(action)).map(({ version, at }) => ({ version, at: Date.parse(at) })).sort((a, b) => a.at - b.at);
  const bounds = points.map((point) => {
    const before = went.filter(({ at, version }) => at <= Date.parse(point.published_at ?? point.created_at) && version !== point.version).at(-1);
    return gateBound(gate, value.get(before?.version) ?? null);
  });
  const next = gateBound(gate, value.get(went.at(-1)?.version) ?? null);
  return { bounds, next };
}

export function MetricChart({ model, versions, history, metric, gate, index = 0 }) {
  const [box, width] = useWidth();
  const points = versions.filter((version) => version.metrics[metric] !== undefined && ["published", "held", "dropped"].includes(version.state)).slice(0, 24).reverse();
  if (!points.length) return html`<div ref=${box} class="in"><p class="soft">No version has this metric.</p></div>`;
  const own = gate && gate.metric === metric ? gate : null;
  const { bounds, next } = boundsOf(points, history, own, metric);
  const value = (version) => metricValue(metric, version.metrics[metric]);
  const gates = bounds.map((bound) => (bound === null ? null : metricValue(metric, bound)));
  const ahead = next === null ? null : metricValue(metric, next);
  const all = [...points.map(value), ...gates.filter((bound) => bound !== null), ...(ahead === null ? [] : [ahead])];
  const spread = Math.max(...all) - Math.min(...all);
  const pad = spread ? spread * 0.12 : Math.max(0.02, Math.abs(all[0]) * 0.02);
  let [low, high] = [Math.min(...all) - pad, Math.max(...all) + pad];
  if (/accuracy|f1|auc|precision|recall/.test(metric)) high = Math.min(high, 1 + pad / 3);
  if (isError(metric)) low = Math.max(0, low);
  const step = points.length > 1 ? (width - LEFT - RIGHT) / (points.length - 1) : 0;
  const x = (at) => (points.length > 1 ? LEFT + at * step : LEFT + 40);
  const y = (of) => TOP + ((high - of) / (high - low)) * (HEIGHT - TOP - BOTTOM);
  const edge = width - RIGHT + 8;
  const floor = isError(metric) ? TOP : HEIGHT - BOTTOM;
  const steps = gates.flatMap((bound, at) => (bound === null ? [] : [[at === 0 ? LEFT - 6 : x(at) - step / 2, y(bound)], [x(at) + step / 2, y(bound)]]));
  if (ahead !== null && steps.length) steps.push([Math.min(edge, x(points.length - 1) + step / 2), y(ahead)], [edge, y(ahead)]);
  else if (ahead !== null) steps.push([LEFT - 6, y(ahead)], [edge, y(ahead)]);
  const clipped = steps.map(([across, down]) => [Math.min(across, edge), down]);
  const served = points.map((point, at) => ({ point, at })).filter(({ point }) => point.state !== "held");
  const words = metricWords(metric);
  const title = `${words} over versions of ${model.name}: ${points.map((point) => `${point.version} ${figure(value(point))}${point.version === model.live ? " live" : point.state === "held" ? " held" : ""}`).join(", ")}.${ahead === null ? "" : ` The gate is at ${figure(ahead)}.`}`;
  const colour = seriesColour(index);
  return html`<div ref=${box} class="chart-box"><svg class="chart" width=${width} height=${HEIGHT} viewBox="0 0 ${width} ${HEIGHT}" role="group" aria-label=${title}>
    ${ticks(low, high).map((mark) => html`<g key=${mark}><line x1=${LEFT - 6} x2=${edge} y1=${y(mark)} y2=${y(mark)} stroke="var(--line)" /><text class="mono" x=${LEFT - 12} y=${y(mark) + 4} text-anchor="end">${Number(mark.toFixed(4))}</text></g>`)}
    ${clipped.length > 0 && html`<path d="M${clipped[0][0]} ${floor}L${clipped.map((pair) => pair.join(" ")).join("L")}L${clipped.at(-1)[0]} ${floor}Z" fill="var(--held-soft)" />
      <path d="M${clipped.map((pair) => pair.join(" ")).join("L")}" fill="none" stroke="var(--held)" stroke-width="1.5" stroke-dasharray="4 3" />
      <text x=${edge + 5} y=${clipped.at(-1)[1] + 4} class="held">gate ${figure(ahead ?? gates.at(-1))}</text>
      <text x=${clipped[0][0] + 8} y=${clipped[0][1] + (isError(metric) ? -8 : 16)} class="held">held, if ${isError(metric) ? "above" : "below"} the gate</text>`}
    ${served.length > 1 && html`<path d="M${served.map(({ point, at }) => `${x(at)} ${y(value(point))}`).join("L")}" fill="none" stroke=${colour} stroke-width="1.5" />`}
    ${points.map((point, at) => point.state === "held" && at > 0 && html`<path key=${point.version} d="M${x(at - 1)} ${y(value(points[at - 1]))}L${x(at)} ${y(value(point))}" stroke=${colour} stroke-width="1.5" stroke-dasharray="2 3" fill="none" />`)}
    ${points.map((point, at) => html`<a key=${point.version} href=${versionHref(model.name, point.version)} aria-label=${`Version ${point.version}: ${words} ${figure(value(point))}, ${point.role}`}><title>${`Version ${point.version}: ${figure(value(point))}, ${point.role}`}</title><${Mark} x=${x(at)} y=${y(value(point))} point=${point} live=${model.live} colour=${colour} /></a>`)}
    ${points.map((point, at) => (points.length <= 12 || at % Math.ceil(points.length / 12) === 0 || at === points.length - 1) && html`<text key=${point.version} x=${x(at)} y=${HEIGHT - 8} text-anchor="middle" class="mono ${point.version === model.live ? "is-on" : ""}">${point.version}</text>`)}
    ${points.map((point, at) => (point.version === model.live || (point.state === "held" && at === points.length - 1)) && html`<${Label} key=${point.version} x=${x(at)} y=${y(value(point))} text=${point.version === model.live ? `${point.version} live` : `${point.version} held, ${figure(value(point))}`} tone=${point.version === model.live ? "ok" : "held"} low=${y(value(point)) > HEIGHT - BOTTOM - 30} left=${at === points.length - 1 && at > 0} first=${at === 0} />`)}
  </svg></div>`;
}

function Label({ x, y, text, tone, low, left, first }) {
  if (left && tone === "held") return html`<text x=${x - 10} y=${y + 4} text-anchor="end" class=${tone}>${text}</text>`;
  if (first) return html`<text x=${x + 10} y=${y - 7} class=${tone}>${text}</text>`;
  return html`<text x=${x} y=${low ? y - 10 : y + 18} text-anchor="middle" class=${tone}>${text}</text>`;
}

function Mark({ x, y, point, live, colour }) {
  if (point.version === live) return html`<circle cx=${x} cy=${y} r="6" fill="var(--surface)" stroke="var(--ok)" stroke-width="1.6" /><circle cx=${x} cy=${y} r="3" fill="var(--ok)" />`;
  if (point.state === "held") return html`<rect x=${x - 6} y=${y - 6} width="12" height="12" rx="3" fill="var(--held)" /><path d="M${x - 2} ${y - 3}v6M${x + 2} ${y - 3}v6" stroke="var(--surface)" stroke-width="1.6" />`;
  return html`<circle cx=${x} cy=${y} r="3.5" fill=${colour} /><circle cx=${x} cy=${y} r="9" fill="transparent" />`;
}
