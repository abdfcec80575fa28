// What waits for a person: at most three items; none: one line.
import { clock, ago, plural } from "./format.js";
import { html, useState } from "./html.js";
import { now } from "./live.js";
import { Panel } from "./parts.js";
import { retry } from "./deadletters.js";
import { Shape, colourOf, State } from "./state.js";

const STATE_OF = { dead: "dead letter" };
const MOST = 3;

export function Attention({ items, checkedAt }) {
  const [all, setAll] = useState(false);
  if (!items.length) return html`<div class="panel calm"><${State} of="done" word="Nothing needs you." /><span class="soft small">Checked at ${clock(checkedAt)} UTC</span></div>`;
  const shown = all ? items : items.slice(0, MOST);
  return html`<${Panel} title="" class="attention-panel"><h2 class="sr">${plural(items.length, "thing waits", "things wait")} for you</h2><ul class="attention">${shown.map((item) => html`<${Item} key=${item.title} item=${item} />`)}</ul>
    ${items.length > MOST && html`<p class="more"><button class="btn text small" type="button" onClick=${() => setAll(!all)}>${all ? "Show three" : `Show ${items.length - MOST} more`}</button></p>`}</${Panel}>`;
}

function Item({ item }) {
  const state = STATE_OF[item.kind] ?? item.kind;
  return html`<li><span class=${colourOf(state)}><svg width="16" height="16" role="img" aria-label=${state}><${Shape} of=${state} /></svg></span><div>
    <h3>${item.title}</h3><p>${item.text} ${item.at && html`<span>${ago(item.at, now.value)}. </span>`}${item.code && html`<code>${item.code}</code>`}</p>
    <div class="row">${item.actions.map((action) => (action.href ? html`<a key=${action.label} class="link strong" href=${action.href}>${action.label}</a>` : html`<button key=${action.label} class="btn text" type="button" onClick=${() => act(action.act)}>${action.label}</button>`))}</div></div></li>`;
}

function act(words) {
  const [what, id] = words.split(":");
  if (what === "retry") retry(id);
}
