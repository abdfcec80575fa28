// Small parts that every page is made of.
import { html, signal, useRef, useState } from "./html.js";
import { short } from "./format.js";
import { health } from "./live.js";
import { setQuery } from "./router.js";

export const Icon = ({ name }) => html`<svg class="icon" aria-hidden="true"><use href="/static/vendor/lucide/icons.svg#${name}" /></svg>`;

export const toast = signal("");
let toastTimer = 0;
export function say(text) {
  toast.value = text;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => (toast.value = ""), 5000);
}

export function Copy({ text, label = "Copy" }) {
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      say("Copied");
    } catch {
      say("The browser did not allow copying");
    }
  };
  return html`<button class="copy" type="button" onClick=${copy} aria-label=${label} title=${label}><${Icon} name="copy" /></button>`;
}

// Ids begin with the time, so neighbours look alike: the last six digits are shown, the whole id on hover.
export function Id({ of, href }) {
  if (!of) return null;
  return href ? html`<a class="id mono" href=${href} title=${of}>${short(of)}</a>` : html`<span class="id mono" title=${of}>${short(of)}</span>`;
}

export function Panel({ title, note, right, tone = "", class: more = "", children }) {
  return html`<section class="panel ${tone ? `is-${tone}` : ""} ${more}" aria-label=${typeof title === "string" ? title : null}>
    ${title && html`<header><h2>${title}</h2>${note && html`<span class="small soft">${note}</span>`}${right && html`<div class="right">${right}</div>`}</header>`}
    ${children}
  </section>`;
}

// What may be wider than the window scrolls by itself, also by the keyboard.
export const Scroll = ({ label, children }) => html`<div class="scroll" tabindex="0" role="region" aria-label=${label}>${children}</div>`;

export const Tag = ({ tone = "", children }) => html`<span class="tag ${tone}">${children}</span>`;

export function Segment({ label, options, value, onChange }) {
  return html`<div class="segment" role="group" aria-label=${label}>
    ${options.map(([key, text]) => html`<button key=${key} type="button" aria-pressed=${String(key === value)} onClick=${() => onChange(key)}>${text}</button>`)}
  </div>`;
}

export const Chip = ({ on, onClick, children }) => html`<button class="chip" type="button" aria-pressed=${String(on)} onClick=${onClick}>${children}</button>`;

// What comes is drawn as bars; if the database is known to be away, it says so instead of letting people wait for an error.
export function Skeleton({ rows = 6 }) {
  const away = health.value?.some(({ name, state }) => name === "postgres" && state === "down");
  if (away) return html`<div class="panel empty" role="status"><h2>This cannot be read now</h2><p class="soft">Postgres does not answer. It is asked again by itself; <a class="link" href="/">the overview</a> says what works meanwhile.</p></div>`;
  return html`<div class="panel skeleton" role="status"><span class="sr">Loading</span>${Array.from({ length: rows }, (_, row) => html`<i key=${row}></i>`)}</div>`;
}

export function Find({ label, name = "q" }) {
  const [text, setText] = useState(new URLSearchParams(location.search).get(name) ?? "");
  const timer = useRef(0);
  const type = (event) => {
    const typed = event.target.value;
    setText(typed);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setQuery({ [name]: typed.trim() }), 200);
  };
  return html`<label class="find"><span class="sr">${label}</span><${Icon} name="search" /><input type="search" data-find placeholder=${label} value=${text} onInput=${type} /><kbd aria-hidden="true">/</kbd></label>`;
}

// What is shown where a page has nothing, or could not be read.
export function Trouble({ error }) {
  const missing = error.status === 404;
  return html`<div class="panel empty" role="alert"><h2>${missing ? "There is nothing here" : "This cannot be read now"}</h2><p class="soft">${error.message}${missing ? "" : " It is asked again by itself."}</p>${missing && html`<a class="btn edge" href="/">To the overview</a>`}</div>`;
}

export function NoMatch({ excluded, what }) {
  const entries = Object.entries(excluded ?? {}).filter(([, number]) => number > 0);
  const words = { state: "the state", dataset: "the data set", q: "the text", type: "the type" };
  return html`<div class="empty"><p>No ${what} match.${entries.map(([name, number]) => html` Without ${words[name] ?? name} there would be ${number}.`)}</p>
    <button class="btn edge" type="button" onClick=${() => setQuery({ state: "", dataset: "", q: "", type: "", run: "" })}>Clear the filters</button></div>`;
}

export function Json({ value }) {
  const text = JSON.stringify(value, null, 2) ?? "";
  const parts = text.split(/("(?:[^"\\]|\\.)*"(?=:))/g);
  return html`<pre class="json" tabindex="0" aria-label="Data">${parts.map((part, index) => (index % 2 ? html`<span class="key">${part}</span>` : part))}</pre>`;
}

export const Facts = ({ of }) => html`<dl class="facts">${of.filter(([, value]) => value !== null && value !== undefined && value !== "").map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
export const Pairs = ({ of }) => html`<dl class="pairs">${of.filter(([, value]) => value !== null && value !== undefined && value !== "").map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>`;
