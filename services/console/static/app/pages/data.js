// Data: what do the models learn from, is it sound?
import { post, useFetch } from "../api.js";
import { confirm } from "../confirm.js";
import { ago, brief, count, plural } from "../format.js";
import { html } from "../html.js";
import { useKeys } from "../keyboard.js";
import { now, refresh } from "../live.js";
import { Icon, Id, Panel, say, Segment, Skeleton, Tag, Trouble } from "../parts.js";
import { go } from "../router.js";
import { runAgain } from "../runlist.js";
import { State } from "../state.js";
import { Hist, histWords, Levels } from "../models/hist.js";
import { PastRejections, Refusal } from "../models/rejection.js";
import { versionHref } from "../models/words.js";
import { Scroll } from "../models/scroll.js";

const aboutData = ({ name, data }) => name === "event" && /^(dataset|run|ingest)\./.test(data.type);
const every = (seconds) => (seconds < 120 ? `${Number(seconds)} s` : `${Number((seconds / 60).toFixed(1))} min`);
const href = (name) => `/data/${encodeURIComponent(name)}`;

export default function Data({ params }) {
  const list = useFetch("/api/datasets", aboutData);
  const name = params.dataset ?? list.data?.find(({ last_run: run }) => run?.outcome === "rejected")?.name ?? list.data?.[0]?.name;
  const one = useFetch(name ? `/api${href(name).replace("/data", "/datasets")}` : "", (message) => aboutData(message) && (!message.data.dataset || message.data.dataset === name));
  const names = (list.data ?? []).map((line) => line.name);
  const turn = (step) => () => names.length > 1 && go(href(names[(names.indexOf(name) + step + names.length) % names.length]));
  useKeys({ "[": turn(-1), "]": turn(1), r: () => name && runAgain(name) });
  if (list.slow || one.slow) return html`<${Skeleton} rows=${12} />`;
  if (list.data && !list.data.length) return html`<${Nothing} />`;
  if (!one.data || !list.data) return (one.error ?? list.error) && html`<${Trouble} error=${one.error ?? list.error} />`;
  const { dataset, snapshots, rejection, rejections, tables, spec } = one.data;
  const chosen = params.snapshot ? Number(params.snapshot) : snapshots.find(({ in_use: used, state }) => used && state === "ready")?.number ?? snapshots.find(({ state }) => state === "ready")?.number;
  const file = `datasets/${dataset.name}.toml`;
  return html`<${Bar} dataset=${dataset} names=${names} />
    ${dataset.error && html`<${Panel} tone="bad" title="The specification cannot be read"><p class="in">${dataset.error} What was live keeps answering; nothing new is trained until <code>${file}</code> is right again.</p></${Panel}>`}
    ${rejection && html`<${Refusal} rejection=${rejection} dataset=${dataset} file=${file} />`}
    ${!snapshots.length && !dataset.error && !rejection && html`<${Panel}><div class="empty"><h2>Nothing was read yet</h2><p class="soft">${dataset.source} is looked at every ${every(dataset.interval_s)}.</p><button class="btn main" type="button" onClick=${() => runAgain(dataset.name)}>Read it now</button><p class="small soft">The same from a terminal: <code>rookery run ${dataset.name}</code></p></div></${Panel}>`}
    <div class=${chosen ? "two" : "stack16"}>
      <div class="stack16">${chosen && html`<${Columns} key=${`${dataset.name} ${chosen}`} dataset=${dataset} number=${chosen} />`}</div>
      <div class="stack16">
        ${snapshots.length > 0 && html`<${Snapshots} dataset=${dataset} snapshots=${snapshots} chosen=${chosen} />`}
        ${tables.length > 0 && html`<${Tables} tables=${tables} />`}
        ${rejections.length > (rejection ? 1 : 0) && html`<${PastRejections} of=${rejections} />`}
        ${spec && html`<${Panel} title=${html`<span class="mono">${file}</span>`} note="a change is noticed by itself"><details class="in"><summary class="small soft">The whole specification</summary><pre class="spec-text" tabindex="0" aria-label="The specification">${spec}</pre></details></${Panel}>`}
      </div>
    </div>`;
}

