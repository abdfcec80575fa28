// The rows of a list of runs, with folds of ticks that found nothing.
import { post } from "./api.js";
import { Bars, markWord, marks, squeeze } from "./bars.js";
import { attempt } from "./confirm.js";
import { clock, day, plural, span, when } from "./format.js";
import { html } from "./html.js";
import { now } from "./live.js";
import { Icon, Id } from "./parts.js";
import { go } from "./router.js";
import { Shape, State } from "./state.js";
import { causeOf, outcomeOf, runState, runWord } from "./words.js";

export const runAgain = (dataset, options = {}) =>
  attempt(() => post("/api/runs", { dataset, force: true, ...options }), ({ delivered }) => (delivered ? `${dataset} is asked to run` : `${dataset} runs as soon as Redis is back`));

const NEEDS = new Set(["held", "failed", "rejected"]);

// Rows and folds in the order of the page.
export function rowsOf(page, before = null) {
  const folds = (after) => merged(page.folds.filter((fold) => fold.after === after).map((fold) => ({ fold })));
  return [...folds(before), ...page.runs.flatMap((run) => [{ run }, ...folds(run.id)])];
}

// Folds that follow each other are one, whatever their data sets.
export function merged(rows) {
  const found = [];
  for (const row of rows) {
    const last = found.at(-1);
    if (!row.fold || !last?.fold) found.push(row.fold ? { fold: { ...row.fold, datasets: [row.fold.dataset] } } : row);
    else last.fold = joined(last.fold, row.fold);
  }
  return found;
}

const joined = (one, other) => ({
  ...one,
  datasets: [...new Set([...one.datasets, other.dataset])],
  count: one.count + other.count,
  first_at: one.first_at < other.first_at ? one.first_at : other.first_at,
  last_at: one.last_at > other.last_at ? one.last_at : other.last_at,
});

// Seconds of work that the widest run of a list stands for; one that is much longer than most does not flatten the rest.
export function scaleOf(runs, at) {
  const totals = runs.map((run) => squeeze(run.bars, Math.max(0.001, (at - new Date(run.started_at)) / 1000)).total).sort((one, other) => one - other);
  if (!totals.length) return 1;
  const most = totals[Math.round((totals.length - 1) * 0.9)];
  return Math.max(0.2, Math.min(totals.at(-1), most * 1.6) * 1.12);
}

export function FoldRow({ fold, columns, onShow }) {
  const clockOf = day(fold.first_at) === day(fold.last_at) ? (at) => clock(at).slice(0, 5) : when;
  return html`<tr class="fold"><td colspan=${columns}><span class="row"><span class="state wait"><${Shape} of="unchanged" /></span><span class="cut" title=${fold.datasets.join(", ")}>${plural(fold.count, "tick")} of ${fold.datasets.length > 2 ? `${fold.datasets.length} data sets` : fold.datasets.join(" and ")} found nothing new, ${clockOf(fold.first_at)} to ${clockOf(fold.last_at)}</span>${onShow && html`<button class="btn text small" type="button" onClick=${onShow}>show</button>`}</span></td></tr>`;
}

export function RunRow({ run, scale, brief = false, again = true }) {
  const href = `/runs/${run.id}`;
  const open = (event) => event.target.closest("a, button") || go(href);
  return html`<tr class="opens" data-row tabindex="-1" onClick=${open} onKeyDown=${(event) => event.key === "Enter" && event.target === event.currentTarget && go(href)}>
    <td><${State} of=${runState(run)} word=${runWord(run)} /></td>
    <td><a class="strong" href=${href}>${run.dataset}</a> <${Id} of=${run.id} href=${href} /></td>
    ${!brief && html`<td class="soft later">${causeOf(run)}</td><td class="mono soft later" title=${run.started_at}>${when(run.started_at)}</td>`}
    <td class="bars-cell"><${Bars} run=${run} scale=${scale} now=${run.state === "running" ? now.value : Date.parse(run.ended_at ?? run.started_at)} /></td>
    <td class="num">${span(run.work_s)}</td>
    <td class="outcome wide ${NEEDS.has(run.outcome) ? "" : "soft"}" title=${outcomeOf(run)}>${outcomeOf(run)}</td>
    ${again && html`<td class="again"><button class="btn icon" type="button" aria-label=${`Run ${run.dataset} again`} title="Run again" onClick=${() => runAgain(run.dataset)}><${Icon} name="rotate-ccw" /></button></td>`}
  </tr>`;
}

export const Scale = ({ seconds, words }) => html`<span class="scale-words">${words}</span><span class="scale-marks">${marks(seconds).map((mark) => html`<i key=${mark} style=${{ left: `${(mark / seconds) * 100}%` }}>${markWord(mark)}</i>`)}</span>`;
