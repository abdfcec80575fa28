// What changes while the page is open: one stream per visible tab. Nothing here polls.
import { signal } from "./html.js";

export const link = signal({ state: "opening", heardAt: Date.now() });
export const queues = signal(null);
export const serving = signal(null);
export const health = signal(null);
export const refresh = signal(0);
export const now = signal(Date.now());

const listeners = new Set();
let source = null;
let opened = 0;

export function listen(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function tell(name, data) {
  for (const listener of listeners) listener({ name, data });
}

const SLICES = { queues, serving, health };

function heard(name, text) {
  const data = text ? JSON.parse(text) : null;
  link.value = { ...link.value, state: link.value.state === "postgres" && name !== "source" ? "postgres" : "live", heardAt: Date.now() };
  if (SLICES[name]) SLICES[name].value = data;
  if (name === "source") link.value = { state: data.source === "postgres" ? "postgres" : "live", heardAt: Date.now() };
  if (name === "reset") refresh.value += 1;
  tell(name, data);
}

function open() {
  if (source) return;
  source = new EventSource("/api/stream");
  source.onopen = () => {
    link.value = { state: link.value.state === "postgres" ? "postgres" : "live", heardAt: Date.now() };
    if (opened++) refresh.value += 1;
  };
  source.onerror = () => {
    link.value = { ...link.value, state: "cut" };
    if (source?.readyState === EventSource.CLOSED) {
      source = null;
      setTimeout(() => document.hidden || open(), 2000);
    }
  };
  for (const name of ["event", "settled", "queues", "serving", "health", "source", "reset"]) {
    source.addEventListener(name, (message) => heard(name, message.data));
  }
}

// A hidden tab closes its stream: a browser has six connections per host, and nobody looks.
export function startLive() {
  let timer = setInterval(() => (now.value = Date.now()), 1000);
  document.addEventListener("visibilitychange", () => {
    clearInterval(timer);
    if (document.hidden) {
      source?.close();
      source = null;
      return;
    }
    now.value = Date.now();
    timer = setInterval(() => (now.value = Date.now()), 1000);
    open();
  });
  addEventListener("pagehide", () => source?.close());
  open();
}