function Bar({ dataset, names }) {
  const { name, paused } = dataset;
  const options = names.map((one) => [one, one]);
  const choice = names.length > 8 ? html`<label><span class="sr">Data set</span><select value=${name} onChange=${(event) => go(href(event.target.value))}>${names.map((one) => html`<option key=${one} value=${one}>${one}</option>`)}</select></label>` : names.length > 1 && html`<${Segment} label="Data set" options=${options} value=${name} onChange=${(value) => go(href(value))} />`;
  return html`<div class="filters">${choice}
    <span class="soft">${dataset.error ? "" : paused ? html`<${State} of="held" word="paused" /> by ${dataset.paused_by}: ${dataset.paused_reason}` : `from ${dataset.source}, every ${every(dataset.interval_s)}, target ${dataset.target}`}</span>
    <span class="last"><button class="btn edge" type="button" onClick=${() => runAgain(name)}><${Icon} name="play" />Run ${name}</button>
      <button class="btn" type="button" onClick=${() => (paused ? resume(name) : pause(dataset))}><${Icon} name=${paused ? "play" : "pause"} />${paused ? "Resume" : "Pause"}</button></span></div>`;
}

function told(text) {
  say(text);
  refresh.value += 1;
}

function pause({ name, interval_s: interval }) {
  confirm({
    title: `Pause ${name}?`,
    text: "Models that are live keep answering.",
    steps: ["The schedule asks no more: new data wait in the source.", "What is under way is finished. A person can still run it.", `Resumed, it is looked at again every ${every(interval)}.`],
    reason: "",
    cli: ({ reason }) => `rookery pause ${name}${reason ? ` --reason '${reason.replaceAll("'", "'\\''")}'` : ""}`,
    keep: "Let it run",
    make: `Pause ${name}`,
    run: ({ reason }) => post(`/api/datasets/${encodeURIComponent(name)}/pause`, { reason }).then(() => told(`${name} is paused`)),
  });
}

const resume = (name) => confirm({
  title: `Resume ${name}?`,
  text: "The schedule goes on, with a look at the source at once.",
  cli: `rookery resume ${name}`,
  keep: "Keep it paused",
  make: `Resume ${name}`,
  run: () => post(`/api/datasets/${encodeURIComponent(name)}/resume`).then(() => told(`${name} goes on`)),
});

function Columns({ dataset, number }) {
  const { data, error, slow } = useFetch(`/api/datasets/${encodeURIComponent(dataset.name)}/snapshots/${number}`);
  if (slow) return html`<${Skeleton} rows=${8} />`;
  if (!data) return error && html`<${Trouble} error=${error} />`;
  const { snapshot, columns } = data;
  const title = `Columns of ${dataset.name}, snapshot ${number}`;
  if (!columns) return html`<${Panel} title=${title}><p class="in soft">The table of this snapshot is dropped; its digest and what was learned from it are kept. ${snapshot.models.length > 0 && html`Models of it: ${snapshot.models.map(modelLink)}.`}</p></${Panel}>`;
  const used = new Map([...(snapshot.features?.features ?? []), ...(snapshot.features?.target ? [snapshot.features.target] : [])].map((feature) => [feature.name, feature]));
  const order = [...columns.columns].sort((a, b) => (b.name === dataset.target) - (a.name === dataset.target));
  return html`<${Panel} title=${title} right=${html`<span class="small soft">${plural(snapshot.rows ?? 0, "row")}, ${plural(columns.columns.length, "column")}${columns.sampled < 1 ? `; figures from ${(columns.sampled * 100).toFixed(1)} % of the rows` : ""}</span>`}>
    <${Scroll} label="Columns"><table class="columns listed"><thead><tr><th>Column</th><th>Kind</th><th class="num">Nulls</th><th>Distribution</th><th class="num">Lowest</th><th class="num">Median</th><th class="num">Highest</th></tr></thead>
      <tbody>${order.map((column) => html`<tr key=${column.name}>
        <td class="mono">${column.name}</td>
        <td>${column.name === dataset.target ? html`<${Tag}>target</${Tag}>` : html`<span class="soft">${column.bins.length || column.lowest !== null ? "number" : "text"}${used.size && !used.has(column.name) ? ", not used" : ""}</span>`}</td>
        <td class="num ${column.nulls ? "strong" : "soft"}" data-label="Nulls">${count(column.nulls)}</td>
        <td class="dist">${column.bins.length ? html`<${Hist} bins=${column.bins} label=${histWords(column)} />` : column.levels.length > 0 && html`<${Levels} levels=${column.levels} distinct=${column.distinct} />`}</td>
        ${column.bins.length ? html`<td class="num" data-label="Lowest">${brief(column.lowest)}</td><td class="num" data-label="Median">${brief(column.median)}</td><td class="num" data-label="Highest">${brief(column.highest)}</td>` : html`<td class="num soft" colspan="3">${plural(column.distinct, "level")}</td>`}
      </tr>`)}</tbody></table></${Scroll}>
    <${Dropped} snapshot=${snapshot} /></${Panel}>`;
}

