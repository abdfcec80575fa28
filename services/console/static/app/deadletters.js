// What was given up: its error, its likely cause, and what to do.
import { post, useFetch } from "./api.js";
import { attempt, confirm } from "./confirm.js";
import { clock, plural } from "./format.js";
import { html } from "./html.js";
import { Icon, Id, Panel } from "./parts.js";
import { Shape } from "./state.js";
import { aboutEvent, worker } from "./words.js";

export const retry = (id) => attempt(() => post(`/api/events/${id}/retry`), ({ delivered }) => (delivered ? "It is tried again" : "It is tried again as soon as Redis is back"));

export function discard(letter) {
  const { event } = letter;
  confirm({
    title: `Discard ${event.type} of ${aboutEvent(event).bold}?`,
    text: "It is not tried again, and leaves this list.",
    steps: ["The event ends as discarded; the history keeps it with its errors.", "What it would have led to does not happen; the run ends without it.", "To have it after all, run the data set again."],
    cli: `rookery events discard ${event.id}`,
    keep: "Keep it here",
    make: "Discard it",
    run: () => post(`/api/events/${event.id}/discard`),
  });
}

// Also asked again after a decision of this page: the stream does not tell of those.
export function DeadLetters() {
  const { data, again } = useFetch("/api/events/dead", ({ name }) => name === "settled" || name === "queues");
  if (!data?.length) return null;
  const title = html`<span class="state bad"><${Shape} of="dead letter" />${plural(data.length, "dead letter")}</span>`;
  return html`<${Panel} tone="bad" title=${title} note=${`Rookery gave up on ${data.length === 1 ? "it. It stays" : "them. They stay"} here until you decide.`}>
    ${data.map((letter) => html`<${Letter} key=${letter.event.id} letter=${letter} again=${again} />`)}</${Panel}>`;
}

function Letter({ letter, again }) {
  const { event, attempts, errors, cause } = letter;
  const { bold } = aboutEvent(event);
  const first = errors[0]?.at ?? event.started_at;
  const times = first ? `, ${clock(first).slice(0, 5)} to ${clock(letter.dead_at).slice(0, 5)}` : "";
  return html`<article class="deadletter" aria-label=${`${event.type} of ${bold}`}><div>
      <p class="row wrap"><a class="mono strong" href=${`/events/${event.id}`}>${event.type}</a><span class="strong">${event.dataset && event.dataset !== bold ? `${event.dataset} ` : ""}${bold}</span><span class="soft">${plural(attempts, "attempt")}${times}${event.worker ? ", last on " : ""}${event.worker && html`<span class="mono" title=${event.worker}>${worker(event.worker)}</span>`}, run <${Id} of=${event.run} href=${`/runs/${event.run}`} /></span></p>
      <p class="error mono">${event.error}</p><p class="soft">${cause}</p></div>
    <div class="row"><button class="btn danger" type="button" onClick=${() => discard(letter)}><${Icon} name="trash-2" />Discard</button><button class="btn main" type="button" onClick=${async () => (await retry(event.id)) && again()}><${Icon} name="rotate-ccw" />Retry</button></div></article>`;
}
