// The same from a terminal or a program: curl, Python, the V2 protocol.
import { html } from "../html.js";
import { Copy, Panel, Segment } from "../parts.js";
import { setQuery } from "../router.js";

const FORMS = [["curl", "curl"], ["python", "Python"], ["v2", "V2"]];
const shell = (text) => text.replaceAll("'", "'\\''");

function pretty(record, indent) {
  const parts = Object.entries(record).map(([name, value]) => `${JSON.stringify(name)}: ${JSON.stringify(value)}`);
  const lines = [];
  for (let at = 0; at < parts.length; at += 2) lines.push(parts.slice(at, at + 2).join(", "));
  return `{${lines.join(`,\n${" ".repeat(indent)}`)}}`;
}

export function snippets(url, record, model) {
  const host = url.replace(/^http:\/\//, "");
  const inputs = Object.entries(record).map(([name, value]) => `  {"name": ${JSON.stringify(name)}, "datatype": "${typeof value === "number" ? "FP64" : "BYTES"}", "shape": [1], "data": [${JSON.stringify(value)}]}`);
  return {
    curl: `curl -s ${host}/predict/compare -H 'content-type: application/json' -d '\n${shell(`{"records": [${pretty(record, 14)}]}`)}'`,
    python: `import json, urllib.request\n\nrecord = ${pretty(record, 10).replaceAll(": null", ": None").replaceAll(": true", ": True").replaceAll(": false", ": False")}\nrequest = urllib.request.Request(\n    "${url}/predict?model=${model}",\n    json.dumps({"records": [record]}).encode(),\n    {"content-type": "application/json"},\n)\nprint(json.load(urllib.request.urlopen(request))["predictions"])`,
    v2: `curl -s ${host}/v2/models/${model}/infer -H 'content-type: application/json' -d '\n${shell(`{"inputs": [\n${inputs.join(",\n")}]}`)}'`,
  };
}

export function Snippet({ url, record, model, query }) {
  const chosen = FORMS.some(([key]) => key === query.get("as")) ? query.get("as") : "curl";
  const text = snippets(url, record, model)[chosen];
  return html`<${Panel} title=${chosen === "python" ? "The same from a program" : "The same from a terminal"} right=${html`<${Segment} label="Form" options=${FORMS} value=${chosen} onChange=${(value) => setQuery({ as: value === "curl" ? "" : value })} /><${Copy} text=${text} label="Copy" />`}>
    <div class="in"><pre class="snippet" tabindex="0" aria-label=${`The request as ${chosen}`}>${text}</pre></div></${Panel}>`;
}
