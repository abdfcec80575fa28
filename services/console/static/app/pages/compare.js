// Two versions side by side, on the same test rows: which should be live?
import { useFetch } from "../api.js";
import { brief, bytes, count, figure, isError, metricValue, metricWords, params, plural } from "../format.js";
import { html } from "../html.js";
import { useKeys } from "../keyboard.js";
import { Icon, Panel, Skeleton, Tag, Trouble } from "../parts.js";
import { go } from "../router.js";
import { Shape } from "../state.js";
import { keepHeld, promote, rollback } from "../models/decide.js";
import { Confusion, Looks } from "../models/evidence.js";
import { Markdown } from "../models/markdown.js";
import { metricsOf, modelHref, versionHref } from "../models/words.js";
import { Scroll } from "../models/scroll.js";

export default function Compare({ params: { model: name, pair }, query }) {
  const [a, b] = pair.split("..").map((text) => Math.floor(Number(text)));
  const path = `/api${modelHref(name)}`;
  const valid = a > 0 && b > 0;
  const fits = ({ name: told, data }) => told === "event" && /^model\./.test(data.type);
  const whole = useFetch(path, fits);
  const found = useFetch(valid ? `${path}/compare?a=${a}&b=${b}` : "");
  const left = useFetch(valid ? `${path}/versions/${a}` : "", fits);
  const right = useFetch(valid ? `${path}/versions/${b}` : "", fits);
  useKeys({ Escape: () => go(modelHref(name)) });
  if (!valid) return html`<${Trouble} error=${{ status: 404, message: `Two versions are compared as 11..12, not ${pair}.` }} />`;
  const error = whole.error ?? left.error ?? right.error;
  if (whole.slow || left.slow || right.slow) return html`<${Skeleton} rows=${12} />`;
  if (!whole.data || !left.data || !right.data) return error && html`<${Trouble} error=${error} />`;
  const sides = [left.data.version, right.data.version];
  const { model, dataset, serving } = whole.data;
  const comparison = found.data;
  const carded = query.get("card") === String(a) ? left.data : right.data;
  const cardOf = carded.version.version;
  const source = (file) => `${path}/versions/${cardOf}/report/${encodeURIComponent(file)}`;
  const classes = comparison?.a.manifest.classes ?? [];
  return html`<${Verdict} model=${model} sides=${sides} comparison=${comparison} context=${{ metric: dataset?.metric ?? "accuracy", isDefault: serving.default }} />
    ${found.error && html`<${Panel} tone="bad"><p class="in">${found.error.message}</p></${Panel}>`}
    ${comparison?.why_not && html`<${Panel} tone="held"><p class="in">They cannot be asked for the same rows: ${comparison.why_not}. What each said of its own test rows stands below.</p></${Panel}>`}
    <div class="half"><div class="stack16">
      <${Panel} title="Scores" note=${scoresNote(sides)}><${Diff} sides=${sides} comparison=${comparison} metric=${dataset?.metric ?? "accuracy"} manifests=${[left.data.manifest, right.data.manifest]} /></${Panel}>
      ${comparison && !comparison.why_not && html`<${Panel} title="What each looks at: permutation importance" note="how much worse when a column is shuffled"><${Looks} sides=${[comparison.a, comparison.b]} /></${Panel}>`}
      </div><div class="stack16">
        ${comparison?.a.confusion.length > 0 && html`<${Panel} title="Confusion, rows are the truth" note=${`the same ${plural(comparison.rows, "test row")} of ${Math.max(a, b)}`}><div class="in confusions">${["a", "b"].map((side) => html`<${Confusion} key=${side} title=${`${comparison[side].version}: ${comparison[side].wrong} wrong`} classes=${classes} counts=${comparison[side].confusion} />`)}</div></${Panel}>`}
        ${comparison && !comparison.why_not && html`<${Panel} title=${differentTitle(comparison)}><${Different} comparison=${comparison} classes=${classes} a=${a} b=${b} /></${Panel}>`}
        ${!comparison && !found.error && html`<${Skeleton} rows=${6} />`}
      <${Panel} title=${`Model card of ${cardOf}`} right=${html`<a class="btn" href=${versionHref(name, cardOf)}>Whole report</a>${carded.card && html`<a class="btn" href=${source("model_card.md")} download=${`${name}-${cardOf}.md`}><${Icon} name="download" />As Markdown</a>`}`}><div class="in">${carded.card ? html`<${Markdown} text=${carded.card} source=${source} skip=${["Pictures", "Use it", "Where it comes from", "How good it is"]} />` : html`<p class="soft">There is no card beside this version.</p>`}</div></${Panel}>
    </div></div>`;
}

