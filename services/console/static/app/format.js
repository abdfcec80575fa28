// How figures, times and ids are written, the same everywhere. Times are UTC.

const pad = (number, digits = 2) => String(number).padStart(digits, "0");

export function clock(moment, withMilliseconds = false) {
  if (!moment) return "";
  const at = new Date(moment);
  const text = `${pad(at.getUTCHours())}:${pad(at.getUTCMinutes())}:${pad(at.getUTCSeconds())}`;
  return withMilliseconds ? `${text}.${pad(at.getUTCMilliseconds(), 3)}` : text;
}

export function day(moment) {
  const at = new Date(moment);
  return `${at.getUTCFullYear()}-${pad(at.getUTCMonth() + 1)}-${pad(at.getUTCDate())}`;
}

// The time of a day, with the day where it is another.
export function when(moment) {
  return day(moment) === day(Date.now()) ? clock(moment) : `${day(moment).slice(5)} ${clock(moment).slice(0, 5)}`;
}

export function span(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 0.9995) return `${Math.max(0, Math.round(seconds * 1000))} ms`;
  if (seconds < 59.995) return `${seconds.toFixed(2)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

export function age(moment, now = Date.now()) {
  const seconds = Math.max(0, (now - new Date(moment).getTime()) / 1000);
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h ${pad(Math.floor((seconds % 3600) / 60))}`;
  return `${Math.floor(seconds / 86400)} days`;
}

export const ago = (moment, now) => `${age(moment, now)} ago`;
export const short = (id) => String(id ?? "").slice(-6);
export const count = (number) => (number ?? 0).toLocaleString("en");
export const plural = (number, noun, many = `${noun}s`) => `${count(number)} ${number === 1 ? noun : many}`;

export function figure(number, digits = 4) {
  if (number === null || number === undefined || Number.isNaN(number)) return "";
  if (typeof number !== "number") return String(number);
  const large = Math.abs(number) >= 1000;
  return large ? number.toLocaleString("en", { maximumFractionDigits: 1 }) : number.toFixed(digits);
}

export function brief(number) {
  if (number === null || number === undefined) return "";
  return Math.abs(number) >= 1000 ? count(Math.round(number)) : String(Number(number.toPrecision(4)));
}

// A text that somebody wrote, as a sentence.
export const closed = (text) => (/[.!?…]$/.test(text ?? "") ? text : `${text}.`);

export function rate(number) {
  if (!number) return "0";
  return number >= 100 ? number.toFixed(0) : number.toFixed(1);
}

export function bytes(size) {
  if (size < 1000) return `${size} B`;
  return size < 1e6 ? `${Math.round(size / 1000)} kB` : `${(size / 1e6).toFixed(1)} MB`;
}

// scikit-learn's names of metrics in words; a score that is a negated error is shown as the error.
export function metricWords(name) {
  const known = { accuracy: "Accuracy", f1_macro: "Macro F1", neg_log_loss: "Log loss", r2: "R squared", roc_auc_ovr: "ROC AUC", neg_root_mean_squared_error: "RMSE", neg_mean_absolute_error: "MAE" };
  return known[name] ?? name.replace(/^neg_/, "").replaceAll("_", " ").replace(/^./, (letter) => letter.toUpperCase());
}
export const isError = (name) => name.startsWith("neg_");
export const metricValue = (name, value) => (isError(name) ? -value : value);

export function params(values) {
  const parts = Object.entries(values ?? {}).map(([name, value]) => `${name.replace(/^.*__/, "")} ${typeof value === "object" ? JSON.stringify(value) : value}`);
  return parts.join(", ") || "none";
}
