// Events: what is happening now, and what was given up.
import { get, useFetch } from "../api.js";
import { attempt } from "../confirm.js";
import { DeadLetters } from "../deadletters.js";
import { count } from "../format.js";
import { html, useEffect, useRef, useState } from "../html.js";
import { useKeys } from "../keyboard.js";
import { listen } from "../live.js";
import { Chip, Find, Icon, NoMatch, Panel, Skeleton, Trouble } from "../parts.js";
import { setQuery } from "../router.js";
import { TailTable } from "../tail.js";
import { fresh } from "../words.js";
import { DatasetChoice, useDatasetKeys } from "./runs.js";

const TYPES = ["ingest", "dataset", "training", "model", "run"];
const MOST = 200;

// The tail: what the server listed, and what came since, newest first; at most 200 rows. Held: new ones are counted.
function useTail(path, fits, held) {
  const { data, error, slow } = useFetch(path, () => false);
  const [extra, setExtra] = useState(null);
  const fitsNow = useRef(fits);
  fitsNow.current = fits;
  const pending = useRef([]);
  const frame = useRef(0);
  useEffect(() => setExtra({ events: data?.events ?? [], ticks: data?.ticks ?? [] }), [data]);
  const take = () => {
    frame.current = 0;
    const newer = pending.current.splice(0);
    setExtra((before) => before && { ...before, events: merge(before.events, newer) });
  };
  const heldNow = useRef(held);
  heldNow.current = held;
  const [waiting, setWaiting] = useState(0);
  useEffect(() => listen(({ name, data: event }) => {
    if (name === "reset") pending.current = [];
    if ((name !== "event" && name !== "settled") || !fitsNow.current(event)) return;
    pending.current.push({ ...(name === "event" ? fresh(event) : event), settled: name === "settled" });
    if (heldNow.current || scrollY > 400) setWaiting(new Set(pending.current.map(({ id }) => id)).size);
    else if (!frame.current) frame.current = requestAnimationFrame(take);
  }), []);
  const release = () => {
    setWaiting(0);
    take();
  };
  useEffect(() => {
    if (!held) release();
  }, [held]);
  return { data, tail: extra, error, slow, waiting, release };
}

function merge(events, newer) {
  const known = new Map(events.map((event) => [event.id, event]));
  for (const event of newer) {
    if (known.has(event.id)) {
      if (event.settled || !known.get(event.id).settled) known.set(event.id, { ...known.get(event.id), ...event });
    }
    else known.set(event.id, event);
  }
  return [...known.values()].sort((one, other) => (one.time < other.time ? 1 : one.time > other.time ? -1 : one.id < other.id ? 1 : -1)).slice(0, MOST);
}

function fitting({ type, dataset, run, q }) {
  return (event) => {
    const text = `${event.id} ${event.run} ${event.type} ${event.subject} ${JSON.stringify(event.data)}`.toLowerCase();
    return (!type || event.type === type || event.type.startsWith(`${type}.`)) && (!dataset || event.dataset === dataset) && (!run || event.run === run) && (!q || text.includes(q.toLowerCase()));
  };
}

export default function Events({ query }) {
  const filters = Object.fromEntries(["type", "dataset", "run", "q"].map((name) => [name, query.get(name) ?? ""]));
  const held = query.has("held");
  const unchanged = query.has("unchanged");
  const asked = new URLSearchParams(Object.entries(filters).filter(([, value]) => value));
  if (unchanged) asked.set("unchanged", "true");
  const path = `/api/events?${asked}`;
  const { data, tail, error, slow, waiting, release } = useTail(path, fitting(filters), held);
  const { data: datasets } = useFetch("/api/datasets");
  const [older, setOlder] = useState([]);
  useEffect(() => setOlder([]), [path]);
  useKeys({ h: () => setQuery({ held: !held }) });
  useDatasetKeys(datasets ?? [], filters.dataset);
  const next = (older.at(-1) ?? data)?.next;
  const more = () => attempt(async () => setOlder([...older, await get(`${path}&before=${encodeURIComponent(next)}`)]));
  const narrowed = Object.values(filters).some(Boolean);
  const events = [...(tail?.events ?? []), ...older.flatMap((page) => page.events)];
  return html`<${DeadLetters} />
    ${!query.has("dead") && html`<div class="filters">
      <${Find} label="Text, event id, run id" />
      <div class="row wrap" role="group" aria-label="Type"><${Chip} on=${!filters.type} onClick=${() => setQuery({ type: "" })}>All types</${Chip}>
      ${TYPES.map((type) => html`<${Chip} key=${type} on=${filters.type === type} onClick=${() => setQuery({ type: filters.type === type ? "" : type })}>${type}</${Chip}>`)}</div>
      <${DatasetChoice} datasets=${datasets ?? []} value=${filters.dataset} />
      ${filters.run && html`<${Chip} on=${true} onClick=${() => setQuery({ run: "" })}>run ${filters.run.slice(-6)} ×</${Chip}>`}
      <span class="last">${waiting > 0 && html`<button class="btn text" type="button" onClick=${release}>${count(waiting)} new</button>`}
      <button class="btn edge" type="button" aria-pressed=${String(held)} onClick=${() => setQuery({ held: !held })}><${Icon} name=${held ? "play" : "pause"} />${held ? "Let the tail go on" : "Hold the tail"}</button></span>
    </div>
    ${error && html`<${Trouble} error=${error} />`}
    ${slow && html`<${Skeleton} rows=${12} />`}
    ${tail && data && html`<${Panel} class="list" title=""><${Rate} />
      ${events.length ? html`<${TailTable} events=${events} ticks=${narrowed || unchanged ? [] : tail.ticks} />` : narrowed ? html`<${NoMatch} excluded=${{}} what="events" />` : html`<div class="empty"><h2>No event yet</h2><p class="soft">The first comes with the first tick of the schedule, or with a run that you start.</p></div>`}
      ${next && html`<div class="more"><button class="btn edge" type="button" onClick=${more}>Older events</button></div>`}</${Panel}>`}`}
    ${query.has("dead") && html`<p><a class="link" href="/events">Show all events</a></p>`}`;
}

function Rate() {
  const { data } = useFetch("/api/events/rate", ({ name }) => name === "event");
  const counts = data ?? [];
  const most = Math.max(4, ...counts);
  const last = counts.at(-1) ?? 0;
  return html`<figure class="rate"><figcaption class="row tiny soft"><span>Events a minute, last hour</span><span class="push">${count(last)} in this minute</span></figcaption>
    <svg height="36" role="img" aria-label=${`Events a minute in the last hour: ${last} in this minute, at most ${Math.max(0, ...counts)}`}>${counts.map((value, index) => html`<rect key=${index} x=${`${(index / counts.length) * 100 + 0.1}%`} width=${`${100 / Math.max(1, counts.length) - 0.25}%`} y=${36 - Math.max(value ? 3 : 1, (value / most) * 36)} height=${Math.max(value ? 3 : 1, (value / most) * 36)} rx="1" class=${index === counts.length - 1 ? "now" : ""} />`)}</svg></figure>`;
}
