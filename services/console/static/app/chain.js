// The chain: a line with stops. Wide as a drawing, on a phone as a list.
import { sentence, waitingWords } from "./chainstate.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "./html.js";
import { cross, moving, told, useMoving } from "./moving.js";
import { plural } from "./format.js";
import { colourOf, Shape, State } from "./state.js";

// Where the words of each stop begin, as shares of the width; the stops stand above them.
const AT = { schedule: 0, ingest: 0.155, preprocess: 0.33, train: 0.525, folder: 0.77, inference: 0.895 };
const ORDER = Object.keys(AT);
const R = 12;
const LANE = 50;
const LETTER = 7.25;
const MOST_LANES = 5;
const MOST_PEBBLES = 8;
const TRAIN_HOP = "dataset.preprocessed";

function useWidth() {
  const box = useRef(null);
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    const look = () => setWidth(box.current?.clientWidth ?? 0);
    const watcher = new ResizeObserver(look);
    watcher.observe(box.current);
    look();
    return () => watcher.disconnect();
  }, []);
  return [box, width];
}

export function Chain({ chain }) {
  const [box, width] = useWidth();
  useMoving();
  return html`<div class="chain-box"><div ref=${box}>${width > 0 && html`<${Wide} chain=${chain} width=${width} />`}</div></div>
    <div class="chain-words">${ORDER.map((key) => html`<${Words} key=${key} stop=${chain[key]} />`)}</div>
    <${Vertical} chain=${chain} />`;
}

// More than five families fold into one lane with counts.
function shownLanes(lanes) {
  if (lanes.length <= MOST_LANES) return lanes;
  const running = lanes.filter(({ state }) => state === "running").length;
  const waiting = lanes.filter(({ state }) => state === "waiting").length;
  const held = lanes.filter(({ state }) => state === "held").length;
  const busy = running + waiting > 0;
  const says = busy ? `${lanes.length - running - waiting} of ${lanes.length} fitted${running ? `, ${running} under way` : ""}` : held ? `${held} held` : "all fitted";
  return [{ family: "", name: plural(lanes.length, "family", "families"), state: running ? "running" : busy ? "waiting" : held ? "held" : "done", tone: running ? "run" : held && !busy ? "held" : "", says }];
}

function layout(chain, width) {
  const lanes = shownLanes(chain.lanes);
  const height = Math.max(104, 44 + (lanes.length - 1) * LANE + 44);
  const middle = height / 2 + 2;
  const x = Object.fromEntries(ORDER.map((key) => [key, AT[key] * width + R + 2]));
  const fork = x.train + R;
  const glyph = fork + Math.max(38, width * 0.04);
  const turn = x.folder - R - 36;
  const room = Math.floor((turn - glyph - 24) / LETTER);
  const y = (index) => middle + (index - (lanes.length - 1) / 2) * LANE;
  const bend = (from, to, one, other) => `M${from} ${one} C${(from + to) / 2} ${one} ${(from + to) / 2} ${other} ${to} ${other}`;
  const drawn = lanes.map((lane, index) => {
    const at = y(index);
    const short = lane.name.length > room ? `${lane.name.slice(0, Math.max(4, room - 1))}…` : lane.name;
    const text = glyph + 20 + short.length * LETTER;
    return { ...lane, short, y: at, into: bend(fork, glyph - 10, middle, at), out: `M${Math.min(text, turn)} ${at} L${turn} ${at} C${turn + 20} ${at} ${turn + 16} ${middle} ${x.folder - R} ${middle}` };
  });
  return { lanes: drawn, height, middle, x, glyph, width, fork };
}

