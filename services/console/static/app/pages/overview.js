// The overview: is it working, and does anything wait for a person?
import { post, useFetch } from "../api.js";
import { Attention } from "../attention.js";
import { Banners, LiveModels } from "../banners.js";
import { Cards } from "../cards.js";
import { Chain } from "../chain.js";
import { chainOf } from "../chainstate.js";
import { attempt, confirm } from "../confirm.js";
import { ago, clock, plural, short } from "../format.js";
import { html, useEffect, useState } from "../html.js";
import { useKeys } from "../keyboard.js";
import { health, listen, now, queues, serving } from "../live.js";
import { Copy, Icon, Panel, Scroll, Skeleton, Tag, Trouble } from "../parts.js";
import { go, setQuery } from "../router.js";
import { FoldRow, rowsOf, runAgain, RunRow, scaleOf } from "../runlist.js";
import { State } from "../state.js";
import { aboutEvent, eventState, fresh } from "../words.js";

export default function Overview({ query }) {
  const dataset = query.get("dataset") ?? "";
  const { data, error, slow, again } = useFetch(`/api/overview${dataset ? `?dataset=${encodeURIComponent(dataset)}` : ""}`, ({ name }) => name === "event" || name === "settled");
  const names = (data?.datasets ?? []).map(({ name }) => name);
  const step = (by) => () => names.length > 1 && setQuery({ dataset: names[(names.indexOf(data.dataset) + by + names.length) % names.length] });
  useKeys({ "[": step(-1), "]": step(1), r: () => data?.dataset && runAgain(data.dataset) });
  if (slow) return html`<${Skeleton} rows=${4} /><${Skeleton} rows=${8} />`;
  if (!data) return error && html`<${Lost} error=${error} />`;
  const serves = serving.value ?? data.serving;
  const work = queues.value ?? data.work;
  const chain = chainOf({ overview: data, work, serving: serves, parts: health.value ?? [], now: now.value });
  const line = chain.dataset;
  const lost = error !== null && error.status === 503;
  return html`<${Banners} serving=${serves} lost=${lost} />
    ${chain.nothing ? html`<${FirstRun} line=${line} overview=${data} />` : html`<${Attention} items=${data.attention} checkedAt=${data.at} />`}
    ${data.datasets.length > 1 && html`<${Lines} overview=${data} work=${work} />`}
    <${Panel} title="The chain" note=${noteOf(data, chain)} right=${line && html`<${Deciding} line=${line} again=${again} />`}><${Chain} chain=${chain} /></${Panel}>
    <${Cards} overview=${data} serving=${serves} />
    ${chain.nothing ? html`<${AfterFirst} />` : html`<div class="two"><${LastRuns} page=${data.runs} /><${Happening} events=${data.events} /></div>`}`;
}

// Nothing could be read yet: what inference serves is shown instead.
function Lost({ error }) {
  const { data } = useFetch("/api/serving");
  return html`<${Banners} serving=${data?.now ?? serving.value} lost=${error.status === 503} />${error.status === 503 ? html`<${LiveModels} models=${data?.models ?? []} />` : html`<${Trouble} error=${error} />`}`;
}

function noteOf(data, chain) {
  if (chain.nothing) return "where your first run will pass";
  const run = data.runs.runs.find(({ dataset }) => dataset === data.dataset);
  const line = chain.dataset;
  if (!line) return "";
  return `${line.name}${line.snapshot ? `, snapshot ${line.snapshot}` : ""}${run ? `, run ${short(run.id)}` : ""}`;
}

function pauseOf(line, again) {
  confirm({
    title: `Pause the schedule of ${line.name}?`,
    text: "Its source is not looked at until somebody lets it go on.",
    steps: ["What is under way is finished.", "Its live models keep answering.", `Run ${line.name} still works, by hand.`],
    cli: ({ reason }) => `rookery pause ${line.name}${reason ? ` --reason ${JSON.stringify(reason)}` : ""}`,
    reason: "",
    keep: "Let it run",
    make: "Pause it",
    run: async ({ reason }) => {
      await post(`/api/datasets/${line.name}/pause`, { reason });
      again();
    },
  });
}

function Deciding({ line, again }) {
  const resume = async () => (await attempt(() => post(`/api/datasets/${line.name}/resume`), `The schedule of ${line.name} goes on`)) && again();
  return html`<button class="btn edge" type="button" onClick=${() => runAgain(line.name)}><${Icon} name="play" />Run ${line.name}</button>
    ${line.paused ? html`<button class="btn" type="button" onClick=${resume}><${Icon} name="play" /><span>Resume<span class="wide-only"> schedule</span></span></button>` : html`<button class="btn" type="button" onClick=${() => pauseOf(line, again)}><${Icon} name="pause" /><span>Pause<span class="wide-only"> schedule</span></span></button>`}`;
}

