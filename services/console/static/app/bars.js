// A run's work to scale, its waits in words: a long wait is a notch that says how long, so that 2 s of work stay readable.
import { span } from "./format.js";
import { html } from "./html.js";

const NOTCH_AFTER_S = 3;
// The share of a row that the words of a notch need.
const WORDS_WIDE = 0.17;

// Puts moments on an axis on which waits that nobody worked in are short. Returns place(seconds), total, and the notches.
export function squeeze(bars, end, narrowest = 0.25) {
  const spans = bars.filter((bar) => bar.start !== null && bar.state !== "superseded").map((bar) => [bar.start, bar.end ?? end]);
  spans.sort((one, other) => one[0] - other[0]);
  const work = spans.reduce((sum, [from, to]) => sum + (to - from), 0);
  const notch = Math.max(narrowest, work * 0.16);
  const gaps = [];
  let reached = 0;
  for (const [from, to] of spans) {
    if (from - reached > NOTCH_AFTER_S + notch) gaps.push({ from: reached, to: from });
    reached = Math.max(reached, to);
  }
  const place = (at) => gaps.reduce((moved, gap) => moved - Math.max(0, Math.min(at, gap.to) - gap.from) * (1 - notch / (gap.to - gap.from)), at);
  return { place, total: place(Math.max(reached, 0.001)), gaps };
}

export function lanesOf(run) {
  const train = new Map();
  const early = [];
  for (const bar of run.bars) {
    if (bar.stage !== "train") early.push(bar);
    else if (bar.subject !== run.dataset) (train.get(bar.subject) ?? train.set(bar.subject, []).get(bar.subject)).push(bar);
    else early.push(bar);
  }
  return { early, lanes: [...train.entries()] };
}

const heldBy = (run, lane) => run.models.some(({ model, state }) => state === "held" && (model === lane || model.endsWith(`.${lane}`)));

export function tone(run, bar, lane) {
  if (bar.state === "running") return "run";
  if (bar.state === "dead" || (run.outcome === "rejected" && bar.stage === "ingest")) return "bad";
  return lane && heldBy(run, lane) ? "held" : "";
}

// scale: seconds that the whole width stands for (the same for all rows of a list).
export function Bars({ run, scale, now, height = 34 }) {
  const end = Math.max(0.001, (now - new Date(run.started_at)) / 1000);
  const { place, gaps } = squeeze(run.bars, end, scale * WORDS_WIDE);
  const x = (at) => `${Math.min(100, (place(Math.max(0, at)) / scale) * 100)}%`;
  const width = (from, to) => `${Math.max(0.4, Math.min(100, ((place(to) - place(from)) / scale) * 100))}%`;
  const { early, lanes } = lanesOf(run);
  const folded = lanes.length > 5;
  const step = folded ? 12 : Math.min(9, (height - 8) / Math.max(1, lanes.length));
  const top = (height - step * Math.max(1, folded ? 1 : lanes.length)) / 2;
  const rect = (bar, y, tall, lane) => [
    lane && bar.start !== null && bar.start - bar.due > 0.03 && !gaps.some((gap) => gap.to > bar.due && gap.from < bar.start) && place(bar.start) - place(bar.due) > scale * 0.02 && html`<rect class="queued" x=${x(bar.due)} width=${width(bar.due, bar.start)} y=${y + 0.5} height=${tall - 1} rx="1" />`,
    bar.start !== null && bar.state !== "superseded" && html`<rect class="worked ${tone(run, bar, lane)}" x=${x(bar.start)} width=${width(bar.start, bar.end ?? end)} y=${y} height=${tall} rx="1" />`,
  ];
  return html`<svg class="bars" height=${height} role="img" aria-label=${describe(run)}>
    ${early.map((bar) => rect(bar, (height - 14) / 2, 14))}
    ${lanes.map(([lane, bars], index) => bars.map((bar) => rect(bar, folded ? (height - 12) / 2 : top + index * step, folded ? 12 : Math.max(3, step - 3), lane)))}
    ${gaps.map((gap) => html`<line class="notch" x1=${x(gap.from + 0.001)} x2=${x(gap.from + 0.001)} y1="9" y2=${height - 9} /><text x=${x((gap.from + gap.to) / 2)} y=${height / 2 + 4} text-anchor="middle">${span(gap.to - gap.from)}</text><line class="notch" x1=${x(gap.to)} x2=${x(gap.to)} y1="9" y2=${height - 9} />`)}
  </svg>`;
}

export function describe(run) {
  const parts = run.bars.filter((bar) => bar.start !== null && bar.state !== "superseded").map((bar) => `${bar.stage} ${bar.subject} ${bar.end === null ? "running" : span(bar.end - bar.start)}`);
  return parts.join(", ") || "nothing was worked on yet";
}

// A round number of seconds for the axis, at most four marks.
export function marks(seconds) {
  const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600];
  const step = steps.find((one) => seconds / one <= 4) ?? 7200;
  return Array.from({ length: Math.floor(seconds / step) + 1 }, (_, index) => index * step);
}
export const markWord = (seconds) => (seconds === 0 ? "0" : seconds < 1 ? `${Math.round(seconds * 1000)} ms` : seconds < 120 ? `${seconds} s` : `${seconds / 60} min`);
