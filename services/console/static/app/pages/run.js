// One run: what caused what, where the time went, why it ended as it did.
import { useFetch } from "../api.js";
import { EventView } from "../eventview.js";
import { ago, clock, closed, count, day, plural, span } from "../format.js";
import { html, useState } from "../html.js";
import { useKeys } from "../keyboard.js";
import { now } from "../live.js";
import { Copy, Facts, Icon, Panel, Skeleton, Trouble } from "../parts.js";
import { go } from "../router.js";
import { runAgain } from "../runlist.js";
import { State } from "../state.js";
import { CauseTree, Legend } from "../tree.js";
import { causeOf, runState, runWord } from "../words.js";

export default function Run({ params, query }) {
  const ofRun = ({ name, data: told }) => (name === "event" || name === "settled") && (told.run === data?.run.id || (told.type === "model.loaded" && data?.run.models.some(({ model, version }) => model === told.data.model && version === told.data.version)));
  const { data, error, slow } = useFetch(`/api/runs/${params.id}`, (message) => ofRun(message));
  useKeys({ r: () => data && runAgain(data.run.dataset), Escape: () => go(query.has("event") ? `/runs/${params.id}` : "/runs") });
  if (slow) return html`<${Skeleton} rows=${12} />`;
  if (!data) return error && html`<${Trouble} error=${error} />`;
  const { run, events } = data;
  const chosen = events.find(({ id }) => id === query.get("event")) ?? notable(events);
  const hrefOf = ({ id }) => `/runs/${params.id}?event=${id}`;
  return html`${error && html`<${Trouble} error=${error} />`}
    <${Head} data=${data} />
    <div class="run-parts">
      <${Panel} title="Events, each under the one that caused it" right=${html`<${Legend} />`}>
        <${CauseTree} run=${run} events=${events} chosen=${chosen?.id} hrefOf=${hrefOf} now=${run.ended_at ? Date.parse(run.ended_at) : now.value} /></${Panel}>
      ${chosen && html`<${EventView} key=${chosen.id} event=${chosen} cause=${events.find(({ id }) => id === chosen.cause)} ledTo=${events.filter(({ cause }) => cause === chosen.id)} hrefOf=${hrefOf} />`}
    </div>
    <${Log} run=${run} />`;
}

// The event that explains the run best, if none is chosen.
function notable(events) {
  const by = (fits) => events.find(fits);
  return by(({ state }) => state === "dead") ?? by(({ type }) => type === "model.held" || type === "dataset.rejected" || type === "model.rejected") ?? by(({ state }) => state === "running") ?? events.at(-1);
}

function Head({ data }) {
  const { run, events, rows } = data;
  const held = run.models.find(({ state }) => state === "held");
  const started = `${day(run.started_at) === day(Date.now()) ? "" : `${day(run.started_at)} `}${clock(run.started_at, true)}, ${ago(run.started_at, now.value)}`;
  const kept = rows.rows_kept !== null && rows.rows_kept !== undefined ? `, ${count(rows.rows_kept)} used` : "";
  return html`<${Panel} title=""><div class="head">
      <div class="stack4"><h2 class="row"><${State} of=${runState(run)} word=${runWord(run)} /><span class="faint">·</span><span>${run.dataset}${run.snapshot ? `, snapshot ${run.snapshot}` : ""}</span></h2>
        <p class="sentence">${sentences(data)}</p></div>
      <div class="row wrap"><button class="btn edge" type="button" onClick=${() => runAgain(run.dataset)}><${Icon} name="rotate-ccw" />Run again</button>
        ${held && html`<a class="btn main" href=${`/models/${held.model}`}>Decide about ${held.version}</a>`}</div>
    </div>
    <div class="in facts-line"><${Facts} of=${[
      ["Caused by", causeOf(run)],
      ["Started", started],
      ["Work", span(run.work_s)],
      ["Data", rows.rows !== null && rows.rows !== undefined ? `${count(rows.rows)} rows${kept}` : ""],
      ["Events", count(events.length)],
      ["Retries", run.retries || ""],
      ["Run", html`<span class="mono">${run.id}</span> <${Copy} text=${run.id} label="Copy the id of the run" />`],
    ]} /></div></${Panel}>`;
}

