// Runs: what ran, how long it took, what came of it.
import { get, useFetch } from "../api.js";
import { attempt } from "../confirm.js";
import { html, useEffect, useState } from "../html.js";
import { useKeys } from "../keyboard.js";
import { now } from "../live.js";
import { Find, NoMatch, Panel, Scroll, Segment, Skeleton, Trouble } from "../parts.js";
import { setQuery } from "../router.js";
import { FoldRow, rowsOf, RunRow, Scale, scaleOf } from "../runlist.js";

const STATES = [["", "All"], ["running", "Running"], ["needs", "Needs you"], ["done", "Done"]];
const news = ({ name, data }) => name === "settled" || (name === "event" && !/^(dataset\.unchanged)$/.test(data.type));

export function DatasetChoice({ datasets, value }) {
  if (datasets.length < 2) return null;
  const set = (dataset) => setQuery({ dataset });
  if (datasets.length > 4) {
    return html`<label class="pick"><span class="sr">Data set</span><select value=${value} onChange=${(event) => set(event.target.value)}><option value="">All data sets</option>${datasets.map(({ name }) => html`<option key=${name} value=${name}>${name}</option>`)}</select></label>`;
  }
  return html`<${Segment} label="Data set" value=${value} onChange=${set} options=${[["", "All data sets"], ...datasets.map(({ name }) => [name, name])]} />`;
}

// The data set before or after in the list, by [ and ].
export function useDatasetKeys(datasets, value) {
  const names = ["", ...datasets.map(({ name }) => name)];
  const step = (by) => () => setQuery({ dataset: names[(names.indexOf(value) + by + names.length) % names.length] });
  useKeys({ "[": step(-1), "]": step(1) });
}

export default function Runs({ query }) {
  const state = query.get("state") ?? "";
  const dataset = query.get("dataset") ?? "";
  const q = query.get("q") ?? "";
  const unchanged = query.has("unchanged");
  const asked = new URLSearchParams({ ...(state && { state }), ...(dataset && { dataset }), ...(q && { q }), ...(unchanged && { unchanged: "true" }) });
  const path = `/api/runs?${asked}`;
  const { data, error, slow } = useFetch(path, news);
  const { data: datasets } = useFetch("/api/datasets");
  const [older, setOlder] = useState([]);
  useEffect(() => setOlder([]), [path]);
  useDatasetKeys(datasets ?? [], dataset);
  const next = (older.at(-1) ?? data)?.next;
  const more = () => attempt(async () => setOlder([...older, await get(`${path}&before=${encodeURIComponent(next)}`)]));
  const pages = data ? [data, ...older] : [];
  const runs = pages.flatMap((page) => page.runs);
  const scale = scaleOf(runs, now.value);
  const rows = pages.flatMap((page) => rowsOf(page));
  return html`<div class="filters">
      <${Segment} label="State" value=${state} options=${STATES} onChange=${(value) => setQuery({ state: value })} />
      <${DatasetChoice} datasets=${datasets ?? []} value=${dataset} />
      <${Find} label="Run id, snapshot, model version" />
      <label class="last"><input type="checkbox" checked=${unchanged} onChange=${(event) => setQuery({ unchanged: event.target.checked })} />Show unchanged</label>
    </div>
    ${error && html`<${Trouble} error=${error} />`}
    ${slow && html`<${Skeleton} rows=${10} />`}
    ${data && html`<${Panel} class="list" title="">
      ${rows.length === 0 ? (state || dataset || q ? html`<${NoMatch} excluded=${data.excluded} what="runs" />` : html`<${NothingRan} datasets=${datasets ?? []} />`) : html`<${Scroll} label="Runs"><table class="runs listed">
        <caption class="sr">Runs, the newest first</caption>
        <thead><tr><th scope="col">State</th><th scope="col">Run</th><th scope="col">Caused by</th><th scope="col">Started</th><th scope="col" class="bars-cell"><${Scale} seconds=${scale} words="Ingest, preprocess, train (a lane per model), to scale" /></th><th scope="col" class="num">Work</th><th scope="col">Outcome</th><th scope="col"><span class="sr">Run again</span></th></tr></thead>
        <tbody>${rows.map(({ run, fold }) => run ? html`<${RunRow} key=${run.id} run=${run} scale=${scale} />` : html`<${FoldRow} key=${`${fold.after}${fold.dataset}`} fold=${fold} columns=${8} onShow=${() => setQuery({ unchanged: true })} />`)}</tbody>
      </table></${Scroll}>`}
      ${next && html`<div class="more"><button class="btn edge" type="button" onClick=${more}>Older runs</button></div>`}
    </${Panel}>`}`;
}

const NothingRan = ({ datasets }) => html`<div class="empty"><h2>Nothing has run yet</h2><p class="soft">${datasets.length ? `The schedule begins by itself; or start one by hand: rookery run ${datasets[0].name}` : "There is no data set yet: rookery datasets init FILE.csv --target COLUMN"}</p><a class="btn edge" href="/">To the overview</a></div>`;
