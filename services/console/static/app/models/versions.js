// The versions of a model as a table; two can be chosen to be compared.
import { get } from "../api.js";
import { ago, figure, metricValue, metricWords, params } from "../format.js";
import { html, useEffect, useState } from "../html.js";
import { now } from "../live.js";
import { Panel, say } from "../parts.js";
import { go, setQuery } from "../router.js";
import { State } from "../state.js";
import { promote, rollback } from "./decide.js";
import { compareHref, metricsOf, modelHref, versionHref } from "./words.js";
import { Scroll } from "./scroll.js";

const PAGE = 50;
const word = (version) => (version.state === "held" ? "held" : version.role === "previous" || version.role === "published" ? "ready" : version.role === "candidate" ? "shadow" : version.state === "dropped" ? "dropped" : version.role);
const shape = (version) => (version.state === "held" ? "held" : version.role);

export function Versions({ data, query, context }) {
  const { model } = data;
  const [older, setOlder] = useState([]);
  const [ended, setEnded] = useState(data.versions.length < PAGE);
  useEffect(() => setOlder([]), [model.name]);
  const versions = [...data.versions, ...older.filter(({ version }) => version < (data.versions.at(-1)?.version ?? 0))];
  const metrics = metricsOf(versions, context.metric).filter((name) => name === context.metric || name === "neg_log_loss" || name.startsWith("neg_")).slice(0, 2);
  const chosen = (query.get("pick") ?? "").split("..").map(Number).filter((number) => versions.some(({ version }) => version === number));
  const choose = (number) => {
    const next = chosen.includes(number) ? chosen.filter((one) => one !== number) : [...chosen, number].slice(-2);
    setQuery({ pick: next.sort((a, b) => a - b).join("..") });
  };
  const more = async () => {
    try {
      const found = await get(`/api${modelHref(model.name)}/versions?before=${versions.at(-1).version}&limit=${PAGE}`);
      setOlder([...older, ...found]);
      setEnded(found.length < PAGE);
    } catch (error) {
      say(error.message);
    }
  };
  const both = chosen.length === 2;
  return html`<${Panel} title="Versions" right=${html`${!both && html`<span class="small soft">choose two to compare</span>`}<button class="btn ${both ? "main" : "edge"}" type="button" disabled=${!both} onClick=${() => go(compareHref(model.name, ...chosen))}>${both ? `Compare ${Math.min(...chosen)} and ${Math.max(...chosen)}` : "Compare"}</button>`}>
    <${Scroll} label="Versions"><table class="versions listed">
      <thead><tr><th class="pick"><span class="sr">Compare</span></th><th>Version</th><th>State</th>${metrics.map((name) => html`<th key=${name} class="num">${metricWords(name)}</th>`)}<th class="num">Rows</th><th>Best parameters</th><th>Snapshot</th><th>Trained</th><th>Why</th><th><span class="sr">Actions</span></th></tr></thead>
      <tbody>${versions.map((version) => html`<tr key=${version.version} class=${version.role === "live" ? "is-live" : ""}>
        <td class="pick"><input type="checkbox" aria-label=${`Compare version ${version.version}`} checked=${chosen.includes(version.version)} onChange=${() => choose(version.version)} disabled=${version.state === "failed" || version.state === "dropped"} /></td>
        <td class="strong"><a href=${versionHref(model.name, version.version)} data-row>${version.version}</a></td>
        <td><${State} of=${shape(version)} word=${word(version)} />${version.role === "live" && model.pinned && html` <${State} of="pinned" word="pinned" hidden />`}</td>
        ${metrics.map((name) => html`<td key=${name} data-label=${metricWords(name)} class="num ${version.state === "held" && name === context.metric ? "held" : ""}">${figure(metricValue(name, version.metrics[name]))}</td>`)}
        <td class="num" data-label="Rows">${version.rows_train !== null && version.rows_test !== null ? version.rows_train + version.rows_test : ""}</td>
        <td class="mono params">${params(version.best_params)}</td>
        <td>${version.snapshot && html`<a class="link mono" href=${`/data/${encodeURIComponent(version.dataset)}/snapshots/${version.snapshot}`}>${version.dataset}_${version.snapshot}</a>`}</td>
        <td>${ago(version.published_at ?? version.created_at, now.value)}</td>
        <td class="why wide small">${version.reason}</td>
        <td class="num acts"><a class="btn text" href=${versionHref(model.name, version.version)}>Report<span class="sr"> of ${version.version}</span></a><${Act} version=${version} model=${model} context=${context} /></td>
      </tr>`)}</tbody>
    </table></${Scroll}>
    ${!ended && html`<div class="in"><button class="btn edge" type="button" onClick=${more}>Older versions</button></div>`}
  </${Panel}>`;
}

function Act({ version, model, context }) {
  const number = version.version;
  if (version.role === "live") return null;
  if (version.state !== "published" && version.state !== "held") return null;
  if (model.trail.includes(number)) return html`<button class="btn text" type="button" onClick=${() => rollback(model, number, context)}>Go back<span class="sr"> to ${number}</span></button>`;
  return html`<button class="btn text" type="button" onClick=${() => promote(model, version, context)}>Promote<span class="sr"> ${number}</span></button>`;
}