const wordOf = (version) => (version.state === "held" ? "held" : version.role === "published" || version.role === "previous" ? "ready" : version.role === "candidate" ? "shadow" : version.role);
const sameData = (one, other) => (one.digest && other.digest ? one.digest === other.digest : one.snapshot === other.snapshot);
const scoresNote = ([one, other]) => (sameData(one, other) ? "the same snapshot" : "each on its own test rows");

function Verdict({ model, sides, comparison, context }) {
  const [one, other] = sides;
  const live = sides.find(({ version }) => version === model.live);
  const rest = live ? sides.find((side) => side !== live) : other;
  const canServe = rest.state === "published" || rest.state === "held";
  const back = model.trail.includes(rest.version);
  return html`<${Panel}><div class="live-line">
    <div class="says"><p class="row">${sides.map((version, at) => html`${at > 0 && html`<span class="soft">against</span>`}<${Tag} tone=${{ live: "ok", held: "held" }[wordOf(version)] ?? ""}><${Shape} of=${version.state === "held" ? "held" : version.role} />${version.version} ${wordOf(version)}</${Tag}>`)}<span>${verdictWords(one, other, comparison)}</span></p></div>
    <div class="acts">
      ${canServe && rest.version !== model.live && (back ? html`<button class="btn edge" type="button" onClick=${() => rollback(model, rest.version, context)}>Go back to ${rest.version}</button>` : html`<button class="btn edge" type="button" onClick=${() => promote(model, rest, context)}>${rest.state === "held" ? `Promote ${rest.version} anyway` : `Make ${rest.version} live`}</button>`)}
      ${live && rest.state === "held" && model.held.includes(rest.version) && html`<button class="btn main" type="button" onClick=${() => keepHeld(model, rest.version)}>Keep ${live.version}</button>`}
    </div></div></${Panel}>`;
}

function verdictWords(one, other, comparison) {
  const parts = [];
  if (comparison?.a.wrong !== null && comparison?.a.wrong !== undefined) {
    const [better, worse] = comparison.a.wrong <= comparison.b.wrong ? [comparison.a, comparison.b] : [comparison.b, comparison.a];
    parts.push(better.wrong === worse.wrong ? `Both are wrong on ${worse.wrong} of ${plural(comparison.rows, "row")}${comparison.different ? `, not on the same: they answer ${comparison.different} differently` : ""}.` : `${worse.version} is wrong on ${worse.wrong} of ${plural(comparison.rows, "row")}, ${better.version} on ${better.wrong}.`);
  } else if (comparison?.different !== null && comparison?.different !== undefined) parts.push(`They answer ${comparison.different} of ${plural(comparison.rows, "row")} differently.`);
  parts.push(sameData(one, other) ? "The data is the same" : `The data is not: snapshot ${one.snapshot} and ${other.snapshot}`);
  const [before, after] = [params(one.best_params), params(other.best_params)];
  return `${parts.join(" ")}${before === after ? `; the parameters are the same${sameData(one, other) ? " too" : ""}.` : `; the parameters went from ${before} to ${after}.`}`;
}

