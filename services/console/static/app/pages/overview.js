// The overview: is it working, and does anything wait for a person?
import { useFetch } from "../api.js";
import { html } from "../html.js";
import { now } from "../live.js";
import { Panel, Skeleton, Trouble } from "../parts.js";
import { FoldRow, rowsOf, RunRow, scaleOf } from "../runlist.js";

export default function Overview({ query }) {
  const dataset = query.get("dataset") ?? "";
  const { data, error, slow } = useFetch(`/api/overview${dataset ? `?dataset=${encodeURIComponent(dataset)}` : ""}`, ({ name }) => name === "event" || name === "settled");
  if (slow) return html`<${Skeleton} rows=${10} />`;
  if (!data) return error && html`<${Trouble} error=${error} />`;
  const scale = scaleOf(data.runs.runs, now.value);
  return html`<${Panel} title="Last runs" right=${html`<a class="link" href="/runs">All runs</a>`}><table class="runs listed"><tbody>${rowsOf(data.runs).map(({ run, fold }) => run ? html`<${RunRow} key=${run.id} run=${run} scale=${scale} brief again=${false} />` : html`<${FoldRow} key=${fold.first_at} fold=${fold} columns=${5} />`)}</tbody></table></${Panel}>`;
}
