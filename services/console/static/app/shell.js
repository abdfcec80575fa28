// The frame: sidebar (tabs on a phone), bar, what is said in passing, and the dialogs.
import { useFetch } from "./api.js";
import { Confirm } from "./confirm.js";
import { age, clock } from "./format.js";
import { Goto, openGoto } from "./goto.js";
import { html, signal } from "./html.js";
import { Help, openHelp } from "./keyboard.js";
import { health, link, now } from "./live.js";
import { Icon, toast } from "./parts.js";
import { SECTIONS } from "./sections.js";
import { State } from "./state.js";

const Mark = () => html`<svg viewBox="0 0 20 20" width="20" height="20" fill="currentColor" aria-hidden="true"><circle cx="10" cy="3" r="2.1" fill="none" stroke="currentColor" stroke-width="1.4" /><circle cx="7.2" cy="9" r="2.5" /><circle cx="12.8" cy="9" r="2.5" /><circle cx="4" cy="15.4" r="2.7" /><circle cx="10" cy="15.4" r="2.7" /><circle cx="16" cy="15.4" r="2.7" /></svg>`;

// What waits for a person, by section: the sidebar marks it.
const SECTION_OF = { held: "models", dead: "events", rejected: "data", failed: "data" };
const STATE_OF = { dead: "dead letter" };

function useAttention() {
  const { data } = useFetch("/api/overview", ({ name, data: told }) => name === "event" && /^(model\.(held|published|loaded)|dataset\.|run\.)/.test(told.type));
  const marks = {};
  for (const item of data?.attention ?? []) marks[SECTION_OF[item.kind]] ??= { state: STATE_OF[item.kind] ?? item.kind, title: item.title };
  return marks;
}

const themes = ["", "light", "dark"];
export const theme = signal(document.documentElement.dataset.theme ?? "");

function turnTheme() {
  const dark = theme.value ? theme.value === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  theme.value = themes[dark ? 1 : 2];
  document.documentElement.dataset.theme = theme.value;
  try {
    localStorage.setItem("rookery.theme", theme.value);
  } catch {
    // Without storage it lasts until the page is left.
  }
}

function Heard() {
  const { state, heardAt } = link.value;
  const said = {
    live: () => html`<${State} of="live" word="Live" /><span class="at">${clock(now.value)} UTC</span>`,
    postgres: () => html`<${State} of="waiting" word="reading Postgres, every 2 s" />`,
    opening: () => html`<${State} of="waiting" word="Opening" />`,
    cut: () => html`<${State} of="waiting" word=${`Last heard ${age(heardAt, now.value)} ago, trying again`} />`,
  };
  return html`<div class="heard">${said[state]()}</div>`;
}

function Parts() {
  const parts = health.value ?? [];
  const figure = (part) => (part.state === "down" && part.since ? `down ${age(part.since * 1000, now.value)}` : part.figure);
  return html`<ul class="parts" aria-label="Parts of the installation">
    ${parts.map((part) => html`<li key=${part.name} class=${part.state === "down" ? "is-down" : ""} title=${part.detail || part.figure}>
      <${State} of=${part.name === "inference" && part.state === "ok" ? "live" : part.state} word=${part.state} hidden /><span class="name">${part.name}</span><span class="figure">${figure(part)}</span>
    </li>`)}
  </ul>`;
}

function Outside() {
  const { data } = useFetch("/api/info");
  return html`<div class="outside"><a class="link" href="/api">API</a>${data?.flower_url && html`<a class="link" href=${data.flower_url} target="_blank" rel="noreferrer">Flower</a>`}</div>`;
}

const Links = ({ section, marks, text }) => SECTIONS.map(({ key, href, name, icon }) => html`<a key=${key} href=${href} title=${name} aria-current=${key === section ? "page" : null}>
  <${Icon} name=${icon} /><span class=${text}>${name}</span>${marks[key] && html`<span class="state" title=${marks[key].title}><${State} of=${marks[key].state} word=${marks[key].title} hidden /></span>`}</a>`);

export function Shell({ section, crumbs, children }) {
  const marks = useAttention();
  const stale = link.value.state === "cut" && now.value - link.value.heardAt > 30_000;
  return html`<a class="btn main skip" href="#content">Skip to content</a>
    <div class="shell ${stale ? "stale" : ""}">
      <aside class="side">
        <a class="brand" href="/" aria-label="Rookery, to the overview"><${Mark} /><span>Rookery</span></a>
        <nav class="nav" aria-label="Pages"><${Links} section=${section} marks=${marks} /></nav>
        <${Parts} /><${Outside} />
      </aside>
      <div>
        <header class="top">
          <a class="brandmark" href="/" aria-label="Rookery, to the overview"><${Mark} /></a>
          <h1>${crumbs.map(([name, href], index) => html`${index > 0 && html`<span class="faint">/</span>`}${href ? html`<a href=${href}>${name}</a>` : html`<span class="cut">${name}</span>`}`)}</h1>
          <div class="right">
            <${Heard} />
            <button class="goto-button" type="button" onClick=${openGoto}><${Icon} name="search" /><span>Go to anything</span><kbd>Ctrl K</kbd></button>
            <button class="btn icon" type="button" onClick=${turnTheme} aria-label="Light or dark" title="Light or dark"><${Icon} name="sun" /></button>
            <button class="btn icon help" type="button" onClick=${openHelp} aria-label="Keys" title="Keys"><${Icon} name="circle-help" /></button>
          </div>
        </header>
        <main class="body" id="content" tabindex="-1">${children}</main>
      </div>
      <nav class="tabs" aria-label="Pages"><${Links} section=${section} marks=${marks} /></nav>
    </div>
    <div role="status" aria-live="polite">${toast.value && html`<p class="toast">${toast.value}</p>`}</div>
    <${Confirm} /><${Goto} /><${Help} />`;
}