const modelLink = (text, index) => {
  const [model, version] = text.split(" ");
  return html`${index > 0 ? ", " : ""}<a class="link" href=${versionHref(model, version)}>${text}</a>`;
};

function Dropped({ snapshot }) {
  const reasons = Object.entries(snapshot.rows_dropped);
  return html`<p class="note small">${reasons.length ? `${count(snapshot.rows_kept)} of ${count(snapshot.rows)} rows are used. Left out: ${reasons.map(([why, number]) => `${count(number)} because ${why}`).join("; ")}.` : snapshot.rows_kept !== null ? "All rows are used." : "It is not preprocessed yet."} ${snapshot.models.length > 0 && html`Models of it: ${snapshot.models.map(modelLink)}.`}</p>`;
}

const stateWord = (one) => (one.in_use ? "in use" : one.state);

function Snapshots({ dataset, snapshots, chosen }) {
  return html`<${Panel} title="Snapshots" note=${`the last ${snapshots.length}`}><table class="snapshots"><thead><tr><th>Snapshot</th><th class="num">Rows</th><th class="num">Used</th><th>State</th><th class="num">When</th></tr></thead>
    <tbody>${snapshots.map((one) => html`<tr key=${one.number} class=${one.number === chosen ? "is-on" : ""}>
      <td><a class="mono" data-row aria-current=${one.number === chosen ? "true" : null} href=${`${href(dataset.name)}/snapshots/${one.number}`}>${dataset.name}_${one.number}</a><br /><span class="mono tiny soft">${one.digest?.slice(0, 10)}</span> ${one.run && html`<${Id} of=${one.run} href=${`/runs/${one.run}`} />`}</td>
      <td class="num">${count(one.rows)}</td><td class="num">${one.rows_kept === null ? "" : count(one.rows_kept)}</td>
      <td><${State} of=${stateWord(one)} word=${stateWord(one)} /></td><td class="num soft">${ago(one.created_at, now.value)}</td></tr>`)}</tbody></table></${Panel}>`;
}

function Tables({ tables }) {
  return html`<${Panel} title="Tables in Postgres"><table class="tables"><thead><tr><th>Table</th><th>Shows</th><th class="num">Size</th></tr></thead><tbody>${tables.map((one) => html`<tr key=${one.name}><td class="mono">${one.name}</td>
    <td>${one.shown === one.wanted ? html`<span class="soft">snapshot ${one.shown}</span>` : html`<${State} of="waiting" word=${one.shown ? `${one.shown}, soon ${one.wanted}` : `soon ${one.wanted}`} />${one.waits_for && html`<br /><span class="small soft">a reader holds it: ${one.waits_for}</span>`}`}</td>
    <td class="num">${plural(one.rows ?? 0, "row")}, ${plural(one.columns, "column")}</td></tr>`)}</tbody></table></${Panel}>`;
}

const Nothing = () => html`<${Panel}><div class="empty"><h2>There is no data set yet</h2><p class="soft">A data set is one file in <code>datasets</code>: where the rows are, which column is to be told, from which others.</p><p>From a file with a header: <code>rookery datasets init FILE.csv --target COLUMN</code></p></div></${Panel}>`;