function Diff({ sides: [a, b], comparison, metric, manifests }) {
  const rows = metricsOf([a, b], metric).slice(0, 6).map((name) => {
    const [before, after] = [a.metrics[name], b.metrics[name]].map((value) => metricValue(name, value));
    return { label: metricWords(name), before: figure(before), after: figure(after), change: changed(after - before, isError(name), figure) };
  });
  const sizes = comparison ? [comparison.a.size_bytes, comparison.b.size_bytes] : [null, null];
  if (comparison) rows.push({ label: "Size", before: bytes(sizes[0]), after: bytes(sizes[1]), change: changed(sizes[1] - sizes[0], true, (value) => bytes(Math.abs(value)), Math.abs(sizes[1] - sizes[0]) < 500) });
  const plain = (label, before, after) => (before || after) && rows.push({ label, before, after, code: true, change: before === after ? { text: "same" } : { text: "changed" } });
  plain("Best parameters", params(a.best_params), params(b.best_params));
  if (manifests.every(Boolean)) plain("Estimator", manifests[0].estimator?.split(".").at(-1), manifests[1].estimator?.split(".").at(-1));
  plain("Snapshot", `${a.dataset}_${a.snapshot}`, `${b.dataset}_${b.snapshot}`);
  const used = ({ rows_train: train, rows_test: test }) => (train === null || test === null ? "" : count(train + test));
  plain("Rows used", used(a), used(b));
  if (manifests.every(Boolean)) {
    const library = (manifest) => `scikit-learn ${manifest.libraries["scikit-learn"]}`;
    plain("Libraries", library(manifests[0]), library(manifests[1]));
    plain("Specification", manifests[0].spec_digest?.slice(0, 8) ?? "", manifests[1].spec_digest?.slice(0, 8) ?? "");
  }
  return html`<${Scroll} label="Scores"><table class="diff"><thead><tr><th><span class="sr">What</span></th><th class="num">${a.version}</th><th class="num">${b.version}</th><th>Change</th></tr></thead>
    <tbody>${rows.map((row) => html`<tr key=${row.label}><td class=${row.code ? "soft" : ""}>${row.label}</td><td class=${row.code ? "code" : "strong"}>${row.before}</td><td class=${row.code ? "code" : "strong"}>${row.after}</td><td class=${row.change.tone ?? "soft"}>${row.change.text}</td></tr>`)}</tbody></table></${Scroll}>`;
}

// `less`: less of it is better.
function changed(difference, less, write, same = Math.abs(difference) < 5e-5) {
  if (Number.isNaN(difference)) return { text: "" };
  if (same) return { text: "same" };
  const better = difference < 0 === less;
  return { text: `${difference < 0 ? "−" : "+"}${write(Math.abs(difference))}, ${better ? "better" : "worse"}`, tone: better ? "better" : "worse" };
}

const differentTitle = ({ different, shown }) => (different ? `Rows they answer differently, ${shown.length} of ${different}` : "Rows they answer differently");

function Different({ comparison: { shown, rows }, classes, a, b }) {
  if (!shown.length) return html`<p class="in soft">None: on these ${plural(rows, "row")} both answer the same.</p>`;
  const names = Object.keys(shown[0].record);
  const numbers = !classes.length;
  const off = (answer, truth) => Math.abs(Number(answer) - Number(truth));
  const cell = (answer, truth, other) => (numbers ? (off(answer, truth) <= off(other, truth) ? "num strong" : "num") : answer === truth ? "strong" : "worse strong");
  return html`<${Scroll} class="different" label="Rows they answer differently"><table><thead><tr><th class=${numbers ? "num" : ""}>truth</th><th class=${numbers ? "num" : ""}>${a}</th><th class=${numbers ? "num" : ""}>${b}</th>${names.map((name) => html`<th key=${name} class=${typeof shown[0].record[name] === "number" ? "num" : ""}>${name}</th>`)}</tr></thead>
    <tbody>${shown.map((row, at) => html`<tr key=${at}><td class=${numbers ? "num" : ""}>${row.truth}</td><td class=${cell(row.a, row.truth, row.b)}>${row.a}</td><td class=${cell(row.b, row.truth, row.a)}>${row.b}</td>${names.map((name) => html`<td key=${name} class=${typeof row.record[name] === "number" ? "num mono" : ""}>${typeof row.record[name] === "number" ? brief(row.record[name]) : row.record[name]}</td>`)}</tr>`)}</tbody></table></${Scroll}>`;
}
