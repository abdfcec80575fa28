// Which version answered when: one stretch per version that was live, to scale in time. A dashed edge is a person's decision.
import { age, clock, day, when } from "../format.js";
import { html } from "../html.js";
import { byHand, versionHref } from "./words.js";

const WENT = new Set(["publish", "promote", "rollback"]);
const HOURS_S = 3600;

// The stretches, the oldest first. The time before the first one of the page is left out.
export function stretches(history, live, at) {
  const rows = history.filter(({ action }) => WENT.has(action)).reverse();
  return rows.map((row, index) => ({
    ...row,
    from: Date.parse(row.at),
    to: rows[index + 1] ? Date.parse(rows[index + 1].at) : at,
    live: index === rows.length - 1 && row.version === live,
    hand: byHand(row),
  }));
}

const said = (one) => `${one.version}${one.live ? " live" : ""}${one.action === "rollback" ? `${one.live ? "," : ""} rolled back` : ""}`;
const whole = (one) => `${said(one)}: version ${one.version} of ${one.model}, ${one.live ? "live" : "live then"} for ${age(one.from, one.to)} from ${when(one.from)}${one.live ? " until now" : ` to ${when(one.to)}`}. ${one.action === "publish" ? "" : `${one.action === "rollback" ? "Rolled back" : "Promoted"} by ${one.actor}. `}${one.reason}`;

export function Ribbon({ name, history, live, at, from = null, axis = true }) {
  const all = stretches(history, live, at);
  if (!all.length) return html`<p class="small soft">No version has answered yet.</p>`;
  const first = from ?? all[0].from;
  const span = Math.max(1, at - first);
  const shown = all.filter(({ to }) => to > first);
  const place = (moment) => Math.max(0, Math.min(100, ((moment - first) / span) * 100));
  const marks = [0, 0.25, 0.5, 0.75].map((part) => first + part * span);
  const long = span > 24 * HOURS_S * 1000;
  const word = (moment) => (long ? `${day(moment).slice(5)} ${clock(moment).slice(0, 5)}` : span < 600_000 ? clock(moment) : clock(moment).slice(0, 5));
  return html`<div>
    <div class="ribbon" role="list" aria-label=${`Which version of ${name} answered when`}>
      ${shown.map((one) => {
        const left = Math.min(99.6, place(one.from));
        const width = Math.max(0.4, place(one.to) - left);
        return html`<div role="listitem" key=${one.id} class="stretch" style=${{ left: `${left}%`, width: `${width}%` }}><a href=${versionHref(name, one.version)} title=${whole(one)} aria-label=${whole(one)} class="${one.hand ? "by-hand" : ""} ${one.live ? "is-live" : ""}">${width > 2 ? said(one) : ""}</a></div>`;
      })}
    </div>
    ${axis && html`<div class="ribbon-axis" aria-hidden="true">${marks.map((moment) => html`<span key=${moment}>${word(moment)}</span>`)}<span>now</span></div>`}
  </div>`;
}
