// The form: each field over what training saw.
import { brief } from "../format.js";
import { html } from "../html.js";
import { Hist, histWords } from "../models/hist.js";
import { Chip } from "../parts.js";
import { isNumber, sameRecord } from "./records.js";

export function RecordForm({ features, columns, values, wrong, chips, busy, many, onChange, onAsk }) {
  const set = (name) => (event) => onChange({ ...values, [name]: event.target.value });
  const press = (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    onAsk();
  };
  const submit = (event) => {
    event.preventDefault();
    onAsk();
  };
  const numbers = features.filter(isNumber);
  const words = features.filter((feature) => !isNumber(feature));
  return html`<form class="form" onSubmit=${submit} onKeyDown=${press} noValidate>
    ${chips.length > 0 && html`<p class="row wrap"><span class="small soft">fill with</span>${chips.map(({ name, record }) => html`<${Chip} key=${name} on=${sameRecord(values, record)} onClick=${() => onChange({ ...record }, true)}>${name}</${Chip}>`)}</p>`}
    ${numbers.map((feature) => html`<${NumberField} key=${feature.name} feature=${feature} column=${columns.get(feature.name)} value=${values[feature.name] ?? ""} wrong=${wrong[feature.name]} onInput=${set(feature.name)} />`)}
    <div class="pairof">${words.map((feature) => html`<${WordField} key=${feature.name} feature=${feature} value=${values[feature.name] ?? ""} wrong=${wrong[feature.name]} onInput=${set(feature.name)} />`)}</div>
    <div class="row"><button class="btn main grow" type="submit" disabled=${busy}>${many === 1 ? "Ask the model" : many === 2 ? "Ask both" : `Ask all ${many}`}</button><kbd aria-hidden="true">Ctrl Enter</kbd></div>
  </form>`;
}

const fieldId = (name) => `field-${name.replace(/\W/g, "-")}`;

function NumberField({ feature, column, value, wrong, onInput }) {
  const { name, minimum: low, maximum: high } = feature;
  const number = value === "" ? null : Number(value);
  const place = number !== null && Number.isFinite(number) && high > low ? (number - low) / (high - low) : null;
  const outside = place !== null && (place < 0 || place > 1);
  const fits = column?.bins?.length && column.lowest !== null;
  const inHist = fits && number !== null && Number.isFinite(number) && column.highest > column.lowest ? (number - column.lowest) / (column.highest - column.lowest) : place;
  return html`<div class="field"><label for=${fieldId(name)} class="mono">${name}</label>
    <input id=${fieldId(name)} type="text" inputmode="decimal" autocomplete="off" value=${value} onInput=${onInput} aria-invalid=${String(Boolean(wrong))} aria-describedby=${`${fieldId(name)}-says`} placeholder=${feature.nullable ? "may be missing" : ""} />
    <div class="over">${fits ? html`<${Hist} bins=${column.bins} label=${histWords(column)} mine=${inHist} />` : html`<svg class="hist" viewBox="0 0 240 22" preserveAspectRatio="none" aria-hidden="true"><rect x="0" y="19" width="240" height="3" />${place !== null && html`<rect class="mine" x=${Math.max(0, Math.min(237, place * 240))} width="3" y="6" height="16" />`}</svg>`}
      <span class="ends" id=${`${fieldId(name)}-says`}><span>${brief(low)}</span><span class=${outside ? "outside" : ""}>${outside ? "outside of what training saw" : "seen in training"}</span><span>${brief(high)}</span></span></div>
    ${wrong && html`<p class="wrong" role="alert">${name} ${wrong}</p>`}</div>`;
}

function WordField({ feature, value, wrong, onInput }) {
  const { name, categories = [] } = feature;
  return html`<div class="field words"><label for=${fieldId(name)} class="mono">${name}</label>
    <select id=${fieldId(name)} value=${value} onChange=${onInput} aria-invalid=${String(Boolean(wrong))}>
      ${(feature.nullable || !categories.includes(value)) && html`<option value="">${feature.nullable ? "missing" : "choose"}</option>`}
      ${categories.map((level) => html`<option key=${level} value=${level} selected=${level === value}>${level}</option>`)}</select>
    ${wrong && html`<p class="wrong" role="alert">${name} ${wrong}</p>`}</div>`;
}
