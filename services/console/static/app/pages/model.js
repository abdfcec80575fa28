// One model: which version should be live?
import { useFetch } from "../api.js";
import { figure, metricValue, metricWords, plural, rate } from "../format.js";
import { html } from "../html.js";
import { useKeys } from "../keyboard.js";
import { now, serving } from "../live.js";
import { Icon, Panel, Segment, Skeleton, Tag, Trouble } from "../parts.js";
import { go, setQuery } from "../router.js";
import { seriesColour, Shape, State } from "../state.js";
import { endShadow, keepHeld, pin, promote, rollback, shadow, unpin } from "../models/decide.js";
import { Decisions } from "../models/history.js";
import { LatencyChart, milliseconds } from "../models/latency.js";
import { MetricChart } from "../models/metricchart.js";
import { Ribbon } from "../models/ribbon.js";
import { Versions } from "../models/versions.js";
import { compareHref, liveWords, metricsOf } from "../models/words.js";

export default function ModelPage({ params, query }) {
  const name = params.model;
  const { data, error, slow } = useFetch(`/api/models/${encodeURIComponent(name)}`, ({ name: told, data: event }) => told === "event" && /^model\./.test(event.type) && (event.subject ?? "").includes(name.split(".").at(-1)));
  useKeys({ Escape: () => go("/models") });
  if (slow) return html`<${Skeleton} rows=${12} />`;
  if (!data) return error && html`<${Trouble} error=${error} />`;
  const { model, dataset, versions, history } = data;
  const metric = dataset?.metric ?? "accuracy";
  const metrics = metricsOf(versions, metric).slice(0, 3);
  const shown = metrics.includes(query.get("metric")) ? query.get("metric") : metrics[0];
  const index = Math.max(0, dataset?.families.indexOf(model.family) ?? 0);
  const context = { metric, isDefault: data.serving.default };
  const went = history.filter(({ action }) => ["publish", "promote", "rollback"].includes(action)).map((one) => ({ ...one, at: Date.parse(one.at) })).reverse();
  return html`${error && html`<${Trouble} error=${error} />`}
    <${Head} data=${data} metric=${metric} context=${context} />
    ${model.held.slice(0, 1).map((number) => html`<${Held} key=${number} number=${number} data=${data} context=${context} />`)}
    ${model.candidate && html`<${ShadowPanel} data=${data} context=${context} />`}
    ${data.serving.error && html`<${Panel} tone="bad"><div class="verdict"><${Shape} of="failed" /><p><b>Inference refuses what is to be live.</b> ${data.serving.error} ${data.serving.version ? `Version ${data.serving.version} keeps serving.` : "The model does not answer."}</p></div></${Panel}>`}
    <div class="half">
      <${Panel} title=${`${metricWords(shown ?? metric)} over versions`} right=${metrics.length > 1 && html`<${Segment} label="Metric" options=${metrics.map((one) => [one, metricWords(one)])} value=${shown} onChange=${(value) => setQuery({ metric: value === metrics[0] ? "" : value })} />`}>
        <${MetricChart} model=${model} versions=${versions} history=${history} metric=${shown} gate=${dataset?.gates?.[model.name]} index=${index} /></${Panel}>
      <${Panel} title="Latency, last hour" note="all models of this installation"><${LatencyChart} series=${data.series} went=${went} colour=${seriesColour(index)} failed=${serving.value?.failed} /></${Panel}>
    </div>
    <${Versions} data=${data} query=${query} context=${context} />
    <${Panel} title="History" note="who decided what, and why"><${Decisions} of=${history} /></${Panel}>`;
}

