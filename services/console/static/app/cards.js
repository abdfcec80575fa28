// The live models: version, metric, requests, and what is unusual about each.
import { age, figure, metricValue, metricWords, rate } from "./format.js";
import { html } from "./html.js";
import { now } from "./live.js";
import { Panel, Tag } from "./parts.js";
import { ModelName, seriesColour, Series, State } from "./state.js";

export function spark(values, width, height) {
  const known = values.filter((value) => value !== null);
  const most = Math.max(...known, 0.001);
  const least = Math.min(...known, most);
  const reach = most - least || most;
  const points = values.map((value, index) => [(index / Math.max(1, values.length - 1)) * (width - 6) + 2, height - 3 - ((value ?? least) - least) / reach * (height - 6)]);
  return { d: points.map(([x, y], index) => `${index ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join(""), end: points.at(-1) };
}

function Spark({ values, colour, label }) {
  if (values.length < 2) return html`<span class="tiny faint spark-none">no hour of requests yet</span>`;
  const { d, end } = spark(values, 140, 22);
  return html`<svg class="spark" width="140" height="22" role="img" aria-label=${label}><path d=${d} style=${{ stroke: colour }} /><circle cx=${end[0]} cy=${end[1]} r="2.2" style=${{ fill: colour }} /></svg>`;
}

function note(model, failed) {
  if (failed) return html`<${State} of="dead letter" word=${`v${model.newest + 1} not trained`} />`;
  if (model.held.length) return html`<${State} of="held" word=${`v${model.held[0]} held`} />`;
  if (model.pinned) return html`<${State} of="pinned" />`;
  if (model.candidate) return html`<${State} of="ready" word=${`v${model.candidate} in shadow`} />`;
  return model.written === false ? html`<${State} of="waiting" word="not written yet" />` : null;
}

function Card({ model, dataset, serving, series, failed }) {
  const index = dataset ? dataset.families.indexOf(model.family) : 0;
  const metric = dataset?.metric || Object.keys(model.metrics ?? {})[0] || "";
  const value = model.metrics?.[metric];
  const now_ = serving?.records?.[model.name] ?? 0;
  return html`<a class="card" href=${`/models/${model.name}`}>
    <span class="row"><${Series} name=${model.name} index=${index}><${ModelName} name=${model.name} /></${Series}>${model.live ? html`<${Tag} tone="ok">v${model.live}</${Tag}>` : html`<${Tag}>none live</${Tag}>`}</span>
    <span class="row"><span class="figure">${value === undefined ? "–" : figure(metricValue(metric, value))}</span><span class="tiny soft">${metricWords(metric).toLowerCase()}</span></span>
    <span class="row"><${Spark} values=${series ?? []} colour=${seriesColour(index)} label=${`Records a second of ${model.name} in the last hour, now ${rate(now_)}`} /><span class="small"><b>${rate(now_)}</b> <span class="soft">rec/s</span></span></span>
    <span class="row small soft"><span class="nowrap">${model.live_since && model.live ? `live ${age(model.live_since, now.value)}` : ""}</span>${note(model, failed)}</span></a>`;
}

export function Cards({ overview, serving }) {
  const { models, datasets, attention, dataset } = overview;
  const dead = attention.filter(({ kind }) => kind === "dead");
  const failed = (model) => dead.some(({ title }) => title.endsWith(` ${model.name}`) || title.includes(` ${model.name} `));
  const shown = models.length > 10 ? models.filter((model) => model.dataset === dataset) : models;
  if (!shown.length) return null;
  return html`<${Panel} title="" class="cards-panel"><h2 class="sr">Live models</h2><div class="cards">${shown.map((model) => html`<${Card} key=${model.name} model=${model} dataset=${datasets.find(({ name }) => name === model.dataset)} serving=${serving} series=${overview.series[model.name]} failed=${failed(model)} />`)}</div>
    ${shown.length < models.length && html`<p class="more small soft"><span>${models.length - shown.length} of other data sets. <a class="link" href="/models">All models</a></span></p>`}</${Panel}>`;
}
