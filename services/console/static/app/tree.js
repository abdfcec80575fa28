// The events of a run, each under the one that caused it, on a time axis.
import { marks, markWord, squeeze } from "./bars.js";
import { span } from "./format.js";
import { html } from "./html.js";
import { State } from "./state.js";
import { aboutEvent, eventState } from "./words.js";
import { tookOf } from "./tail.js";

// Depth first, causes before effects; an event whose cause is elsewhere stands at the root.
export function arrange(events) {
  const known = new Set(events.map(({ id }) => id));
  const children = new Map();
  for (const event of events) {
    const parent = known.has(event.cause) ? event.cause : publishedFor(event, events);
    (children.get(parent) ?? children.set(parent, []).get(parent)).push(event);
  }
  const rows = [];
  const walk = (parent, depth) => {
    for (const event of children.get(parent) ?? []) {
      rows.push({ event, depth });
      walk(event.id, depth + 1);
    }
  };
  walk(null, 0);
  return rows;
}

// What inference told names no cause: it follows from the publication of that version.
function publishedFor(event, events) {
  if (event.type !== "model.loaded" && event.type !== "model.rejected") return null;
  return events.find(({ type, data }) => type === "model.published" && data.model === event.data.model && data.version === event.data.version)?.id ?? null;
}

export function CauseTree({ run, events, chosen, hrefOf, now }) {
  const zero = Date.parse(run.started_at);
  const seconds = (moment) => (moment ? (Date.parse(moment) - zero) / 1000 : null);
  const bars = events.filter((event) => event.started_at).map((event) => ({ start: Math.max(0, seconds(event.started_at)), end: seconds(event.ended_at), state: event.state }));
  const instants = events.filter((event) => !event.started_at).map((event) => ({ start: Math.max(0, seconds(event.time)), end: Math.max(0, seconds(event.time)) + 0.001, state: "done" }));
  const end = (now - zero) / 1000;
  const { place, total, gaps } = squeeze([...bars, ...instants], end);
  const whole = total * 1.32 || 1;
  const x = (at) => Math.max(0, Math.min(100, (place(Math.max(0, at)) / whole) * 100));
  const rows = arrange(events);
  return html`<div class="tree">
    <div class="axis" aria-hidden="true"><span></span><span class="scale">${marks(total).map((mark) => html`<i key=${mark} style=${{ left: `${(mark / whole) * 100}%` }}>${markWord(mark)}</i>`)}</span></div>
    <ol>${rows.map(({ event, depth }) => html`<${Node} key=${event.id} event=${event} depth=${depth} on=${event.id === chosen} href=${hrefOf(event)} x=${x} seconds=${seconds} end=${end} />`)}</ol>
    ${gaps.map((gap) => html`<p class="notch-words small soft" key=${gap.from}>Nobody worked for ${span(gap.to - gap.from)}, from ${span(gap.from)} on: the axis leaves that out.</p>`)}
  </div>`;
}

function Node({ event, depth, on, href, x, seconds, end }) {
  const state = eventState(event);
  const { bold } = aboutEvent(event);
  const due = Math.max(0, seconds(event.due_at ?? event.time) ?? 0);
  const start = seconds(event.started_at);
  const ended = seconds(event.ended_at) ?? end;
  const tone = state === "held" ? "is-held" : state === "running" ? "is-run" : state === "dead" || state === "rejected" ? "is-bad" : "";
  const at = start === null ? x(Math.max(0, seconds(event.time))) : x(ended);
  // Where there is little room behind a bar, its words stand before it.
  const begins = Math.min(x(due), start === null ? at : x(start));
  const before = at > 60 && begins > 40;
  const shown = state === "dead" ? "dead letter" : state;
  return html`<li><a class="node" data-row href=${href} aria-current=${on ? "true" : null}>
    <span class="row name" style=${{ paddingLeft: `${depth * 17}px` }}>${depth > 0 && html`<i class="branch" aria-hidden="true"></i>`}<span class="state"><${State} of=${state} word=${shown} hidden /></span><span class="names"><span class="mono cut">${event.type}</span><span class="small soft cut narrow">${bold}</span></span></span>
    <span class="scale" aria-hidden="true">
      ${start !== null && x(start) - x(due) > 0.6 && html`<i class="waits" style=${{ left: `${x(due)}%`, width: `${x(start) - x(due)}%` }}></i>`}
      ${start !== null ? html`<i class="work ${tone}" style=${{ left: `${x(start)}%`, width: `${Math.max(0.4, x(ended) - x(start))}%` }}></i>` : html`<i class="dot" style=${{ left: `${at}%` }}></i>`}
      <span class="about cut ${before ? "before" : ""}" style=${{ left: before ? `${begins}%` : `calc(${at}% + ${start === null ? 8 : 0}px)` }}>${bold}</span></span>
    <span class="num mono soft">${tookOf(event)}</span></a></li>`;
}

export const Legend = () => html`<span class="legend row small soft"><i class="waits"></i>waiting<i class="work"></i>working</span>`;
