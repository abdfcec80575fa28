// One event opened: who handled it, what it waited for, what it carried, what it led to.
import { clock, plural, span } from "./format.js";
import { html } from "./html.js";
import { Copy, Id, Json, Pairs, Panel } from "./parts.js";
import { Shape, colourOf } from "./state.js";
import { discard, retry } from "./deadletters.js";
import { aboutEvent, eventState, workerOf } from "./words.js";

function took(event) {
  if (event.state === "waiting") return "waits";
  const waited = event.waited_s !== null && event.waited_s !== undefined ? `${span(event.waited_s)} waiting` : "";
  const worked = event.seconds !== null && event.seconds !== undefined ? `${span(event.seconds)} working` : event.state === "running" ? "under way" : "";
  return [waited, worked].filter(Boolean).join(", ");
}

export function EventView({ event, cause, ledTo, hrefOf, level = "beside" }) {
  const state = eventState(event);
  const title = html`<span class="row ${colourOf(state)}"><span class="state"><${Shape} of=${state} label=${state} /></span><span class="mono">${event.type}</span></span>`;
  const { data } = event;
  return html`<${Panel} class="event ${level}" title=${title} right=${html`<${Copy} text=${JSON.stringify(event, null, 2)} label="Copy the event" />`}>
    <div class="in stack">
      <${Pairs} of=${[
        ["Event", html`<span class="mono">${event.id}</span> <${Copy} text=${event.id} label="Copy the id" />`],
        ["About", aboutEvent(event).bold],
        ["Caused by", cause ? html`<a class="link mono" href=${hrefOf(cause)}>${cause.type}</a> <${Id} of=${cause.id} />` : event.cause ? html`<${Id} of=${event.cause} href=${`/events/${event.cause}`} />` : "nothing before it"],
        ["Run", level === "page" && html`<${Id} of=${event.run} href=${`/runs/${event.run}?event=${event.id}`} />`],
        ["Worker", workerOf(event) && html`<span class="mono">${workerOf(event)}</span>`],
        ["Time", html`<span class="mono">${clock(event.time, true)}</span> UTC`],
        ["Took", took(event)],
        ["Attempts", event.attempts > 1 || event.state === "dead" ? plural(event.attempts, "attempt") : event.attempts ? "1" : ""],
        ["Led to", ledTo.length ? ledTo.map((effect, index) => html`${index > 0 && ", "}<a class="link mono" href=${hrefOf(effect)}>${effect.type}</a>`) : event.state === "done" ? "nothing" : ""],
      ].filter(([, value]) => value !== false)} />
      ${event.error && html`<p class="error mono bad">${event.error}</p>`}
      <${Json} value=${data} />
      <div class="row wrap">
        ${data.model && data.version !== undefined && html`<a class="btn edge" href=${`/models/${data.model}/versions/${data.version}`}>Open version ${data.version}</a>`}
        ${data.snapshot !== undefined && event.dataset && html`<a class="btn edge" href=${`/data/${event.dataset}/snapshots/${data.snapshot}`}>Open snapshot ${data.snapshot}</a>`}
        ${event.state === "dead" && html`<button class="btn danger" type="button" onClick=${() => discard({ event })}>Discard</button><button class="btn main" type="button" onClick=${() => retry(event.id)}>Retry</button>`}
      </div>
    </div></${Panel}>`;
}
