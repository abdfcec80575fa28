// Asking the server: values or problem documents, the token where one is needed, and fetching again when told to.
import { signal, useEffect, useRef, useState } from "./html.js";
import { listen, refresh } from "./live.js";

export class Problem extends Error {
  constructor(status, document) {
    super(document.detail || `the server answered ${status}`);
    this.status = status;
    this.errors = document.errors ?? [];
  }
}

const stored = (() => {
  try {
    return sessionStorage.getItem("rookery.token") ?? "";
  } catch {
    return "";
  }
})();
export const token = signal(stored);

export function keepToken(value) {
  token.value = value;
  try {
    sessionStorage.setItem("rookery.token", value);
  } catch {
    // Without storage it is kept until the page is left.
  }
}

async function ask(method, path, body, signalOfEnd) {
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (token.value && method !== "GET") headers.Authorization = `Bearer ${token.value}`;
  let answer;
  try {
    answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), signal: signalOfEnd });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, { detail: "The console does not answer. It is asked again by itself." });
  }
  const document = answer.status === 204 ? null : await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Problem(answer.status, document ?? {});
  return document;
}

export const get = (path, signalOfEnd) => ask("GET", path, undefined, signalOfEnd);
export const post = (path, body = {}) => ask("POST", path, body);

const AGAIN_MS = 250;
const RETRY_MS = 3000;

// What a page shows: data (kept while it is fetched again), error, slow (true once a skeleton is due).
// `wants` tells which messages of the stream make the data old.
export function useFetch(path, wants = () => false) {
  const [found, setFound] = useState({ path: "", data: null, error: null });
  const [slow, setSlow] = useState(false);
  const again = useRef(() => {});
  const asks = useRef(wants);
  asks.current = wants;
  useEffect(() => {
    if (!path) return undefined;
    const end = new AbortController();
    let timer = 0;
    let last = 0;
    let busy = false;
    const load = async () => {
      timer = 0;
      if (busy) return again.current();
      busy = true;
      last = performance.now();
      try {
        const data = await get(path, end.signal);
        setFound({ path, data, error: null });
      } catch (error) {
        if (error.name === "AbortError") return undefined;
        setFound((before) => ({ path, data: before.path === path ? before.data : null, error }));
        if (!error.status || error.status >= 500) timer = setTimeout(load, RETRY_MS);
      } finally {
        busy = false;
      }
      return undefined;
    };
    again.current = () => {
      if (!timer) timer = setTimeout(load, Math.max(0, AGAIN_MS - (performance.now() - last)));
    };
    const skeleton = setTimeout(() => setSlow(true), 150);
    load();
    const unlisten = listen((message) => asks.current(message) && again.current());
    const stop = refresh.subscribe((value) => value && again.current());
    return () => {
      end.abort();
      clearTimeout(timer);
      clearTimeout(skeleton);
      unlisten();
      stop();
      setSlow(false);
    };
  }, [path]);
  const mine = found.path === path;
  return { data: mine ? found.data : null, error: mine ? found.error : null, slow: slow && !(mine && (found.data || found.error)), again: () => again.current() };
}
