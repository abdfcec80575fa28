// One version: how good it is, what it learned from, its report and its model card.
import { useFetch } from "../api.js";
import { ago, bytes, clock, count, day, figure, metricValue, metricWords, params, span } from "../format.js";
import { html } from "../html.js";
import { useKeys } from "../keyboard.js";
import { now } from "../live.js";
import { Copy, Icon, Id, Json, Pairs, Panel, Skeleton, Trouble } from "../parts.js";
import { go } from "../router.js";
import { State } from "../state.js";
import { promote, rollback } from "../models/decide.js";
import { ByClass } from "../models/evidence.js";
import { Markdown } from "../models/markdown.js";
import { compareHref, metricsOf, modelHref } from "../models/words.js";
import { Scroll } from "../models/scroll.js";

export default function VersionPage({ params: { model: name, version } }) {
  const path = `/api${modelHref(name)}`;
  const fits = ({ name: told, data }) => told === "event" && /^model\./.test(data.type);
  const one = useFetch(`${path}/versions/${encodeURIComponent(version)}`, fits);
  const whole = useFetch(path, fits);
  useKeys({ Escape: () => go(modelHref(name)) });
  if (one.slow) return html`<${Skeleton} rows=${12} />`;
  if (!one.data) return one.error && html`<${Trouble} error=${one.error} />`;
  const source = (file) => `${path}/versions/${encodeURIComponent(version)}/report/${encodeURIComponent(file)}`;
  const { manifest, card, report, damage } = one.data;
  const pictures = report.filter(({ kind }) => kind.startsWith("image/"));
  return html`<${Head} version=${one.data.version} manifest=${manifest} model=${whole.data?.model} metric=${whole.data?.dataset?.metric} isDefault=${whole.data?.serving.default} />
    ${damage && html`<${Panel} tone="bad" title="This version does not verify"><p class="in">${damage} Inference does not load it; what was live keeps answering. Train again, or remove its folder.</p></${Panel}>`}
    <div class="half">
      <${Panel} title="How good it is" note=${one.data.version.rows_test ? `on ${one.data.version.rows_test} rows that it has not seen` : ""}><${Scores} version=${one.data.version} metric=${whole.data?.dataset?.metric} />${manifest && html`<${ByClass} report=${manifest.report} classes=${manifest.classes ?? []} />`}</${Panel}>
      <div class="stack16">
        <${Panel} title="Where it comes from"><div class="in"><${Lineage} version=${one.data.version} manifest=${manifest} /></div></${Panel}>
        ${manifest && html`<${Panel} title="What the search tried"><${Tried} scores=${manifest.scores ?? []} best=${manifest.best_params} /></${Panel}>`}
      </div>
    </div>
    <${Panel} title="Report" note=${pictures.length ? `${pictures.length} pictures, drawn by training` : ""}>${pictures.length ? html`<div class="thumbs">${pictures.map((file) => html`<figure key=${file.name}><a href=${source(file.name)} target="_blank" rel="noreferrer"><img src=${source(file.name)} alt=${`${file.title} of ${name} ${version}`} loading="lazy" /></a><figcaption>${file.title}</figcaption></figure>`)}</div>` : html`<p class="in soft">Its report is not drawn yet, or is gone. <code>rookery run --from train</code> makes a new version with one.</p>`}</${Panel}>
    <${Panel} title="Model card" right=${card && html`<a class="btn" href=${source("model_card.md")} download=${`${name}-${version}.md`}><${Icon} name="download" />As Markdown</a>`}>
      <div class="in">${card ? html`<${Markdown} text=${card} source=${source} skip=${["Pictures", "How good it is", "Where it comes from"]} />` : html`<p class="soft">There is no card beside this version.</p>`}</div></${Panel}>
    ${manifest && html`<${Panel} title="Manifest" right=${html`<${Copy} text=${JSON.stringify(manifest, null, 2)} label="Copy the manifest" />`}><details class="in"><summary class="small soft">The signed file beside the version, as JSON</summary><div class="fold-open"><${Json} value=${manifest} /></div></details></${Panel}>`}`;
}

