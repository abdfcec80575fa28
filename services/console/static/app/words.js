// Sentences about runs and events, made from what the server says.
import { count, figure, plural, span } from "./format.js";

export const runState = (run) => (run.state === "running" ? "running" : run.outcome === "failed" ? "failed" : run.outcome ?? run.state);

// The word of a list for an outcome; what went as it should is done.
const DONE = new Set(["trained", "completed", "loaded", "published", "preprocessed"]);
export const runWord = (run) => (DONE.has(runState(run)) ? "done" : runState(run));

export function causeOf(run) {
  const known = { schedule: "schedule", change: "data or spec changed", console: "by hand, here", "command line": "by hand, rookery run" };
  return known[run.requested_by] ?? `${run.requested_by}, by hand`;
}

const LIVE = new Set(["live", "previous", "published", "ready", "retired", "dropped"]);

export function outcomeOf(run) {
  const running = run.bars.filter((bar) => bar.state === "running");
  if (run.state === "running") {
    const train = run.bars.filter((bar) => bar.stage === "train" && bar.subject !== run.dataset);
    const done = train.filter((bar) => bar.state === "done").length;
    if (train.length > 1) return `training, ${Math.min(done, train.length)} of ${train.length} done`;
    return running.length ? `${running[0].stage} works` : "waits";
  }
  const held = run.models.filter(({ state }) => state === "held");
  if (held.length) return `${held.map(({ model, version }) => `${model} ${version} held`).join(", ")}${run.reason ? `: ${run.reason.replace(/^[^:]*: /, "")}` : ""}`;
  if (run.reason) return run.reason;
  const made = run.models.filter(({ state }) => LIVE.has(state)).length;
  const parts = [made ? plural(made, "version") + " made" : run.outcome === "unchanged" ? "nothing new" : "no version made"];
  if (run.retries) parts.push(plural(run.retries, "retry", "retries"));
  return parts.join(", ");
}

// What an event is about: a subject in bold and the rest of the line.
export function aboutEvent(event) {
  const { data } = event;
  const version = data.version === undefined ? "" : ` ${data.version}`;
  const rest = REST[event.type]?.(data, event) ?? "";
  const bold = data.model ? `${data.model}${version}` : data.family ? data.family : data.snapshot ? `${event.dataset} ${data.snapshot}` : event.subject;
  return { bold, rest };
}

const REST = {
  "ingest.requested": (data) => (data.requested_by === "schedule" ? "the schedule asks" : data.requested_by ? `asked by ${data.requested_by}` : ""),
  "dataset.ingested": (data) => (data.rows === undefined ? "" : `${count(data.rows)} rows`),
  "dataset.preprocessed": (data) => [data.rows_kept !== undefined ? `${count(data.rows_kept)} kept` : data.rows !== undefined ? `${count(data.rows)} rows` : "", dropped(data.rows_dropped)].filter(Boolean).join(", "),
  "dataset.unchanged": () => "nothing new",
  "dataset.rejected": (data) => data.reason ?? "",
  "training.requested": (data) => (data.snapshot ? `on snapshot ${data.snapshot}` : ""),
  "model.trained": (data) => metrics(data.metrics),
  "model.published": () => "inference verifies and loads it",
  "model.held": (data) => data.reason ?? "held by the gate",
  "model.loaded": (data, event) => `verified and in use${event.seconds ? `, in ${span(event.seconds)}` : ""}`,
  "model.rejected": (data) => data.reason ?? data.error ?? "refused by inference",
  "run.completed": () => "no event of the run is open",
  "run.failed": (data) => data.reason ?? "",
  "run.superseded": (data) => data.reason || "a newer snapshot came first",
};

function dropped(reasons) {
  const many = Object.values(reasons ?? {}).reduce((sum, value) => sum + value, 0);
  return many ? `${count(many)} dropped` : "";
}

function metrics(values) {
  const [first] = Object.entries(values ?? {}).filter(([, value]) => typeof value === "number");
  return first ? `${first[0]} ${figure(first[1])}` : "";
}

export const eventState = (event) => ({ "model.held": "held", "dataset.rejected": "rejected", "dataset.unchanged": "unchanged", "model.rejected": "rejected", "model.loaded": "live", "run.failed": "failed", "run.superseded": "superseded" })[event.state === "done" ? event.type : ""] ?? event.state;

const byInference = ({ type }) => type === "model.loaded" || type === "model.rejected";
// A worker is host/process/start/namespace: the first two tell people enough.
export const worker = (name) => name.split("/").slice(0, 2).join("/");
export const workerOf = (event) => (event.worker ? worker(event.worker) : byInference(event) ? event.source : event.state === "done" ? (event.queue ? "" : "log only") : "nobody yet");

const HANDLED = new Set(["ingest.requested", "dataset.ingested", "dataset.preprocessed", "training.requested", "model.published", "model.held"]);
// What the stream tells was just committed: nobody has handled it yet.
export const fresh = (event) => (HANDLED.has(event.type) ? { ...event, state: "waiting" } : event);
