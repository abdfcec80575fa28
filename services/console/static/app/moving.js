// Pebbles that cross a hop after their event was committed: a replay of what happened, nothing else moves.
import { signal, useEffect } from "./html.js";
import { listen } from "./live.js";

export const CROSS_MS = 600;
const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

const HOPS = { "ingest.requested": "schedule", "dataset.ingested": "ingest", "dataset.preprocessed": "preprocess", "training.requested": "train", "model.published": "publish", "model.loaded": "serve" };

// What moves now: {key, hop, family, label, count}. Several events of one type within 600 ms are one pebble with a count.
export const moving = signal([]);
// The hops whose names are bold, where nothing may move.
export const told = signal(new Set());

let made = 0;

function heard(event) {
  const hop = HOPS[event.type];
  if (!hop || Date.now() - Date.parse(event.time) > 10_000) return;
  if (still()) {
    told.value = new Set([...told.value, hop]);
    setTimeout(() => (told.value = new Set([...told.value].filter((one) => one !== hop))), 1000);
    return;
  }
  const family = event.data.family ?? event.data.model ?? "";
  const along = moving.value.find((one) => one.hop === hop && (hop === "serve" || one.dataset === event.dataset) && one.family === family);
  if (along) {
    moving.value = moving.value.map((one) => (one === along ? { ...one, count: one.count + 1 } : one));
    return;
  }
  const key = ++made;
  moving.value = [...moving.value.slice(-11), { key, hop, family, dataset: event.dataset, label: labelOf(event), count: 1 }];
  setTimeout(() => (moving.value = moving.value.filter((one) => one.key !== key)), CROSS_MS + 50);
}

function labelOf({ type, dataset, data }) {
  if (type === "ingest.requested") return data.requested_by === "schedule" ? `${dataset}, tick` : dataset;
  return data.version === undefined ? dataset ?? "" : `version ${data.version}`;
}

export function useMoving() {
  useEffect(() => listen(({ name, data }) => name === "event" && heard(data)), []);
}

const SAMPLES = 16;

// Lets a drawn pebble follow a path.
export function cross(element, d) {
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", d);
  const length = path.getTotalLength();
  const frames = Array.from({ length: SAMPLES + 1 }, (_, step) => {
    const { x, y } = path.getPointAtLength((length * step) / SAMPLES);
    return { transform: `translate(${x}px, ${y}px)` };
  });
  element.animate(frames, { duration: CROSS_MS, easing: "ease-in-out", fill: "forwards" });
}
