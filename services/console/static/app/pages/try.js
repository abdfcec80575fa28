// Try it: what would the models answer, do they agree, how do I call them?
import { post, useFetch } from "../api.js";
import { html, useEffect, useRef, useState } from "../html.js";
import { useKeys } from "../keyboard.js";
import { Panel, Segment, Skeleton, Trouble } from "../parts.js";
import { go, setQuery } from "../router.js";
import { Answers, From } from "../try/answers.js";
import { RecordForm } from "../try/form.js";
import { Many } from "../try/many.js";
import { chipsOf, featuresOf, recordOf, wrongWith } from "../try/records.js";
import { Snippet } from "../try/snippet.js";

const loads = ({ name, data }) => name === "event" && /^model\.(loaded|published)/.test(data.type);

export default function Try({ query }) {
  const serving = useFetch("/api/serving", loads);
  const models = useFetch("/api/models", loads);
  const datasets = useFetch("/api/datasets");
  if (serving.slow || datasets.slow) return html`<${Skeleton} rows=${10} />`;
  const error = serving.error ?? datasets.error;
  if (!serving.data || !datasets.data) return error && html`<${Trouble} error=${error} />`;
  const { now, url } = serving.data;
  const answering = serving.data.models.filter(({ version, features }) => version && features?.length);
  const names = [...new Set(answering.map(({ dataset }) => dataset))];
  if (!names.length) return html`<${Unanswered} up=${now.up} url=${url} error=${now.error} />`;
  const first = datasets.data.find((line) => line.default && names.includes(line.name))?.name ?? names[0];
  const name = names.includes(query.get("dataset")) ? query.get("dataset") : first;
  const line = datasets.data.find((one) => one.name === name);
  return html`${!now.up && html`<${Unanswered} up=${false} url=${url} error=${now.error} />`}
    <${Asking} key=${name} name=${name} names=${names} line=${line} serving=${answering.filter(({ dataset }) => dataset === name)} models=${models.data ?? []} url=${url} query=${query} />`;
}

function Unanswered({ up, url, error }) {
  return html`<${Panel} tone=${up ? "" : "bad"}><div class="empty" role="alert"><h2>${up ? "No model answers yet" : "Inference does not answer"}</h2>
    <p class="soft">${up ? "The first trained version makes one; that takes a few seconds after a data set was read." : `Nothing can be asked at ${url}${error ? ` (${error})` : ""}. It is tried again every few seconds; the rest of the console goes on.`}</p>
    ${up ? html`<a class="btn main" href="/">To the overview</a>` : html`<p class="small soft">Look first at <code>rookery logs inference</code></p>`}</div></${Panel}>`;
}

const kept = (query) => {
  try {
    const record = JSON.parse(query.get("record") ?? "");
    return record && typeof record === "object" && !Array.isArray(record) ? record : null;
  } catch {
    return null;
  }
};

function Asking({ name, names, line, serving, models, url, query }) {
  const features = featuresOf(serving);
  const asked = serving.map((one) => one.name);
  const main = serving.find((one) => one.family === line?.default_model) ?? serving[0];
  const detail = useFetch(`/api/models/${encodeURIComponent(main.name)}/versions/${main.version}`);
  const shown = line?.snapshot ?? main.snapshot; // the snapshot in use: its table is there, that of an older one may be dropped
  const snapshot = useFetch(shown ? `/api/datasets/${encodeURIComponent(name)}/snapshots/${shown}` : "");
  const columns = new Map((snapshot.data?.columns?.columns ?? []).map((column) => [column.name, column]));
  const chips = chipsOf(detail.data?.examples ?? []);
  const [values, setValues] = useState(kept(query));
  const [told, setTold] = useState({ answers: null, took: 0, of: "", error: null });
  const [wrong, setWrong] = useState({});
  const [busy, setBusy] = useState(false);
  const turn = useRef(0);

  const ask = async (of = values) => {
    const lacks = wrongWith(features, of ?? {});
    setWrong(lacks);
    if (Object.keys(lacks).length) return;
    const record = recordOf(features, of);
    const mine = (turn.current += 1);
    setQuery({ record: JSON.stringify(record) });
    setBusy(true);
    const began = performance.now();
    try {
      const answers = await post("/api/ask", { records: [record], models: asked });
      if (mine !== turn.current) return;
      const blamed = Object.fromEntries(answers.filter(({ answer }) => answer.field).map(({ answer }) => [answer.field, answer.known ? `is ${JSON.stringify(record[answer.field])}; known are ${answer.known.join(", ")}` : answer.detail.split(": ").at(-1)]));
      setWrong(blamed);
      setTold({ answers, took: Math.max(...answers.map(({ milliseconds }) => milliseconds), 0) || performance.now() - began, of: JSON.stringify(record), error: null });
    } catch (error) {
      if (mine === turn.current) setTold({ answers: null, took: 0, of: "", error });
    }
    setBusy(false);
  };
  // A record of the address, or the first example, is asked for at once: asking changes nothing.
  const start = values ?? chips[0]?.record ?? null;
  useEffect(() => {
    if (!start || told.of || told.error) return;
    setValues(start);
    ask(start);
  }, [start === null, asked.join()]);
  const turnTo = (step) => () => names.length > 1 && go(`/try?dataset=${encodeURIComponent(names[(names.indexOf(name) + step + names.length) % names.length])}`);
  useKeys({ "[": turnTo(-1), "]": turnTo(1) });

  const change = (next, whole = false) => {
    setValues(next);
    if (whole) ask(next);
  };
  const record = recordOf(features, values ?? {});
  const stale = Boolean(told.answers) && told.of !== JSON.stringify(record);
  return html`${names.length > 1 && html`<div class="filters"><${Segment} label="Data set" options=${names.map((one) => [one, one])} value=${name} onChange=${(value) => go(`/try?dataset=${encodeURIComponent(value)}`)} /></div>`}
    <div class="try">
      <div><${Panel} title="A record" note=${line?.target ? `asks for ${line.target}` : ""}>
        <${RecordForm} features=${features} columns=${columns} values=${values ?? {}} wrong=${wrong} chips=${chips} busy=${busy} many=${asked.length} onChange=${change} onAsk=${() => ask()} />
        <${Many} features=${features} models=${asked} /></${Panel}></div>
      <div>
        <${Answers} answers=${told.answers} families=${asked} took=${told.took} stale=${stale} error=${told.error} />
        <${Snippet} url=${url} record=${record} model=${main.name} query=${query} />
        <${From} models=${models} serving=${serving} />
      </div>
    </div>`;
}
