// What the chain shows, in words: each stop and each lane of training, from what is known now.
import { age, count, plural, rate, span } from "./format.js";

const STAGES = ["ingest", "preprocess", "train"];
const ago = (seconds, now) => `${age(seconds * 1000, now)} ago`;
const inTime = (moment, now) => span(Math.max(1, Math.round((Date.parse(moment) - now) / 1000))).replace(/\.00 s$/, " s");
const DOES = { ingest: "reads", preprocess: "prepares", train: "works on" };
const isReport = (event) => event.type === "model.published" || event.type === "model.held";

export function chainOf({ overview, work, serving, parts, now }) {
  const dataset = overview.datasets.find(({ name }) => name === overview.dataset) ?? null;
  const models = new Map(overview.models.map((model) => [model.name, model]));
  const redisDown = parts.some(({ name, state }) => name === "redis" && state === "down");
  const beatDown = parts.find(({ name, state }) => name === "beat" && state === "down");
  const open = work?.open ?? [];
  const nothing = !overview.models.some((model) => model.live);
  const stops = Object.fromEntries(STAGES.map((stage) => [stage, stageStop(stage, { overview, open, work, redisDown, now, nothing })]));
  return {
    dataset,
    redisDown,
    nothing,
    lanes: dataset ? lanesOf(dataset, { models, open, expected: overview.expected, redisDown, now }) : [],
    schedule: scheduleStop(dataset, overview.datasets, { redisDown, beatDown, now }),
    ...stops,
    folder: folderStop(overview.models, now),
    inference: inferenceStop(serving),
  };
}

function scheduleStop(dataset, datasets, { redisDown, beatDown, now }) {
  if (!dataset) return { name: "Schedule", lines: ["no data set yet"] };
  const names = datasets.slice(0, 2).map(({ name }) => name).join(", ") + (datasets.length > 2 ? ` +${datasets.length - 2}` : "");
  if (dataset.paused) return { name: "Schedule", tone: "held", lines: [`paused by ${dataset.paused_by ?? "somebody"}`, dataset.paused_reason ?? ""] };
  if (beatDown) return { name: "Schedule", tone: "bad", lines: ["beat does not tick", beatDown.detail] };
  const next = dataset.last_tick ? Math.round(dataset.last_tick + dataset.interval_s - now / 1000) : null;
  const every = `every ${span(dataset.interval_s).replace(".00", "")}`;
  if (redisDown) return { name: "Schedule", lines: ["still ticking", "events kept, not delivered"] };
  return { name: "Schedule", lines: [next !== null && next > 0 ? `${every}, next in ${next} s` : every, names] };
}

function stageStop(stage, { overview, open, work, redisDown, now, nothing }) {
  const mine = open.filter((event) => event.stage === stage);
  const running = mine.filter(({ state }) => state === "running");
  const queued = mine.filter(({ state }) => state === "queued" || state === "retrying");
  const later = mine.filter(({ state }) => state === "waiting");
  const workers = overview.workers[stage] ?? 0;
  // Right after the console's start nobody has been asked yet: that is not the same as nobody being there.
  const nobody = !workers && !redisDown && Object.keys(overview.workers).length > 0;
  const last = overview.stages[stage] ?? {};
  const lines = [];
  if (running.length && stage === "train") lines.push(`${running.length} of ${plural(Math.max(workers, running.length), "worker")} busy`);
  else if (running.length) lines.push(`${DOES[stage]} ${running[0].dataset}, ${span(Math.max(0, (now - Date.parse(running[0].since)) / 1000))}`);
  else if (nobody) lines.push("no worker");
  else lines.push(`${nothing ? "ready, waiting" : "idle"}${workers ? `, ${plural(workers, "worker")}` : ""}`);
  if (redisDown && queued.length) lines.push(`${plural(queued.length, "event waits", "events wait")} for Redis`);
  else if (later.length && stage !== "ingest") lines.push(`next ${inTime(later[0].due_at ?? now, now)} from now: ${later[0].dataset}`);
  else if (last.last_ended) lines.push(`last ${ago(last.last_ended, now)}, ${span(last.last_s)}`);
  const tone = running.length ? "run" : nobody ? "bad" : "";
  return { name: stage[0].toUpperCase() + stage.slice(1), key: stage, tone, lines, queued, later, running, dead: work?.dead?.[stage] ?? 0, durations: last.durations ?? [] };
}

