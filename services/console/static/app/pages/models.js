// Models: what answers, since when, who decided.
import { useFetch } from "../api.js";
import { ago, figure, metricValue, metricWords, rate } from "../format.js";
import { html } from "../html.js";
import { now, serving } from "../live.js";
import { Panel, Skeleton, Tag, Trouble } from "../parts.js";
import { Decisions } from "../models/history.js";
import { Ribbon, stretches } from "../models/ribbon.js";
import { compareHref, liveWords, modelHref } from "../models/words.js";
import { Series, State } from "../state.js";

export const aboutModels = ({ name, data }) => name === "event" && /^model\./.test(data.type);

export default function Models({ query }) {
  const chosen = query.get("dataset") ?? "";
  const models = useFetch("/api/models", aboutModels);
  const decisions = useFetch("/api/decisions?limit=500", aboutModels);
  const datasets = useFetch("/api/datasets", ({ name, data }) => name === "event" && data.type.startsWith("run."));
  if (models.slow) return html`<${Skeleton} rows=${9} />`;
  if (!models.data) return models.error && html`<${Trouble} error=${models.error} />`;
  if (!models.data.length) return html`<${Nothing} />`;
  const line = (name) => datasets.data?.find((one) => one.name === name);
  const shown = models.data.filter(({ dataset }) => !chosen || dataset === chosen);
  const isFirst = (name) => Boolean(line(name)?.default);
  const groups = [...new Set(shown.map(({ dataset }) => dataset))].sort((a, b) => isFirst(b) - isFirst(a));
  const history = decisions.data ?? [];
  const of = (name) => history.filter(({ model }) => model === name);
  const starts = shown.map(({ name, live }) => stretches(of(name), live, now.value)[0]?.from).filter(Boolean);
  return html`${groups.map((group) => html`<${Panel} key=${group} title=${groups.length > 1 ? group : "Which version answered"} note=${sharedNote(shown.filter(({ dataset }) => dataset === group))} right=${html`<a class="link small" href=${`/data/${encodeURIComponent(group)}`}>Data</a><a class="link small" href=${`/try?dataset=${encodeURIComponent(group)}`}>Try it</a>`}>
      ${shown.filter(({ dataset }) => dataset === group).map((model, index) => html`<${ModelRow} key=${model.name} model=${model} index=${index} history=${of(model.name)} from=${Math.min(...starts)} line=${line(group)} last=${index === shown.filter(({ dataset }) => dataset === group).length - 1} />`)}
    </${Panel}>`)}
    <${Panel} title="Decisions" note="what went live, and who decided otherwise"><${Decisions} of=${history.filter(({ model }) => shown.some(({ name }) => name === model)).slice(0, 60)} withModel /></${Panel}>`;
}

const sharedNote = (models) => (models.some(({ held }) => held.length) ? "what is held waits for a decision" : "a dashed edge is a person's decision");

function ModelRow({ model, index, history, from, line, last }) {
  const metric = line?.metric ?? "accuracy";
  const heard = serving.value?.records?.[model.name];
  const isDefault = line?.default && line.default_model === model.family;
  return html`<div class="modelrow">
    <div class="first">
      <h3><a href=${modelHref(model.name)} data-row><${Series} name=${model.name} index=${line ? line.families.indexOf(model.family) : index} /></a></h3>
      ${model.live ? html`<${Tag} tone="ok"><${State} of="live" word=${`version ${model.live} live`} /></${Tag}>` : html`<${Tag}>no version is live</${Tag}>`}
      ${model.pinned && html`<${Tag} tone="held"><${State} of="pinned" word="pinned" /></${Tag}>`}
      ${model.candidate && html`<${Tag}>shadow ${model.candidate}</${Tag}>`}
      <span class="small soft">${liveWords(model, now.value)}${isDefault ? ", answers when no model is named" : ""}</span>
      <dl class="figures">
        ${model.metrics[metric] !== undefined && html`<div><dt>${metricWords(metric)}</dt><dd class="num">${figure(metricValue(metric, model.metrics[metric]))}</dd></div>`}
        <div><dt>Answers</dt><dd class="num">${rate(heard)}/s</dd></div>
      </dl>
    </div>
    <${Ribbon} name=${model.name} history=${history} live=${model.live} at=${now.value} from=${from} axis=${last} />
    ${model.held.length > 0 && html`<p class="row wrap"><${State} of="held" word=${`version ${model.held.join(" and ")} held`} /><a class="link" href=${modelHref(model.name)}>Decide</a>${model.live && html`<a class="link" href=${compareHref(model.name, model.live, model.held[0])}>Compare ${model.live} and ${model.held[0]}</a>`}</p>`}
    ${!model.written && html`<p class="row"><${State} of="waiting" word="the folder follows" /><span class="small soft">The decision of ${ago(model.live_since, now.value)} is in Postgres; the models folder could not be written yet. It is tried again every few seconds.</span></p>`}
  </div>`;
}

const Nothing = () => html`<${Panel}><div class="empty"><h2>No model yet</h2><p class="soft">A model appears here with its first trained version, at most a few seconds after its data set was read.</p><a class="btn main" href="/">To the overview</a><p class="small soft">The same from a terminal: <code>rookery run</code></p></div></${Panel}>`;
