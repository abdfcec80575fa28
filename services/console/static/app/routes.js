// Which page an address shows. Pages come by dynamic import, so that one that cannot be loaded breaks only itself.
const at = (pattern, section, load, crumbs) => ({ pattern: new RegExp(`^${pattern}/?$`), section, load, crumbs });
const part = "([^/]+)";
const six = (id) => decodeURIComponent(id).slice(-6);

const RUNS = ["Runs", "/runs"];
const EVENTS = ["Events", "/events"];
const MODELS = ["Models", "/models"];
const DATA = ["Data", "/data"];
const model = (name) => [name, `/models/${name}`];

export const ROUTES = [
  at("", "overview", () => import("./pages/overview.js"), () => [["Overview"]]),
  at("/runs", "runs", () => import("./pages/runs.js"), () => [["Runs"]]),
  at(`/runs/(?<id>${part})`, "runs", () => import("./pages/run.js"), ({ id }) => [RUNS, [six(id)]]),
  at("/events", "events", () => import("./pages/events.js"), () => [["Events"]]),
  at(`/events/(?<id>${part})`, "events", () => import("./pages/event.js"), ({ id }) => [EVENTS, [six(id)]]),
  at("/models", "models", () => import("./pages/models.js"), () => [["Models"]]),
  at(`/models/(?<model>${part})`, "models", () => import("./pages/model.js"), (of) => [MODELS, [of.model]]),
  at(`/models/(?<model>${part})/versions/(?<version>${part})`, "models", () => import("./pages/version.js"), (of) => [MODELS, model(of.model), [of.version]]),
  at(`/models/(?<model>${part})/compare/(?<pair>${part})`, "models", () => import("./pages/compare.js"), (of) => [MODELS, model(of.model), [of.pair.replace("..", " and ")]]),
  at("/data", "data", () => import("./pages/data.js"), () => [["Data"]]),
  at(`/data/(?<dataset>${part})`, "data", () => import("./pages/data.js"), (of) => [DATA, [of.dataset]]),
  at(`/data/(?<dataset>${part})/snapshots/(?<snapshot>${part})`, "data", () => import("./pages/data.js"), (of) => [DATA, [of.dataset, `/data/${of.dataset}`], [`snapshot ${of.snapshot}`]]),
  at("/try", "try", () => import("./pages/try.js"), () => [["Try it"]]),
  at("/api", "", () => import("./pages/api.js"), () => [["API"]]),
];

export function find(path) {
  for (const found of ROUTES) {
    const match = found.pattern.exec(path);
    if (!match) continue;
    const params = Object.fromEntries(Object.entries(match.groups ?? {}).map(([name, text]) => [name, decodeURIComponent(text)]));
    return { ...found, params, crumbs: found.crumbs(params) };
  }
  return null;
}
