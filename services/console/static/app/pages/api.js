// The REST interface, drawn from its OpenAPI document.
import { useFetch } from "../api.js";
import { html } from "../html.js";
import { Panel, Scroll, Skeleton, Tag, Trouble } from "../parts.js";

export default function Api() {
  const { data, error, slow } = useFetch("/api/openapi.json");
  if (slow) return html`<${Skeleton} rows=${12} />`;
  if (!data) return error && html`<${Trouble} error=${error} />`;
  const calls = Object.entries(data.paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, call]) => ({ path, method: method.toUpperCase(), ...call })));
  const tags = [...new Set(calls.flatMap((call) => call.tags))];
  return html`<${Panel} title=${data.info.title} right=${html`<a class="link" href="/api/openapi.json" target="_blank">openapi.json</a>`}><p class="in soft">${data.info.description}</p></${Panel}>
    ${tags.map((tag) => html`<${Panel} key=${tag} title=${tag}><${Scroll} label=${`Calls of ${tag}`}><table class="listed"><caption class="sr">${tag}</caption><thead><tr><th scope="col">Method</th><th scope="col">Path</th><th scope="col">What it does</th><th scope="col">Query</th></tr></thead>
      <tbody>${calls.filter((call) => call.tags.includes(tag)).map((call) => html`<tr key=${call.method + call.path}><td><${Tag}>${call.method}</${Tag}></td><td class="mono">${call.path}</td><td>${call.summary}</td><td class="mono soft">${call.parameters.filter((one) => one.in === "query").map(({ name }) => name).join(" ")}</td></tr>`)}</tbody></table></${Scroll}></${Panel}>`)}`;
}
