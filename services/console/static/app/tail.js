// The table of events, with folds of ticks that found nothing.
import { clock, day, span, when } from "./format.js";
import { html } from "./html.js";
import { now } from "./live.js";
import { Id, Scroll } from "./parts.js";
import { go } from "./router.js";
import { FoldRow, merged } from "./runlist.js";
import { State } from "./state.js";
import { aboutEvent, eventState, workerOf } from "./words.js";

const at = (moment) => (day(moment) === day(Date.now()) ? clock(moment, true) : when(moment));

export function tookOf(event) {
  if (event.state === "running" && event.started_at) return span(Math.max(0, (now.value - Date.parse(event.started_at)) / 1000));
  return event.seconds === null ? "" : span(event.seconds);
}

export function TailTable({ events, ticks }) {
  const rows = [...events.map((event) => ({ event, at: event.time })), ...ticks.map((fold) => ({ fold, at: fold.last_at }))];
  rows.sort((one, other) => (one.at < other.at ? 1 : -1));
  return html`<${Scroll} label="Events"><table class="tail listed">
    <caption class="sr">Events, the newest first</caption>
    <thead><tr><th scope="col">Time</th><th scope="col">Event</th><th scope="col">About</th><th scope="col">Run</th><th scope="col">Handled by</th><th scope="col" class="num">Waited</th><th scope="col" class="num">Took</th></tr></thead>
    <tbody>${merged(rows).map(({ event, fold }) => event ? html`<${EventRow} key=${event.id} event=${event} />` : html`<${FoldRow} key=${`${fold.dataset}${fold.first_at}`} fold=${fold} columns=${7} />`)}</tbody></table></${Scroll}>`;
}

function EventRow({ event }) {
  const href = `/events/${event.id}`;
  const { bold, rest } = aboutEvent(event);
  const loaded = event.type === "model.loaded" || event.type === "model.rejected";
  const open = (click) => click.target.closest("a") || loaded || go(href);
  const name = html`<${State} of=${eventState(event)} word=${eventState(event)} hidden />`;
  return html`<tr class=${loaded ? "" : "opens"} data-row tabindex="-1" onClick=${open} onKeyDown=${(press) => press.key === "Enter" && press.target === press.currentTarget && !loaded && go(href)}>
    <td class="mono soft nowrap" title=${event.time}>${at(event.time)}</td>
    <td class="nowrap"><span class="row">${name}${loaded ? html`<span class="mono">${event.type}</span>` : html`<a class="mono" href=${href}>${event.type}</a>`}</span></td>
    <td class="about wide"><span class="strong">${bold}</span> <span class="soft">${rest}</span></td>
    <td><${Id} of=${event.run} href=${loaded ? null : `/runs/${event.run}`} /></td>
    <td class="mono soft nowrap later">${workerOf(event)}</td>
    <td class="num mono soft later">${event.waited_s === null || event.waited_s === undefined ? "" : span(event.waited_s)}</td>
    <td class="num mono ${event.state === "running" ? "run" : ""}">${tookOf(event)}</td></tr>`;
}
