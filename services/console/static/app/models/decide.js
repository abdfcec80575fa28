// Decisions about a model, each with a confirmation that lists what will happen, what stays, and how to undo it.
import { post } from "../api.js";
import { confirm } from "../confirm.js";
import { figure, metricValue, metricWords } from "../format.js";
import { html, useState } from "../html.js";
import { refresh } from "../live.js";
import { say } from "../parts.js";
import { modelHref } from "./words.js";

const at = (name, action) => `/api${modelHref(name)}/${action}`;
const quoted = (text) => `'${(text || "why").replaceAll("'", "'\\''")}'`;
const later = ({ written }) => (written ? "" : " The models folder cannot be written now; it follows by itself.");

function send(name, action, body, said) {
  return post(at(name, action), body).then((went) => {
    say(`${said}.${later(went)}`);
    refresh.value += 1; // not every decision is an event: what is shown is read again
  });
}

const scores = (model, version, metric) => {
  const [theirs, live] = [version?.metrics?.[metric], model.metrics[metric]];
  return theirs === undefined || live === undefined ? "" : `${metricWords(metric)} ${figure(metricValue(metric, theirs))}, live ${model.live} has ${figure(metricValue(metric, live))}. `;
};

const callers = (model, isDefault) => (isDefault ? `Callers who name no model get their answers from ${model.name}.` : `Callers who ask ${model.name} get its answers.`);

export function promote(model, version, { metric, isDefault = false } = {}) {
  const number = version.version;
  const held = version.state === "held";
  confirm({
    title: `Make ${model.name} ${number} live?`,
    text: `${held ? "The gate holds it: " : ""}${scores(model, version, metric)}${callers(model, isDefault)}`,
    steps: [
      `Every inference process verifies version ${number} and lets it answer its sample records. If one is wrong, nothing changes.`,
      model.live ? `It replaces ${model.live} in one step. No request fails; requests under way finish on ${model.live}.` : "It begins to answer. Nothing answered before.",
      model.live ? `The history records you, the time and your reason. ${model.live} stays loaded: going back takes under 1 s.` : "The history records you, the time and your reason.",
      model.pinned ? "The pin stays: later versions wait for you." : "The next version that passes the gate replaces it, unless you pin it.",
    ],
    reason: true,
    fields: model.pinned ? [] : [{ name: "pin", label: "Pin it: later versions wait for me" }],
    cli: ({ reason, pin }) => `rookery models promote ${model.name} ${number} --reason ${quoted(reason)}${pin ? " --pin" : ""}`,
    keep: model.live ? `Keep ${model.live} live` : "Leave it",
    make: `Make ${number} live`,
    run: ({ reason, pin }) => send(model.name, "promote", { version: number, reason, pin: Boolean(pin) }, `${model.name} ${number} is live`),
  });
}

export function rollback(model, number = model.previous, { isDefault = false } = {}) {
  const between = model.trail.slice(1, Math.max(1, model.trail.indexOf(number)));
  confirm({
    title: `Roll ${model.name} back to ${number}?`,
    text: `${model.live} stops answering. ${callers(model, isDefault)}`,
    steps: [
      `Every inference process answers with ${number} from then on, in under 1 s. No request fails.`,
      `${model.live}${between.length ? ` and ${between.join(", ")}` : ""} stay published, but nothing falls back to them: going forward again is a promotion.`,
      "The history records you, the time and your reason.",
      model.pinned ? "The pin stays: later versions wait for you." : `The next version that passes the gate replaces it. Pin ${number} afterwards if it should not.`,
    ],
    reason: true,
    cli: ({ reason }) => `rookery models rollback ${model.name} --version ${number} --reason ${quoted(reason)}`,
    keep: `Keep ${model.live} live`,
    make: `Go back to ${number}`,
    run: ({ reason }) => send(model.name, "rollback", { version: number, reason }, `${model.name} is back on ${number}`),
  });
}

export function pin(model) {
  confirm({
    title: `Pin ${model.name} to ${model.live}?`,
    text: "Nothing changes for callers now.",
    steps: [
      "Training goes on. Versions that pass the gate are published and wait.",
      `${model.live} answers until you unpin, promote another version or roll back.`,
      "The history records you, the time and your reason.",
    ],
    reason: true,
    cli: ({ reason }) => `rookery models pin ${model.name} --reason ${quoted(reason)}`,
    keep: "Let later versions go live",
    make: `Pin ${model.live}`,
    run: ({ reason }) => send(model.name, "pin", { reason }, `${model.name} is pinned to ${model.live}`),
  });
}

export function unpin(model) {
  confirm({
    title: `Unpin ${model.name}?`,
    text: `${model.live} keeps answering for now.`,
    steps: ["The next version that passes the gate goes live by itself.", "Versions that were published meanwhile stay ready; promote one if it should answer now.", "The history records you, the time and your reason."],
    reason: true,
    cli: ({ reason }) => `rookery models unpin ${model.name} --reason ${quoted(reason)}`,
    keep: `Keep it pinned to ${model.live}`,
    make: "Unpin",
    run: ({ reason }) => send(model.name, "unpin", { reason }, `${model.name} is not pinned any more`),
  });
}

export function keepHeld(model, number) {
  confirm({
    title: `Leave ${model.name} ${number} held?`,
    text: `Nothing changes for callers: ${model.live ?? "nothing"} keeps answering.`,
    steps: [`${number} stays published and can be promoted at any time.`, "It is no longer named as something that needs you.", "The history records you, the time and your reason."],
    reason: true,
    keep: "Decide later",
    make: `Leave ${number} held`,
    run: ({ reason }) => send(model.name, "keep", { version: number, reason }, `${number} is left held`),
  });
}

function Share({ onChange }) {
  const [share, setShare] = useState(10);
  const set = (event) => {
    setShare(event.target.value);
    onChange(Number(event.target.value) / 100);
  };
  return html`<label>Share of live requests, in percent<input type="number" min="1" max="100" step="1" value=${share} onInput=${set} required /></label>`;
}

export function shadow(model, number) {
  let share = 0.1;
  confirm({
    title: `Run ${model.name} ${number} as a shadow?`,
    text: `Nobody sees its answers: ${model.live} keeps answering every request.`,
    steps: [`Every inference process verifies and loads ${number} beside ${model.live}.`, "It is asked again, after the answer, for a share of the live requests.", "This page counts how often the two agree. It ends when you end it or promote it."],
    children: html`<${Share} onChange=${(value) => (share = value)} />`,
    reason: "",
    keep: "No shadow",
    make: `Run ${number} unseen`,
    run: ({ reason }) => send(model.name, "shadow", { version: number, share, reason }, `${number} runs beside ${model.live}`),
  });
}

export function endShadow(model) {
  confirm({
    title: `End the shadow ${model.candidate} of ${model.name}?`,
    text: "Nothing changes for callers.",
    steps: [`${model.candidate} is unloaded; it stays published and can be promoted.`],
    reason: "",
    keep: "Let it run",
    make: "End the shadow",
    run: ({ reason }) => send(model.name, "shadow", { version: null, reason }, "The shadow has ended"),
  });
}