function Wide({ chain, width }) {
  const draw = layout(chain, width);
  const { x, middle, height } = draw;
  const dotted = chain.redisDown || chain.nothing ? "dotted" : "";
  const rail = (from, to, more = dotted) => html`<path class="rail ${more}" d=${`M${from} ${middle} L${to} ${middle}`} />`;
  const end = width - 4;
  const hop = (key, from, to, text) => html`<text class=${told.value.has(key) ? "told" : ""} x=${(from + to) / 2} y=${middle - 20} text-anchor="middle">${fits(text, to - from - 8)}</text>`;
  const last = chain.nothing ? "dotted" : "";
  return html`<svg class="chain" width=${width} height=${height} role="img" aria-label=${sentence(chain)}>
    ${rail(x.schedule + R, x.ingest - R)}${rail(x.ingest + R, x.preprocess - R)}${rail(x.preprocess + R, x.train - R)}${rail(x.folder + R, x.inference - R, last)}${rail(x.inference + R, end - 2, last)}
    <path class="rail" d=${`M${end - 7} ${middle - 5} L${end - 1} ${middle} L${end - 7} ${middle + 5}`} />
    ${hop("schedule", x.schedule, x.ingest, "ingest.requested")}${hop("ingest", x.ingest, x.preprocess, "dataset.ingested")}${hop("preprocess", x.preprocess, x.train, TRAIN_HOP)}
    <text class=${told.value.has("train") ? "told" : ""} x=${x.train - 4} y="14">${x.folder - x.train > 262 ? "training.requested" : ".requested"}</text>
    <text class=${told.value.has("publish") ? "told" : ""} x=${x.folder + 8} y="14" text-anchor="end">${x.folder - x.train > 262 ? "model.published" : ".published"}</text>
    ${hop("serve", x.folder + R, x.inference - R, "watchdog")}<text class="says" x=${end} y=${middle - 20} text-anchor="end">/predict</text>
    ${draw.lanes.map((lane) => html`<${Lane} key=${lane.name} lane=${lane} draw=${draw} dotted=${dotted} />`)}
    <circle class="stop ${dotted && chain.nothing ? "is-dotted" : ""}" cx=${x.schedule} cy=${middle} r=${R} /><path class="hand" d=${`M${x.schedule} ${middle - 6} V${middle} L${x.schedule + 4} ${middle + 3}`} />
    ${["ingest", "preprocess", "train"].map((key) => html`<${Stop} key=${key} stop=${chain[key]} x=${x[key]} y=${middle} chain=${chain} />`)}
    <rect class="stop ${chain.nothing ? "is-dotted" : ""}" x=${x.folder - R + 1} y=${middle - R + 1} width=${2 * R - 2} height=${2 * R - 2} rx="4" />
    <circle class="stop ${chain.inference.tone === "run" ? "is-run" : ""} ${chain.nothing ? "is-dotted" : ""}" cx=${x.inference} cy=${middle} r=${R} />
    ${chain.inference.state && !chain.nothing && html`<g class=${colourOf(chain.inference.state)} transform=${`translate(${x.inference - 8} ${middle - 8})`}><${Glyph} of=${chain.inference.state} /></g>`}
    ${moving.value.map((one) => html`<${Pebble} key=${one.key} one=${one} draw=${draw} />`)}
  </svg>`;
}

// A name as far as it fits its hop; a shorter form where it does not.
const fits = (text, room) => (text.length * LETTER <= room ? text : room > 60 ? `.${text.split(".").at(-1)}`.slice(0, Math.floor(room / LETTER)) : "");

const Glyph = ({ of }) => html`<svg width="16" height="16"><${Shape} of=${of} /></svg>`;

function Stop({ stop, x, y, chain }) {
  const shown = Math.min(MOST_PEBBLES, stop.queued.length);
  const words = waitingWords(stop, chain.dataset?.name, chain.redisDown);
  return html`<circle class="stop ${stop.tone === "run" ? "is-run" : ""} ${chain.nothing && stop.tone !== "run" ? "is-dotted" : ""}" cx=${x} cy=${y} r=${R} />
    ${stop.tone === "run" && html`<circle class="runs-here" cx=${x} cy=${y} r="4" />`}
    ${Array.from({ length: shown }, (_, index) => html`<circle key=${index} class="pebble" cx=${x - R - 12 - index * 13} cy=${y} r="5" />`)}
    ${stop.queued.length > MOST_PEBBLES && html`<text class="says" x=${x - R - 18 - shown * 13} y=${y - 6} text-anchor="end">+${stop.queued.length - MOST_PEBBLES}</text>`}
    ${words && html`<text class="says" x=${x - R} y=${y + 24} text-anchor="end">${words}</text>`}
    ${stop.dead > 0 && html`<g class="bad" transform=${`translate(${x + 5} ${y - 21})`}><${Glyph} of="dead letter" /></g>`}`;
}