function lanesOf(dataset, { models, open, expected, redisDown, now }) {
  const training = open.filter((event) => event.dataset === dataset.name && event.type === "training.requested");
  return dataset.families.map((family, index) => {
    const name = dataset.models[index];
    return { family, name, ...laneState(models.get(name), training.filter((event) => event.family === family), expected[name], redisDown, now) };
  });
}

function laneState(model, events, expected, redisDown, now) {
  const running = events.find(({ state }) => state === "running");
  if (running) {
    const passed = Math.max(0, (now - Date.parse(running.since)) / 1000).toFixed(1);
    return { state: "running", tone: "run", says: expected ? `fitting, ${passed} of about ${expected.toFixed(1)} s` : `fitting, ${passed} s` };
  }
  const [waiting] = events;
  if (waiting) {
    if (redisDown) return { state: "waiting", says: "kept in Postgres" };
    return { state: "waiting", says: waiting.state === "retrying" ? `tried again in ${inTime(waiting.due_at, now)}` : waiting.state === "waiting" ? `waits ${inTime(waiting.due_at, now)}` : "queued" };
  }
  if (!model) return { state: "waiting", says: "not trained yet", dotted: true };
  if (model.held.length) return { state: "held", tone: "held", says: `version ${model.held[0]} held${model.live ? `, ${model.live} live` : ""}` };
  if (model.pinned) return { state: "pinned", says: `version ${model.live} live, pinned` };
  return model.live ? { state: "done", says: `version ${model.live} live` } : { state: "ready", says: `version ${model.newest} made` };
}

function folderStop(models, now) {
  const live = models.filter((model) => model.live).length;
  const held = models.filter((model) => model.held.length).length;
  if (!models.length) return { name: "Models folder", lines: ["empty"] };
  const changed = Math.max(...models.map((model) => Date.parse(model.live_since ?? 0)));
  const behind = models.filter((model) => model.written === false).length;
  const lines = [`${live} live${held ? `, ${held} held` : ""}`, behind ? `${behind} not written yet` : live ? `changed ${age(changed, now)} ago` : ""];
  return { name: "Models folder", lines };
}

function inferenceStop(serving) {
  const live = Object.values(serving?.live ?? {}).filter(Boolean).length;
  if (!serving) return { name: "Inference", state: "waiting", lines: [] };
  if (!serving.up) return { name: "Inference", state: "failed", tone: "bad", lines: ["does not answer", "the chain goes on"] };
  if (serving.loading.length) return { name: "Inference", state: "running", tone: "run", lines: [`verifying version ${serving.loading[0].version}`, `${rate(serving.requests)} req/s`] };
  if (!live) return { name: "Inference", state: "waiting", lines: ["answers 503", "until a model is live"] };
  return { name: "Inference", state: "live", lines: [`${rate(serving.requests)} req/s`, serving.p99 === null ? `${plural(live, "model")} live` : `p99 ${serving.p99.toFixed(1)} ms`] };
}

// Pebbles before a stop: hollow ones that wait, and words under them.
export function waitingWords(stop, dataset, redisDown) {
  const all = stop.queued;
  if (!all.length) return "";
  if (redisDown) return `${count(all.length)} kept in Postgres`;
  const other = all.find((event) => event.dataset !== dataset)?.dataset;
  const what = isReport(all[0]) ? "report" : all[0].family || other || "";
  return `${count(all.length)} queued${what ? `: ${what}` : ""}`;
}

export function sentence(chain) {
  const stops = [chain.schedule, chain.ingest, chain.preprocess, chain.train, chain.folder, chain.inference];
  const lanes = chain.lanes.map((lane) => `${lane.name} ${lane.says}`).join(", ");
  return `The chain. ${stops.map((stop) => `${stop.name}: ${stop.lines.filter(Boolean).join(", ")}`).join(". ")}. ${lanes}.`;
}
