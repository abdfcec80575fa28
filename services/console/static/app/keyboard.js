// Single keys. They do nothing in a field, and can be turned off.
import { html, signal, useEffect, useLayoutEffect, useRef } from "./html.js";
import { go } from "./router.js";
import { SECTIONS } from "./sections.js";
import { openGoto } from "./goto.js";

const helpOpen = signal(false);
export const openHelp = () => (helpOpen.value = true);

const KEY = "rookery.keys";
const on = signal((() => {
  try {
    return localStorage.getItem(KEY) !== "off";
  } catch {
    return true;
  }
})());

function turn(value) {
  on.value = value;
  try {
    localStorage.setItem(KEY, value ? "on" : "off");
  } catch {
    // Without storage it lasts until the page is left.
  }
}

// Pages add keys of their own while they are shown.
const added = new Map();
export function useKeys(keys) {
  useEffect(() => {
    for (const [key, act] of Object.entries(keys)) added.set(key, act);
    return () => {
      for (const [key, act] of Object.entries(keys)) if (added.get(key) === act) added.delete(key);
    };
  });
}

const rows = () => [...document.querySelectorAll("[data-row]")].filter((row) => row.offsetParent);

function move(step) {
  const all = rows();
  if (!all.length) return;
  const current = all.indexOf(document.activeElement.closest?.("[data-row]"));
  const next = all[Math.max(0, Math.min(all.length - 1, current + step))];
  next.focus();
  next.scrollIntoView({ block: "nearest" });
}

const inField = (element) => element?.closest?.("input, select, textarea, [contenteditable]");

export function startKeyboard() {
  let leading = 0;
  document.addEventListener("keydown", (press) => {
    if ((press.ctrlKey || press.metaKey) && press.key.toLowerCase() === "k") {
      press.preventDefault();
      openGoto();
      return;
    }
    if (press.ctrlKey || press.metaKey || press.altKey || document.querySelector("dialog[open]")) return;
    if (inField(press.target)) {
      if (press.key === "Escape") press.target.blur();
      return;
    }
    if (!on.value) return;
    const led = performance.now() - leading < 1200;
    leading = 0;
    if (press.key === "g") leading = performance.now();
    else if (led && SECTIONS.some(({ letter }) => letter === press.key)) go(SECTIONS.find(({ letter }) => letter === press.key).href);
    else if (press.key === "j" || press.key === "k") move(press.key === "j" ? 1 : -1);
    else if (press.key === "/" && document.querySelector("[data-find]")) document.querySelector("[data-find]").focus();
    else if (press.key === "?") openHelp();
    else if (added.has(press.key)) added.get(press.key)();
    else return;
    press.preventDefault();
  });
}

const LIST = [
  ["g then o r e m d t", "Overview, Runs, Events, Models, Data, Try it"],
  ["/", "To the filter"],
  ["j k", "Down, up in a list; Enter opens, Esc closes"],
  ["[ ]", "The data set before, after"],
  ["r", "Run again"],
  ["h", "Hold the tail of events"],
  ["Ctrl Enter", "Ask the models (Try it)"],
  ["Ctrl K", "Go to a page, run, version or event"],
  ["?", "This list"],
];

export function Help() {
  return helpOpen.value && html`<${HelpDialog} />`;
}

function HelpDialog() {
  const dialog = useRef(null);
  useLayoutEffect(() => {
    const before = document.activeElement;
    const shown = dialog.current;
    shown.showModal();
    // Closed before focus goes back: while it is shown, all else is inert.
    return () => {
      shown.close();
      before?.focus?.();
    };
  }, []);
  const close = () => (helpOpen.value = false);
  return html`<dialog ref=${dialog} aria-labelledby="keys" onClose=${close} onClick=${(event) => event.target === dialog.current && close()}>
    <div class="dialog"><h2 id="keys">Keys</h2>
      <dl class="pairs">${LIST.map(([key, text]) => html`<dt key=${key}>${key.split(" ").map((one) => (one === "then" ? " then " : html`<kbd>${one}</kbd> `))}</dt><dd>${text}</dd>`)}</dl>
      <label class="check"><input type="checkbox" checked=${on.value} onChange=${(event) => turn(event.target.checked)} />Single keys do this</label>
      <div class="feet"><button class="btn edge" type="button" onClick=${close}>Close</button></div></div>
  </dialog>`;
}