// What came of it, in sentences: what is wrong first, then why, then what it means.
function sentences({ run, events }) {
  const of = (type) => events.filter((event) => event.type === type);
  const dead = events.find(({ state }) => state === "dead");
  const refused = of("dataset.rejected")[0];
  const parts = [];
  if (dead) parts.push(html`<b>${dead.type} of ${dead.data.family ?? dead.subject} was given up</b> after ${plural(dead.attempts, "attempt")}: ${closed(dead.error)} What was live before keeps serving. `);
  if (refused) parts.push(html`<b>The new data were rejected</b>: ${closed(refused.data.reason)} The snapshot before and its models stay in use. `, html`<a class="link" href=${`/data/${run.dataset}`}>See the rows</a>`);
  for (const { data } of of("model.held")) parts.push(html`<b>${data.model} ${data.version} is held</b>: ${closed(data.reason)} `);
  for (const { data } of of("model.rejected")) parts.push(html`<b>${data.model} ${data.version} was refused by inference</b>: ${closed(data.reason || data.error)} `);
  const live = run.models.filter(({ state }) => state === "published");
  if (live.length) parts.push(`${run.models.length === live.length ? "Made " : "Also made: "}${live.map(({ model, version }) => `${model} ${version}`).join(", ")}. `);
  if (run.outcome === "unchanged") parts.push("Source and specification are as before, so nothing followed.");
  if (run.outcome === "superseded") parts.push("A newer snapshot came before this one was trained on.");
  if (run.state === "running") parts.push(working(run));
  if (!parts.length) parts.push(run.reason || "The run ended; no version came of it.");
  return parts;
}

function working(run) {
  const busy = run.bars.filter(({ state }) => state === "running");
  if (busy.length) return `Under way: ${busy.map(({ stage, subject }) => `${stage} ${subject}`).join(", ")}.`;
  const next = run.bars.find(({ state }) => state === "waiting");
  return next ? `Waiting: ${next.stage} ${next.subject}.` : "The last events are being written.";
}

function Log({ run }) {
  const { data, error } = useFetch(`/api/runs/${run.id}/log`, ({ name, data: told }) => name === "settled" && told.run === run.id);
  const [text, setText] = useState("");
  const [raw, setRaw] = useState(false);
  const words = text.toLowerCase();
  const lines = (data?.lines ?? []).filter((line) => JSON.stringify(line).toLowerCase().includes(words));
  return html`<${Panel} title="Log of this run" right=${html`<label class="find log-find"><span class="sr">Search the log</span><${Icon} name="search" /><input type="search" placeholder="Search" value=${text} onInput=${(event) => setText(event.target.value)} /></label>
      <button class="btn" type="button" aria-pressed=${String(raw)} onClick=${() => setRaw(!raw)}>Raw</button>`}>
    ${error && html`<p class="in soft">${error.message}</p>`}
    ${data && (lines.length === 0 ? html`<p class="in soft">${text ? "No line has this in it." : `There is nothing to show: ${data.why || "no line yet"}.`}</p>` : html`<ol class="log" tabindex="0" aria-label="Log lines">${lines.map((line, index) => html`<${Line} key=${index} line=${line} raw=${raw} />`)}</ol>`)}</${Panel}>`;
}

const TONES = { warning: "held", error: "bad", critical: "bad" };
const plain = (value) => (typeof value === "object" ? JSON.stringify(value) : String(value));

function Line({ line, raw }) {
  if (raw) return html`<li class="raw">${JSON.stringify(line)}</li>`;
  const fields = Object.entries(line.fields).map(([name, value]) => `${name}=${plain(value)}`).join("  ");
  return html`<li><span class="soft">${line.time ? clock(line.time, true) : ""}</span><span class=${TONES[line.level] ?? "soft"}>${line.level}</span><span class="soft">${line.service}</span><span>${line.text}  <span class="fields">${fields}</span></span></li>`;
}
