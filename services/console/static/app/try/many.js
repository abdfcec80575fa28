// Many records at once: a CSV comes back with a column of answers per model. It is read here; records go to the models.
import { post } from "../api.js";
import { count, plural } from "../format.js";
import { html, useState } from "../html.js";
import { Icon } from "../parts.js";
import { isNumber } from "./records.js";

const CHUNK = 500;
const MOST = 50_000;

// Rows of a CSV (RFC 4180): quoted fields may hold commas, line ends and doubled quotes.
export function parseCsv(text) {
  const rows = [[]];
  let field = "";
  let quoted = false;
  for (let at = 0; at < text.length; at += 1) {
    const letter = text[at];
    if (quoted) {
      if (letter !== '"') field += letter;
      else if (text[at + 1] === '"') {
        field += '"';
        at += 1;
      } else quoted = false;
    } else if (letter === '"' && field === "") quoted = true;
    else if (letter === "," || letter === "\n") {
      rows.at(-1).push(field.replace(/\r$/, ""));
      field = "";
      if (letter === "\n") rows.push([]);
    } else field += letter;
  }
  rows.at(-1).push(field);
  return rows.filter((row) => row.length > 1 || row[0].trim() !== "");
}

export const writeCsv = (rows) => rows.map((row) => row.map((field) => (/[",\n\r]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field)).join(",")).join("\n");

async function answer(text, features, models, onStep) {
  const [head, ...rows] = parseCsv(text.replace(/^\uFEFF/, ""));
  const missing = features.filter(({ name, nullable }) => !nullable && !head.includes(name)).map(({ name }) => name);
  if (missing.length) throw new Error(`The file has no column ${missing.join(", ")}. Its first line must name the columns.`);
  if (rows.length > MOST) throw new Error(`The file has ${count(rows.length)} rows, more than ${count(MOST)}. The command below takes any number.`);
  const known = features.map((feature) => [feature, head.indexOf(feature.name)]).filter(([, at]) => at >= 0);
  const records = rows.map((row) => Object.fromEntries(known.map(([feature, at]) => [feature.name, row[at] === undefined || row[at].trim() === "" ? null : isNumber(feature) && Number.isFinite(Number(row[at])) ? Number(row[at]) : row[at].trim()])));
  const found = models.map(() => []);
  for (let first = 0; first < records.length; first += CHUNK) {
    onStep(first);
    const answers = await post("/api/ask", { records: records.slice(first, first + CHUNK), models });
    answers.forEach(({ status, answer: told }, at) => {
      if (status !== 200) throw new Error(`${told.detail ?? `${models[at]} answered ${status}`}${told.record === undefined ? "" : ` (line ${first + told.record + 2} of the file)`}`);
      found[at].push(...told.predictions);
    });
  }
  return { rows: records.length, text: writeCsv([[...head, ...models], ...rows.map((row, at) => [...row, ...found.map((column) => String(column[at]))])]) };
}

export function Many({ features, models }) {
  const [state, setState] = useState({ words: "", bad: false, href: "", name: "" });
  const [over, setOver] = useState(false);
  const take = async (file) => {
    if (!file) return;
    if (state.href) URL.revokeObjectURL(state.href);
    setState({ words: `${file.name} is read`, bad: false, href: "" });
    try {
      const { rows, text } = await answer(await file.text(), features, models, (done) => setState({ words: `${count(done)} rows of ${file.name} are answered`, bad: false, href: "" }));
      const href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
      setState({ words: `${plural(rows, "row")} of ${file.name} answered by ${plural(models.length, "model")}.`, bad: false, href, name: file.name.replace(/\.csv$/i, "") });
    } catch (error) {
      setState({ words: error.message, bad: true, href: "" });
    }
  };
  const drop = (event) => {
    event.preventDefault();
    setOver(false);
    take(event.dataTransfer.files[0]);
  };
  return html`<div class="many"><div class="drop ${over ? "over" : ""}" onDragOver=${(event) => (event.preventDefault(), setOver(true))} onDragLeave=${() => setOver(false)} onDrop=${drop}>
    <p><b>Many at once: drop a CSV here</b>, or <label class="link-like">choose a file<input type="file" accept=".csv,text/csv" onChange=${(event) => take(event.target.files[0])} /></label></p>
    <p class="small soft">You get it back with the answers added. The same: <code>rookery predict FILE.csv${models[0] ? ` --model ${models[0]}` : ""}</code></p>
    <div role="status">${state.words && html`<p class=${state.bad ? "bad" : "strong"}>${state.words}</p>`}${state.href && html`<a class="btn edge" href=${state.href} download=${`${state.name}.predictions.csv`}><${Icon} name="download" />Save the file</a>`}</div>
  </div></div>`;
}
