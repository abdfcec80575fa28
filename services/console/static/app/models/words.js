// Sentences about versions and decisions, the same on every page.
import { ago } from "../format.js";

export const modelHref = (name) => `/models/${encodeURIComponent(name)}`;
export const versionHref = (name, version) => `${modelHref(name)}/versions/${version}`;
export const compareHref = (name, a, b) => `${modelHref(name)}/compare/${Math.min(a, b)}..${Math.max(a, b)}`;

const DONE = {
  publish: (version) => `Version ${version} went live`,
  hold: (version) => `Version ${version} was held`,
  promote: (version) => `Version ${version} was promoted`,
  rollback: (version) => `Rolled back to ${version}`,
  pin: (version) => `Pinned to ${version}`,
  unpin: () => "Unpinned",
  shadow: (version) => `Shadow ${version}`,
  keep: (version) => `Version ${version} is left held`,
};
const SHAPE = { publish: "live", hold: "held", promote: "live", rollback: "rolled back", pin: "pinned", unpin: "ready", shadow: "ready", keep: "held" };

export const decisionWords = ({ action, version }) => (DONE[action] ?? ((of) => `${action} ${of}`))(version);
export const decisionState = ({ action }) => SHAPE[action] ?? "done";
export const byHand = ({ actor, action }) => actor !== "train" && action !== "publish";

// What stands beside a live version: since when, and by whom or what.
export function liveWords(model, at) {
  const since = model.live_since ? `for ${ago(model.live_since, at).replace(" ago", "")}` : "";
  const why = { publish: "passed the gate", promote: `promoted by ${model.decided_by}`, rollback: `rolled back to by ${model.decided_by}` }[model.decision] ?? model.reason;
  return [since, why].filter(Boolean).join(", ");
}

// The lowest value that the gate lets pass, beside a live version that has this one; null where it does not say.
// As the gate itself decides (services/train/gate.py): all bounds that are set must hold.
export function gateBound(gate, live) {
  if (!gate) return null;
  const bounds = [];
  if (gate.threshold !== null && gate.threshold !== undefined) bounds.push(gate.threshold);
  const better = gate.greater_is_better === false ? -1 : 1;
  if (live !== null && live !== undefined) {
    if (gate.min_absolute_change !== null && gate.min_absolute_change !== undefined) bounds.push(live + better * gate.min_absolute_change);
    if (gate.min_relative_change !== null && gate.min_relative_change !== undefined) bounds.push(live + better * gate.min_relative_change * Math.abs(live));
  }
  if (!bounds.length) return null;
  return better > 0 ? Math.max(...bounds) : Math.min(...bounds);
}

// Metrics that all of these versions have, the one of the gate first, then those a person would look at.
const FIRST = ["accuracy", "r2", "f1_macro", "neg_log_loss", "neg_root_mean_squared_error", "neg_mean_absolute_error", "balanced_accuracy", "roc_auc_ovr"];
export function metricsOf(versions, metric) {
  const known = new Set(versions.flatMap((version) => Object.keys(version.metrics)));
  const order = [metric, ...FIRST, ...[...known].sort()].filter((name) => known.has(name));
  return [...new Set(order)];
}