function Head({ version, manifest, model, metric = "accuracy", isDefault }) {
  const number = version.version;
  const canServe = version.state === "published" || version.state === "held";
  return html`<${Panel}><div class="live-line">
    <div class="says"><div class="row"><${State} of=${version.state === "held" ? "held" : version.role} word=${version.state === "held" ? "held" : version.role} /><b>${version.model} ${number}</b><span class="soft">trained ${ago(version.created_at, now.value)}</span></div>
      <p class="soft">${version.reason}</p></div>
    <div class="right"><dl class="figures">
      <div><dt>${metricWords(metric)}</dt><dd>${figure(metricValue(metric, version.metrics[metric]))}</dd><dd>${version.rows_test !== null && `${version.rows_test} test rows`}</dd></div>
      <div><dt>Parameters</dt><dd class="mono">${params(version.best_params)}</dd><dd>${manifest?.estimator?.split(".").at(-1) ?? version.family}</dd></div>
      <div><dt>Trained in</dt><dd>${span(version.seconds)}</dd><dd>${version.rows_train !== null && `${count(version.rows_train)} rows`}</dd></div></dl>
      <div class="acts">
        ${model?.live && model.live !== number && canServe && html`<a class="btn edge" href=${compareHref(version.model, model.live, number)}><${Icon} name="git-compare-arrows" />Compare with ${model.live}</a>`}
        ${model && model.live !== number && canServe && (model.trail.includes(number) ? html`<button class="btn edge" type="button" onClick=${() => rollback(model, number, { isDefault })}>Go back to ${number}</button>` : html`<button class="btn edge" type="button" onClick=${() => promote(model, version, { metric, isDefault })}>Make ${number} live</button>`)}
      </div></div></div></${Panel}>`;
}

function Scores({ version, metric }) {
  const names = metricsOf([version], metric ?? "accuracy");
  return html`<table><thead><tr><th>Metric</th><th class="num">Test rows</th></tr></thead><tbody>${names.map((name) => html`<tr key=${name}><td>${metricWords(name)}</td><td class="num strong">${figure(metricValue(name, version.metrics[name]))}</td></tr>`)}</tbody></table>`;
}

function Lineage({ version, manifest }) {
  const size = Object.values(manifest?.files ?? {}).reduce((sum, { size: own }) => sum + own, 0);
  return html`<${Pairs} of=${[
    ["Published", version.published_at && `${day(version.published_at)} ${clock(version.published_at)} UTC`],
    ["Run", version.run && html`<${Id} of=${version.run} href=${`/runs/${version.run}`} />`],
    ["Snapshot", version.snapshot && html`<a class="link mono" href=${`/data/${encodeURIComponent(version.dataset)}/snapshots/${version.snapshot}`}>${version.dataset}_${version.snapshot}</a>`],
    ["Digest of the rows", version.digest && html`<span class="mono">${version.digest.slice(0, 16)}</span>`],
    ["Rows", version.rows_train !== null && version.rows_test !== null && `${count(version.rows_train)} to train, ${count(version.rows_test)} to test`],
    ["Estimator", manifest?.estimator && html`<code>${manifest.estimator}</code>`],
    ["Answers by", manifest && (manifest.predictor.kind === "pickle" ? `scikit-learn itself (${manifest.predictor.why})` : `plain arrays (${manifest.predictor.kind}), equal to scikit-learn on every row`)],
    ["Files", manifest && `${Object.keys(manifest.files).length}, ${bytes(size)}, each with its hash in the manifest`],
    ["Libraries", manifest && Object.entries(manifest.libraries).map(([library, number]) => `${library} ${number}`).join(", ")],
    ["Code", manifest?.git_revision && html`<span class="mono">${manifest.git_revision.slice(0, 12)}</span>`],
  ]} />`;
}

function Tried({ scores, best }) {
  if (!scores.length) return html`<p class="in soft">Nothing was searched: the parameters are fixed.</p>`;
  const chosen = JSON.stringify(best);
  return html`<${Scroll} label="What the search tried"><table><thead><tr><th>Parameters</th><th class="num">Mean of the folds</th><th class="num">Lowest</th><th class="num">Time</th></tr></thead>
    <tbody>${[...scores].sort((a, b) => b.mean - a.mean).slice(0, 40).map((score) => html`<tr key=${score.place}><td><span class="mono">${params(score.params)}</span>${JSON.stringify(score.params) === chosen && html` <span class="tag">chosen</span>`}</td><td class="num">${figure(score.mean)}</td><td class="num soft">${figure(Math.min(...score.folds))}</td><td class="num soft">${span(score.seconds)}</td></tr>`)}</tbody></table></${Scroll}>`;
}