// Several data sets: one line each; the chosen one has the chain.
function Lines({ overview, work }) {
  const { datasets, models, dataset } = overview;
  return html`<${Panel} title="Data sets" note=${`${datasets.length}, the chain shows ${dataset}`} class="lines"><${Scroll} label="Table of data sets"><table class="listed"><caption class="sr">Data sets</caption>
    <thead><tr><th scope="col">Data set</th><th scope="col">Last run</th><th scope="col">Live models</th><th scope="col">Under way</th><th scope="col">Schedule</th></tr></thead>
    <tbody>${datasets.map((line) => {
      const mine = models.filter((model) => model.dataset === line.name);
      const live = mine.filter((model) => model.live).length;
      const held = mine.filter((model) => model.held.length).length;
      const open = work.open.filter((event) => event.dataset === line.name).length;
      const run = line.last_run;
      const choose = () => go(`/?dataset=${encodeURIComponent(line.name)}`, { replace: true });
      return html`<tr key=${line.name} class="opens ${line.name === dataset ? "is-on" : ""}" data-row tabindex="-1" onClick=${(event) => event.target.closest("a") || choose()} onKeyDown=${(press) => press.key === "Enter" && choose()}>
        <td><a class="strong" href=${`/?dataset=${encodeURIComponent(line.name)}`} aria-current=${line.name === dataset ? "true" : null}>${line.name}</a>${line.error && html` <${State} of="failed" word="its file is wrong" />`}</td>
        <td>${run ? html`<a href=${`/runs/${run.id}`}><${State} of=${run.outcome ?? run.state} word=${run.outcome === "trained" ? "done" : run.outcome ?? run.state} /> <span class="soft small">${ago(run.started_at, now.value)}</span></a>` : html`<span class="soft">none yet</span>`}</td>
        <td>${live} of ${Math.max(mine.length, line.families.length)}${held ? html` <${Tag} tone="held">${held} held</${Tag}>` : ""}</td>
        <td class="soft">${open ? plural(open, "event") : "nothing"}</td>
        <td class="soft">${line.paused ? html`<${Tag} tone="held">paused by ${line.paused_by}</${Tag}>` : line.interval_s ? `every ${line.interval_s} s` : ""}</td></tr>`;
    })}</tbody></table></${Scroll}></${Panel}>`;
}

function LastRuns({ page }) {
  const scale = scaleOf(page.runs, now.value);
  const rows = rowsOf(page).slice(0, 12);
  return html`<${Panel} title="Last runs" right=${html`<a class="link" href="/runs">All runs</a>`}><${Scroll} label="Table of last runs"><table class="runs listed brief"><caption class="sr">Last runs</caption>
    <thead class="sr"><tr><th scope="col">State</th><th scope="col">Run</th><th scope="col">Stages</th><th scope="col">Work</th><th scope="col">Outcome</th></tr></thead>
    <tbody>${rows.map(({ run, fold }) => run ? html`<${RunRow} key=${run.id} run=${run} scale=${scale} brief again=${false} />` : html`<${FoldRow} key=${`${fold.after}${fold.dataset}`} fold=${fold} columns=${5} onShow=${() => go("/runs?unchanged")} />`)}</tbody></table></${Scroll}></${Panel}>`;
}

const HAPPENING = 14;

// The newest events: what the page was read with, and what was told since.
function Happening({ events }) {
  const [told, setTold] = useState([]);
  useEffect(() => setTold([]), [events]);
  useEffect(() => listen(({ name, data }) => name === "event" && setTold((before) => [fresh(data), ...before].slice(0, HAPPENING))), []);
  const known = new Set(events.map(({ id }) => id));
  const shown = [...told.filter(({ id, type }) => !known.has(id) && type !== "dataset.unchanged"), ...events].slice(0, HAPPENING);
  return html`<${Panel} title="Happening" right=${html`<a class="link" href="/events">All events</a>`}><ul class="happening">${shown.map((event) => {
    const state = eventState(event);
    return html`<li key=${event.id}><span class="mono soft">${clock(event.time)}</span><span class="state"><${State} of=${state} word=${state} hidden /></span><span class="cut"><a class="mono" href=${event.type === "model.loaded" ? "/events" : `/events/${event.id}`}>${event.type}</a> <span class="soft small">${aboutEvent(event).bold}</span></span></li>`;
  })}</ul></${Panel}>`;
}

function FirstRun({ line, overview }) {
  if (!line) return html`<${Panel} title=""><div class="empty"><h2>There is no data set yet</h2><p class="soft">One file makes one: this writes it from a look at your table.</p><p><code class="command">rookery datasets init FILE.csv --target COLUMN</code></p></div></${Panel}>`;
  const next = line.last_tick ? Math.round(line.last_tick + line.interval_s - now.value / 1000) : null;
  const command = `rookery run ${line.name}`;
  const busy = overview.runs.runs.some(({ state }) => state === "running");
  return html`<${Panel} title=""><div class="empty"><h2>Nothing is trained yet</h2>
    <p class="soft">${busy ? "The first run is under way: watch it pass along the chain." : "The processes are up and wait for data. Start one run and watch it pass along the chain: the first model is live after a few seconds."}</p>
    <p class="row wrap"><button class="btn main" type="button" onClick=${() => runAgain(line.name)}><${Icon} name="play" />Run ${line.name} now</button><span class="soft">or</span><code class="command">${command}</code><${Copy} text=${command} label="Copy the command" />${next !== null && next > 0 && !line.paused && html`<span class="soft">or wait ${next} s for the schedule</span>`}</p></div></${Panel}>`;
}

function AfterFirst() {
  const { data: info } = useFetch("/api/info");
  const steps = [
    ["Ask a model", "A form made from its features, and the curl that does the same.", html`<a class="btn edge" href="/try">Try it</a>`],
    ["Change the data", "Add rows to the file. A new version is trained, checked against the live one and served.", html`<code>${info?.shared_dir ?? "shared"}/data</code>`],
    ["Bring your own table", "Any CSV, Parquet or SQL query becomes a data set with one file.", html`<code>rookery datasets init FILE.csv --target COLUMN</code>`],
  ];
  return html`<${Panel} title="After the first run"><ol class="after">${steps.map(([title, text, right], index) => html`<li key=${title}><span class="number" aria-hidden="true">${index + 1}</span><div class="grow"><h3>${title}</h3><p class="soft">${text}</p></div>${right}</li>`)}</ol></${Panel}>`;
}
