// A refused snapshot: what is wrong, with rows; what stays in use; what to do.
import { ago, plural } from "../format.js";
import { html } from "../html.js";
import { now } from "../live.js";
import { Id, Panel } from "../parts.js";
import { Shape } from "../state.js";
import { Scroll } from "./scroll.js";

// What helps, by what the reason says; the first that fits.
const REMEDIES = [
  [/decimal comma|holds '\d+,\d+'|'\d+,\d+'/, (file) => html`Write the numbers with a point in the source, or list the column under <code>categorical</code> in <code>${file}</code> if it is no number.`],
  [/is to be numeric/, (file) => html`Correct the column in the source (a single text makes all of it text), or list it under <code>categorical</code> in <code>${file}</code>.`],
  [/shrank/, (file) => html`If the loss is meant, raise <code>max_shrink</code> in <code>${file}</code>; else restore the source.`],
  [/levels|different values/, (file) => html`Correct the source, or name the new level in <code>${file}</code>.`],
  [/missing|no column|not in the source/, (file) => html`Put the column back into the source, or take it out of <code>${file}</code>.`],
  [/too few|fewer than/, (file) => html`Wait for more rows, or lower <code>folds</code> or <code>test_size</code> in <code>${file}</code>.`],
];
const remedy = (reason, file) => (REMEDIES.find(([fits]) => fits.test(reason))?.[1] ?? ((of) => html`Correct the source, or say in <code>${of}</code> what it is.`))(file);
const sentence = (text) => `${text.replace(/^./, (letter) => letter.toUpperCase()).replace(/\.$/, "")}.`;

// Rows are kept as {row, column, value}, or as records where a whole row is to blame.
function Rows({ rows }) {
  const offending = rows.every((row) => "row" in row && "value" in row);
  const heads = offending ? ["Row", "Column", "Value"] : [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const cells = (row) => (offending ? [row.row, row.name ?? row.column, row.value] : heads.map((head) => row[head]));
  return html`<${Scroll} label="Offending rows"><table><thead><tr>${heads.map((head, at) => html`<th key=${head} class=${offending && at === 0 ? "num" : ""}>${head}</th>`)}</tr></thead>
    <tbody>${rows.slice(0, 8).map((row, at) => html`<tr key=${at}>${cells(row).map((cell, of) => html`<td key=${of} class="mono ${offending && of === 0 ? "num soft" : ""} ${!offending || of === 2 ? "bad" : ""}">${typeof cell === "string" && (!offending || of === 2) ? JSON.stringify(cell) : String(cell ?? "")}</td>`)}</tr>`)}
      ${rows.length > 8 && html`<tr><td colspan=${heads.length} class="soft">and ${rows.length - 8} more</td></tr>`}</tbody></table></${Scroll}>`;
}

export function Refusal({ rejection, dataset, file }) {
  const { reason, rows, at, run, in_use: inUse } = rejection;
  return html`<${Panel} tone="bad" class="is-refused">
    <header><${Shape} of="rejected" /><h2>The last snapshot was rejected</h2><span class="small">${ago(at, now.value)}${run && html`, run <${Id} of=${run} href=${`/runs/${run}`} />`}</span></header>
    <div class="refusal ${rows.length ? "" : "single"}">
      <div class="stack"><p><b>${sentence(reason)}</b></p>
        <p class="soft">${inUse ? `The tables and models of snapshot ${inUse} stay in use. Nothing was trained.` : "No snapshot is in use yet, so nothing is trained."}</p>
        <p class="soft">${remedy(reason, file)} ${dataset.interval_s > 0 && `Both are looked at again within ${plural(Math.round(dataset.interval_s), "second")}.`}</p></div>
      ${rows.length > 0 && html`<${Rows} rows=${rows} />`}
    </div></${Panel}>`;
}

export function PastRejections({ of }) {
  return html`<${Panel} title="Rejections" note=${`the last ${of.length}`}><ul class="history">${of.map((one) => html`<li key=${one.event}><${Shape} of="rejected" /><span class="small">${sentence(one.reason)}</span><span class="small soft nowrap">${ago(one.at, now.value)} ${one.run && html`<${Id} of=${one.run} href=${`/runs/${one.run}`} />`}</span></li>`)}</ul></${Panel}>`;
}
