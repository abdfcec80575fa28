// States: a shape, a word and a colour each. The word is always there, if need be for a screen reader only.
import { html } from "./html.js";

const tick = html`<path d="M4.6 8.2l2.3 2.3 4.5-4.7" fill="none" stroke="var(--surface)" stroke-width="1.7" stroke-linecap="round" stroke-linejoin="round" />`;
const ring = (extra) => html`<circle cx="8" cy="8" r="6.2" fill="none" stroke="currentColor" stroke-width="1.5" ...${extra} />`;
const octagon = "M5.2 1.5h5.6l3.7 3.7v5.6l-3.7 3.7H5.2l-3.7-3.7V5.2z";

const SHAPES = {
  done: html`<circle cx="8" cy="8" r="7" fill="currentColor" />${tick}`,
  live: html`${ring()}<circle cx="8" cy="8" r="3.2" fill="currentColor" />`,
  ready: ring(),
  running: html`<circle cx="8" cy="8" r="6.2" fill="none" stroke="currentColor" stroke-opacity=".3" stroke-width="1.5" /><path class="arc" d="M8 1.8A6.2 6.2 0 0 1 14.2 8" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" />`,
  held: html`<rect x="1.5" y="1.5" width="13" height="13" rx="3" fill="currentColor" /><path d="M6 5v6M10 5v6" stroke="var(--surface)" stroke-width="1.8" stroke-linecap="round" />`,
  pinned: html`<path d="M5.5 2h5M6.4 2v4.2L4.4 9v1.2h7.2V9l-2-2.8V2M8 10.4V14" fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round" />`,
  "rolled back": html`<path d="M5.6 3L2.6 6l3 3M2.8 6h6.4a4 4 0 0 1 0 8H7.6" fill="none" stroke="currentColor" stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round" />`,
  waiting: ring({ "stroke-dasharray": "1.6 2.3" }),
  unchanged: html`${ring()}<path d="M5.4 6.8h5.2M5.4 9.3h5.2" stroke="currentColor" stroke-width="1.4" stroke-linecap="round" />`,
  superseded: html`${ring()}<path d="M5.3 5.6L7.6 8l-2.3 2.4M8.4 5.6L10.7 8l-2.3 2.4" fill="none" stroke="currentColor" stroke-width="1.4" stroke-linecap="round" stroke-linejoin="round" />`,
  retired: html`<circle cx="8" cy="8" r="2.4" fill="currentColor" />`,
  failed: html`<path d=${octagon} fill="currentColor" /><path d="M5.7 5.7l4.6 4.6M10.3 5.7l-4.6 4.6" stroke="var(--surface)" stroke-width="1.7" stroke-linecap="round" />`,
  "dead letter": html`<path d="M8 .8L15.2 8 8 15.2.8 8z" fill="currentColor" /><path d="M8 4.8v3.8" stroke="var(--surface)" stroke-width="1.7" stroke-linecap="round" /><circle cx="8" cy="11" r="1" fill="var(--surface)" />`,
  rejected: html`<path d=${octagon} fill="none" stroke="currentColor" stroke-width="1.5" /><path d="M5 8h6" stroke="currentColor" stroke-width="1.6" stroke-linecap="round" />`,
};
const COLOURS = { done: "ok", live: "ok", ready: "ok", running: "run", held: "held", pinned: "held", "rolled back": "held", failed: "bad", "dead letter": "bad", rejected: "bad" };

// The words of the server, as states of this page.
const WORDS = {
  trained: "done", completed: "done", handled: "done", published: "ready", previous: "ready", ok: "done", dead: "dead letter", queued: "waiting", retrying: "waiting",
  reserved: "running", dropped: "retired", discarded: "retired", candidate: "ready", down: "failed", unknown: "waiting", loading: "running", "in use": "live", keep: "held", hold: "held",
};

export const stateOf = (word) => (SHAPES[word] ? word : WORDS[word] ?? "waiting");
export const colourOf = (word) => COLOURS[stateOf(word)] ?? "wait";

export function Shape({ of, label }) {
  const state = stateOf(of);
  return html`<svg viewBox="0 0 16 16" class=${colourOf(state)} role=${label ? "img" : null} aria-label=${label} aria-hidden=${label ? null : "true"}>${SHAPES[state]}</svg>`;
}

export function State({ of, word, hidden = false }) {
  const said = word ?? of;
  return html`<span class="state ${colourOf(of)}"><${Shape} of=${of} /><span class=${hidden ? "sr" : ""}>${said}</span></span>`;
}

// Series colours belong to model families and come with a mark.
const MARKS = [html`<circle cx="5" cy="5" r="4" />`, html`<rect x="1" y="1" width="8" height="8" />`, html`<path d="M5 .8l4.4 8.2H.6z" />`, html`<path d="M5 .5L9.5 5 5 9.5.5 5z" />`, html`<path d="M3.4 0h3.2v3.4H10v3.2H6.6V10H3.4V6.6H0V3.4h3.4z" />`];
export const seriesColour = (index) => `var(--${"abc"[Math.max(0, index) % 3]})`;

export function Series({ name, index = 0, children }) {
  return html`<span class="series"><svg viewBox="0 0 10 10" fill=${seriesColour(index)} aria-hidden="true">${MARKS[Math.max(0, index) % MARKS.length]}</svg><span class="cut" title=${name}>${children ?? name}</span></span>`;
}

// A model's name in little room: of `<data set>.<family>` the family stays whole.
export function ModelName({ name }) {
  const at = name.lastIndexOf(".") + 1;
  return html`<span class="model-name">${at > 0 && html`<span class="cut">${name.slice(0, at - 1)}</span>`}<span class="cut family">${at > 0 && "."}${name.slice(at)}</span></span>`;
}
