// What the models answer, side by side, and whether they agree.
import { ago, figure, plural } from "../format.js";
import { html } from "../html.js";
import { now } from "../live.js";
import { Panel, Tag } from "../parts.js";
import { Series, Shape } from "../state.js";
import { modelHref, versionHref } from "../models/words.js";

const SHOWN = 8;
const given = ({ answer }) => answer.predictions?.[0];
const write = (value) => (typeof value === "number" ? figure(value) : String(value));

// Sentence of agreement, and who stands apart.
export function agreement(answers) {
  const told = answers.filter((one) => one.status === 200);
  if (!told.length) return { words: "No model answered", apart: [] };
  if (told.some((one) => typeof given(one) === "number")) {
    const values = told.map(given);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    return { words: told.length === 1 ? `${told[0].model} says ${write(low)}` : `They say ${write(low)} to ${write(high)}`, apart: [] };
  }
  const counts = new Map();
  for (const one of told) counts.set(given(one), [...(counts.get(given(one)) ?? []), one.model]);
  const [[first, agreed], ...others] = [...counts].sort((a, b) => b[1].length - a[1].length);
  if (!others.length) return { words: told.length === 1 ? `${told[0].model} says ${first}` : told.length === 2 ? `Both say ${first}` : `All ${told.length} say ${first}`, apart: [] };
  return { words: `${agreed.length} of ${told.length} say ${first}; ${others.map(([answer, models]) => `${models.join(" and ")} ${models.length === 1 ? "says" : "say"} ${answer}`).join(", ")}`, apart: others.flatMap(([, models]) => models) };
}

function sureness(answers) {
  const tops = answers.filter((one) => one.status === 200 && one.answer.probabilities).map((one) => Math.max(...one.answer.probabilities[0]));
  if (!tops.length) return "";
  const highest = Math.max(...tops);
  if (highest < 0.6) return `No model is sure: the highest probability is ${highest.toFixed(2)}.`;
  return Math.min(...tops) >= 0.9 ? `All are sure: the lowest of the highest probabilities is ${Math.min(...tops).toFixed(2)}.` : "";
}

export function Answers({ answers, families, took, stale, error }) {
  if (error) return html`<${Panel} tone="bad"><div class="verdict" role="alert"><${Shape} of="failed" /><p><b>They could not be asked.</b> ${error.message}</p></div></${Panel}>`;
  if (!answers) return html`<${Panel}><div class="empty"><h2>Ask them</h2><p class="soft">Fill the form, or take an example; every live model answers the same record.</p></div></${Panel}>`;
  const { words, apart } = agreement(answers);
  const note = sureness(answers);
  return html`<${Panel} class=${stale ? "is-stale" : ""}>
    <div class="agree" role="status"><span class="dots" aria-hidden="true">${answers.map((one) => html`<svg key=${one.model} viewBox="0 0 14 14"><circle cx="7" cy="7" r="5.5" fill=${apart.includes(one.model) || one.status !== 200 ? "none" : "currentColor"} stroke=${apart.includes(one.model) ? "var(--held)" : one.status === 200 ? "currentColor" : "var(--bad)"} stroke-width="1.6" /></svg>`)}</span><h2>${words}</h2><span class="small soft">${stale ? "for the record before; ask again" : `answered in ${took.toFixed(1)} ms`}</span></div>
    <div class="answers">${answers.map((one) => html`<${Answer} key=${one.model} one=${one} index=${families.indexOf(one.model)} />`)}</div>
    ${note && html`<p class="note small">${note}</p>`}
  </${Panel}>`;
}

function Answer({ one, index }) {
  const { answer, status, milliseconds, model } = one;
  if (status !== 200) return html`<div class="answer"><h3><${Series} name=${model} index=${index} /></h3><p class="bad">${answer.detail ?? `It answered ${status}.`}</p></div>`;
  const chances = answer.probabilities ? answer.classes.map((name, at) => [name, answer.probabilities[0][at]]) : [];
  const shown = chances.length > SHOWN ? [...chances].sort((a, b) => b[1] - a[1]).slice(0, SHOWN) : chances;
  return html`<div class="answer"><h3><a href=${modelHref(model)}><${Series} name=${model} index=${index} /></a><a href=${versionHref(model, answer.version)} ><${Tag} tone="ok">v${answer.version}</${Tag}><span class="sr"> of ${model}</span></a></h3>
    <p class="figure">${write(given(one))}<span class="took">${milliseconds.toFixed(1)} ms</span></p>
    ${shown.map(([name, chance]) => html`<div key=${name} class="prob ${name === String(given(one)) ? "is-top" : ""}"><span class="cut" title=${name}>${name}</span><i aria-hidden="true"><b style=${{ width: `${chance * 100}%` }}></b></i><span class="num">${chance.toFixed(3)}</span></div>`)}
    ${chances.length > SHOWN && html`<p class="small soft">and ${chances.length - SHOWN} more</p>`}
  </div>`;
}

// Where an answer comes from: rows, run, card.
export function From({ models, serving }) {
  const rows = serving.map((one) => ({ one, model: models.find(({ name }) => name === one.name) }));
  return html`<${Panel} title="Where this answer comes from"><div class="in"><dl class="from">${rows.map(({ one, model }) => html`<dt key=${one.name} class="soft">${one.name} ${one.version}</dt>
    <dd>${one.rows ? plural(one.rows, "row") : "rows"} of ${one.snapshot ? html`<a class="link mono" href=${`/data/${encodeURIComponent(one.dataset)}/snapshots/${one.snapshot}`}>${one.dataset}_${one.snapshot}</a>` : one.dataset}, ${one.created_at && `trained ${ago(one.created_at, now.value)}, `}<a class="link" href=${versionHref(one.name, one.version)}>model card</a>${model?.pinned ? `, pinned` : ""}${model && model.decision !== "publish" && model.decided_by ? `, by ${model.decided_by}` : ""}</dd>`)}</dl></div></${Panel}>`;
}