function Head({ data, metric, context }) {
  const { model, dataset, versions } = data;
  const live = versions.find(({ version }) => version === model.live);
  const told = serving.value ?? {};
  const heard = told.records?.[model.name] ?? data.serving.rate;
  const figures = [
    live && [metricWords(metric), figure(metricValue(metric, live.metrics[metric])), live.rows_test ? `${live.rows_test} test rows` : ""],
    ["Answers", `${rate(heard)}/s`, data.serving.loaded_at ? `loaded in ${Math.round(data.serving.load_milliseconds ?? 0)} ms` : "not loaded"],
    ["p99", milliseconds(told.p99 ?? data.serving.p99), (told.p50 ?? data.serving.p50) ? `p50 ${milliseconds(told.p50 ?? data.serving.p50)}` : ""],
    live && ["Trained on", live.rows_train ? plural(live.rows_train, "row") : "", live.snapshot ? `snapshot ${live.snapshot}` : ""],
  ].filter(Boolean);
  return html`<${Panel}>
    <div class="live-line">
      <div class="says">
        <div class="row">${model.live ? html`<span class="tag ok big"><${Shape} of="live" />version ${model.live} live</span>` : html`<${Tag}>no version is live</${Tag}>`}
          ${model.pinned && html`<span class="tag held big"><${Shape} of="pinned" />pinned</span>`}
          <span>${model.live ? liveWords(model, now.value) : "No version has passed the gate yet."}</span></div>
        <p class="soft"><a class="link" href=${`/data/${encodeURIComponent(model.dataset)}`}>${model.dataset}</a>${dataset?.estimators?.[model.name] && html` · <code>${dataset.estimators[model.name]}</code>`}${data.serving.default ? " · answers when no model is named" : ""}</p>
        ${!model.written && html`<p class="row small"><${State} of="waiting" word="The models folder follows" /><span class="soft">it could not be written yet; it is tried again every few seconds</span></p>`}
      </div>
      <div class="right">
        <dl class="figures">${figures.map(([label, value, second]) => html`<div key=${label}><dt>${label}</dt><dd>${value}</dd><dd>${second}</dd></div>`)}</dl>
        <div class="acts">
          ${model.previous && html`<button class="btn edge" type="button" onClick=${() => rollback(model, model.previous, context)}><${Icon} name="undo-2" />Roll back to ${model.previous}</button>`}
          ${model.live && (model.pinned ? html`<button class="btn edge" type="button" onClick=${() => unpin(model)}><${Icon} name="pin" />Unpin</button>` : html`<button class="btn edge" type="button" onClick=${() => pin(model)}><${Icon} name="pin" />Pin ${model.live}</button>`)}
        </div>
      </div>
    </div>
    <div class="ribbon-box"><p class="between"><span>Which version answered</span><span>a dashed edge is a person's decision</span></p><${Ribbon} name=${model.name} history=${data.history} live=${model.live} at=${now.value} /></div>
  </${Panel}>`;
}

function Held({ number, data, context }) {
  const { model, versions } = data;
  const version = versions.find((one) => one.version === number);
  if (!version) return null;
  const more = model.held.length - 1;
  return html`<${Panel} tone="held"><div class="verdict"><${Shape} of="held" label="held" />
    <p><b>Version ${number} is held.</b> ${sentence(version.reason)} <span class="soft">${model.live ? `Nothing has changed for callers: ${model.live} keeps answering.` : "The model does not answer."}${more ? ` ${plural(more, "older version is", "older versions are")} held too.` : ""}</span></p>
    <div class="acts">
      ${model.live && html`<a class="btn edge" href=${compareHref(model.name, model.live, number)}><${Icon} name="git-compare-arrows" />Compare with ${model.live}</a>`}
      <button class="btn" type="button" onClick=${() => keepHeld(model, number)}>Leave it held</button>
      ${model.live && model.candidate !== number && html`<button class="btn" type="button" onClick=${() => shadow(model, number)}>Run as shadow</button>`}
      <button class="btn edge" type="button" onClick=${() => promote(model, version, context)}>Promote anyway</button>
    </div></div></${Panel}>`;
}

const sentence = (reason) => (reason ? `${reason.replace(/^./, (letter) => letter.toUpperCase()).replace(/\.$/, "")}.` : "The gate holds it.");

function ShadowPanel({ data, context }) {
  const { model, versions } = data;
  const counts = (serving.value?.shadow ?? data.serving.shadow ?? {})[`${model.name}@${model.candidate}`] ?? {};
  const asked = Object.values(counts).reduce((sum, one) => sum + one, 0);
  const agreed = counts.agree ?? 0;
  const version = versions.find((one) => one.version === model.candidate);
  return html`<${Panel}><div class="verdict"><${Shape} of="ready" />
    <p><b>Version ${model.candidate} runs as a shadow</b> on ${Math.round(model.shadow_share * 100)} % of the live requests. ${asked ? `It agreed with ${model.live} on ${agreed} of ${plural(asked, "record")} (${((agreed / asked) * 100).toFixed(1)} %).` : "It was not asked yet."} <span class="soft">Nobody sees its answers.</span></p>
    <div class="acts"><a class="btn edge" href=${compareHref(model.name, model.live, model.candidate)}><${Icon} name="git-compare-arrows" />Compare with ${model.live}</a><button class="btn" type="button" onClick=${() => endShadow(model)}>End the shadow</button>${version && html`<button class="btn edge" type="button" onClick=${() => promote(model, version, context)}>Make ${model.candidate} live</button>`}</div>
  </div></${Panel}>`;
}
