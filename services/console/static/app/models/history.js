// Decisions, the newest first: what, who, why.
import { clock, day, when } from "../format.js";
import { html } from "../html.js";
import { Id } from "../parts.js";
import { Shape } from "../state.js";
import { byHand, decisionState, decisionWords, modelHref } from "./words.js";

export function Decisions({ of, withModel = false }) {
  if (!of.length) return html`<p class="in soft">Nobody has decided anything yet.</p>`;
  return html`<ul class="history">${of.map((one) => html`<li key=${one.id}>
    <${Shape} of=${decisionState(one)} />
    <span class="row wrap"><span class="strong">${withModel ? html`<a href=${modelHref(one.model)}>${one.model}</a>: ${decisionWords(one).replace(/^./, (letter) => letter.toLowerCase())}` : decisionWords(one)}</span><span class="small ${byHand(one) ? "held" : "soft"}">by ${one.actor}</span>${one.run && html`<span class="small soft">run <${Id} of=${one.run} href=${`/runs/${one.run}`} /></span>`}</span>
    <time class="small soft nowrap" datetime=${one.at} title=${`${day(one.at)} ${clock(one.at)} UTC`}>${when(one.at)}</time>
    ${one.reason && html`<p class="small">${one.reason}</p>`}
  </li>`)}</ul>`;
}