function Lane({ lane, draw, dotted }) {
  const run = lane.state === "running";
  return html`<path class="rail ${run ? "is-run" : ""} ${lane.dotted || dotted ? "dotted" : ""}" d=${lane.into} /><path class="rail ${lane.dotted || dotted ? "dotted" : ""}" d=${lane.out} />
    <circle class="clear" cx=${draw.glyph} cy=${lane.y} r="10" /><g class=${colourOf(lane.state)} transform=${`translate(${draw.glyph - 8} ${lane.y - 8})`}><${Glyph} of=${lane.state} /></g>
    <text class="lane" x=${draw.glyph + 14} y=${lane.y + 4}>${lane.short}</text><text class="says ${lane.tone ? `is-${lane.tone}` : ""}" x=${draw.glyph + 14} y=${lane.y + 20}>${lane.says}</text>`;
}

function pathOf({ hop, family }, { x, middle, lanes, width }) {
  const line = (from, to) => `M${from} ${middle} L${to} ${middle}`;
  const lane = lanes.find((one) => one.family === family || one.name === family) ?? lanes[0];
  if (hop === "schedule") return line(x.schedule + R, x.ingest - R);
  if (hop === "ingest") return line(x.ingest + R, x.preprocess - R);
  if (hop === "preprocess") return line(x.preprocess + R, x.train - R);
  if (hop === "train") return lane?.into;
  if (hop === "publish") return lane?.out;
  return line(x.folder + R, Math.min(width, x.inference - R));
}

function Pebble({ one, draw }) {
  const shape = useRef(null);
  const path = pathOf(one, draw);
  useEffect(() => {
    if (path) cross(shape.current, path);
  }, []);
  const green = one.hop === "publish" || one.hop === "serve";
  return path && html`<g ref=${shape} class="travels ${green ? "ok" : "run"}"><circle class="moving" r="6" fill="currentColor" /><text class="says" y="22" text-anchor="middle">${one.label}${one.count > 1 ? ` ×${one.count}` : ""}</text></g>`;
}

function Spark({ durations, running }) {
  if (!durations.length) return null;
  const most = Math.max(...durations.map(([seconds]) => seconds), 0.001);
  return html`<svg class="stage-spark" width="130" height="16" aria-hidden="true">${durations.slice(-24).map(([seconds, state], index) => html`<rect key=${index} class=${state === "dead" ? "bad" : state === "held" ? "held" : ""} x=${index * 5.2} width="3.6" y=${16 - Math.max(2, (seconds / most) * 16)} height=${Math.max(2, (seconds / most) * 16)} />`)}
    ${running && html`<rect class="run" x=${Math.min(24, durations.length) * 5.2} width="3.6" y="6" height="10" />`}</svg>`;
}

const Dead = ({ stop }) => stop.dead > 0 && html`<a class="link" href="/events?dead"><${State} of="dead letter" word=${plural(stop.dead, "dead letter")} /></a>`;

function Words({ stop }) {
  const [first, ...rest] = stop.lines;
  return html`<div><b>${stop.name}</b><span class=${stop.tone ? `${stop.tone} strong` : ""}>${first}</span>${rest.filter(Boolean).map((line) => html`<span key=${line}>${line}</span>`)}
    <${Dead} stop=${stop} />${stop.durations && html`<${Spark} durations=${stop.durations} running=${stop.running.length > 0} />`}</div>`;
}

function Vertical({ chain }) {
  const lanes = shownLanes(chain.lanes);
  return html`<ol class="chain-list">${ORDER.map((key) => {
    const stop = chain[key];
    const [first, ...rest] = stop.lines;
    return html`<li key=${key} class=${stop.tone === "run" ? "is-run" : ""}><span class="dot ${key}" aria-hidden="true"></span><div>
      <p class="row"><b>${stop.name}</b><span class="small soft push">${rest[0] ?? ""}</span></p>
      <p class="small ${stop.tone || "soft"}">${first}</p><${Dead} stop=${stop} />
      ${stop.queued?.length > 0 && html`<p class="small soft">${waitingWords(stop, chain.dataset?.name, chain.redisDown)}</p>`}
      ${key === "train" && html`<ul class="lanes">${lanes.map((lane) => html`<li key=${lane.name}><span class="row"><${State} of=${lane.state} hidden /><span class="mono">${lane.name}</span></span><span class="small ${lane.tone || "soft"}">${lane.says}</span></li>`)}</ul>`}
    </div></li>`;
  })}</ol>`;
}
