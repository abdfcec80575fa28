// What a version answers on its test rows, and what it looks at: confusion, importance, scores by class.
import { figure } from "../format.js";
import { html } from "../html.js";
import { Scroll } from "./scroll.js";

// Names short enough for a column head, still different.
function shorten(names) {
  for (let length = 4; length < 24; length += 1) {
    const short = names.map((name) => name.slice(0, length));
    if (new Set(short).size === names.length) return short;
  }
  return names;
}

export function Confusion({ title, classes, counts }) {
  const heads = shorten(classes);
  return html`<div><h3>${title}</h3><${Scroll} label="Confusion"><table class="confusion" aria-label=${`${title}; rows are the truth`}>
    <thead><tr><th scope="col"><span class="sr">Truth</span></th>${classes.map((name, at) => html`<th key=${name} scope="col" title=${name}><span aria-hidden="true">${heads[at]}</span><span class="sr">answered ${name}</span></th>`)}</tr></thead>
    <tbody>${counts.map((row, truth) => html`<tr key=${classes[truth]}><th scope="row">${classes[truth]}</th>${row.map((number, answered) => html`<td key=${answered} class=${truth === answered ? "hit" : number ? "miss" : ""}>${number}</td>`)}</tr>`)}</tbody>
  </table></${Scroll}></div>`;
}

// Permutation importance as bars, those of one version or of two side by side on one scale.
export function Looks({ sides }) {
  const names = [...new Set(sides.flatMap(({ importance }) => Object.keys(importance)))];
  if (!names.length) return html`<p class="in soft">It could not be computed here.</p>`;
  const order = names.sort((a, b) => (sides[0].importance[b] ?? 0) - (sides[0].importance[a] ?? 0)).slice(0, 20);
  const most = Math.max(0.001, ...sides.flatMap(({ importance }) => Object.values(importance)));
  const worth = (number) => (Math.abs(number) < 0.0005 ? "0" : number.toFixed(Math.abs(number) < 0.01 ? 3 : 2));
  return html`<div class="in looks ${sides.length === 1 ? "single" : "pair"}">
    ${sides.length > 1 && html`<span class="col"></span>${sides.map(({ version }) => html`<span key=${version} class="col">${version}</span>`)}`}
    ${order.map((name) => html`<span key=${`${name} name`} class="mono" title=${name}>${name}</span>${sides.map(({ version, importance }, at) => html`<span key=${`${name} ${version}`} class="worth"><i class=${at ? "is-b" : ""} style=${{ width: `${(Math.max(0, importance[name] ?? 0) / most) * 68}%` }}></i><span class="sr">${sides.length > 1 ? `${version}: ` : ""}</span>${worth(importance[name] ?? 0)}</span>`)}`)}
  </div>`;
}

export function ByClass({ report, classes }) {
  const rows = classes.filter((name) => report?.[name]);
  if (!rows.length) return null;
  return html`<${Scroll} label="Scores by class"><table><thead><tr><th>Class</th><th class="num">Precision</th><th class="num">Recall</th><th class="num">F1</th><th class="num">Test rows</th></tr></thead>
    <tbody>${rows.map((name) => html`<tr key=${name}><td>${name}</td><td class="num">${figure(report[name].precision)}</td><td class="num">${figure(report[name].recall)}</td><td class="num">${figure(report[name]["f1-score"])}</td><td class="num">${report[name].support}</td></tr>`)}</tbody></table></${Scroll}>`;
}
