// What is down: since when, what works meanwhile, what waits, where to look first.
import { useFetch } from "./api.js";
import { age, clock, plural } from "./format.js";
import { html } from "./html.js";
import { health, now, queues } from "./live.js";
import { Copy } from "./parts.js";
import { Shape } from "./state.js";

const List = ({ title, state, items }) => html`<div><h3>${title}</h3><ul>${items.map((item) => html`<li key=${item}><span class="state ${state === "done" ? "ok" : "wait"}"><${Shape} of=${state} /></span>${item}</li>`)}</ul></div>`;

function Banner({ title, text, works, waits, log }) {
  return html`<section class="panel is-bad banner" role="alert" aria-label=${title}><h2><span class="state bad"><${Shape} of="failed" /></span>${title}</h2><p class="soft">${text}</p>
    <div class="lists"><${List} title="Works" state="done" items=${works} /><${List} title="Waits" state="waiting" items=${waits} /></div>
    ${log && html`<p class="row small soft"><span>Look first:</span><code class="cut">${log}</code><${Copy} text=${log} label="Copy the path of the log" /></p>`}</section>`;
}

const since = (part) => (part.since ? `since ${clock(part.since * 1000)}, ${age(part.since * 1000, now.value)} ago` : "");

// `lost`: the page itself could not be read because Postgres is away.
export function Banners({ serving, lost = false }) {
  const { data: info } = useFetch("/api/info");
  const parts = health.value ?? [];
  const down = (name) => parts.find((part) => part.name === name && part.state === "down");
  const live = Object.values(serving?.live ?? {}).filter(Boolean).length;
  const predict = live ? `Predict, with ${live === 1 ? "the live model" : `all ${live} live models`}` : "The prediction API";
  const kept = queues.value?.kept ?? 0;
  const postgres = down("postgres") ?? (lost ? { detail: "", since: null } : null);
  const redis = down("redis");
  const inference = down("inference");
  const logs = info?.logs ?? {};
  return html`
    ${postgres && html`<${Banner} title="Postgres does not answer. Predictions go on; nothing can be read or changed here." text=${`It gives no answer${postgres.detail ? ` (${postgres.detail})` : ""} ${since(postgres)}. It is tried again every 2 s; what this page shows is its last state.`} works=${[predict, "What was read before stays on this page"]} waits=${["Ingest, preprocess and train", "Run now, retry, promote, roll back, pin", "Everything that is read here"]} log=${logs.postgres} />`}
    ${redis && html`<${Banner} title="Redis does not answer. Predictions go on; new data waits." text=${`${info?.redis ?? "It"} does not answer ${since(redis)}. Trying again every 2 s. Nothing is lost: ${plural(kept, "event is", "events are")} kept in Postgres and delivered when Redis is back.`} works=${[predict, "Promote, roll back, pin", "Everything you can read here"]} waits=${["Ingest, preprocess and train", "Run now and retry: taken, delivered later", "The event stream of redis-cli"]} log=${logs.redis} />`}
    ${inference && html`<${Banner} title="Inference does not answer. Callers get no predictions; training goes on." text=${`${info?.inference_url ?? "It"}: ${inference.detail} ${since(inference)}. It is asked again every few seconds.`} works=${["Ingest, preprocess and train", "Versions go live in the folder; inference loads them when it is back"]} waits=${["Predict", "Try it"]} log=${logs.inference} />`}`;
}

// What inference answers with, where nothing else can be read.
export function LiveModels({ models }) {
  if (!models.length) return null;
  return html`<section class="panel" aria-label="Live models"><header><h2>Live models</h2><span class="small soft">straight from inference</span></header><table><caption class="sr">Live models</caption><thead><tr><th scope="col">Model</th><th scope="col">Version</th><th scope="col">State</th></tr></thead><tbody>${models.map((model) => html`<tr key=${model.name}><td class="strong">${model.name}</td><td>${model.version ?? "none"}</td><td class="soft">${model.state}</td></tr>`)}</tbody></table></section>`;
}
