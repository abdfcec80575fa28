// Small distributions: bars of numbers, stretches of levels.
import { brief, count } from "../format.js";
import { html } from "../html.js";

const WIDE = 240;
const HIGH = 22;

// `mine`: where a value lies among what training saw, between 0 and 1.
export function Hist({ bins, label, mine = null }) {
  const most = Math.max(1, ...bins);
  const width = WIDE / bins.length;
  return html`<svg class="hist" viewBox="0 0 ${WIDE} ${HIGH}" preserveAspectRatio="none" role="img" aria-label=${label}>
    ${bins.map((number, at) => html`<rect key=${at} x=${at * width + 0.5} width=${width - 1} y=${HIGH - Math.max(number ? 1 : 0.4, (number / most) * HIGH)} height=${Math.max(number ? 1 : 0.4, (number / most) * HIGH)} />`)}
    ${mine !== null && html`<rect class="mine" x=${Math.max(0, Math.min(WIDE - 3, mine * WIDE - 1.5))} width="3" y="0" height=${HIGH} />`}
  </svg>`;
}

export function Levels({ levels, distinct, shown = 4 }) {
  const first = levels.slice(0, shown);
  const total = levels.reduce((sum, [, number]) => sum + number, 0) || 1;
  const rest = total - first.reduce((sum, [, number]) => sum + number, 0);
  const more = distinct - first.length;
  return html`<span class="levels" role="img" aria-label=${levels.map(([name, number]) => `${name} ${number}`).join(", ") + (distinct > levels.length ? `, and ${distinct - levels.length} more` : "")}>
    ${first.map(([name, number]) => html`<span key=${name} title=${`${name}: ${count(number)}`} style=${{ flexGrow: number / total }}>${name} ${count(number)}</span>`)}
    ${more > 0 && html`<span class="rest" title=${`${count(more)} more`} style=${{ flexGrow: Math.max(0.08, rest / total) }}>${count(more)} more</span>`}
  </span>`;
}

// A column's distribution in words, for its picture's name.
export const histWords = ({ name, lowest, median, highest, bins }) => `${name} from ${brief(lowest)} to ${brief(highest)}, median ${brief(median)}; rows in ${bins.length} equal steps: ${bins.join(", ")}`;
