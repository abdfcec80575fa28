// Ctrl K: to a page, data set, model, run or event. Ids are searched by their end or their whole.
import { get } from "./api.js";
import { short, when } from "./format.js";
import { html, signal, useEffect, useLayoutEffect, useRef, useState } from "./html.js";
import { go } from "./router.js";
import { SECTIONS } from "./sections.js";

const open = signal(false);
export const openGoto = () => (open.value = true);

export const Goto = () => open.value && html`<${GotoDialog} />`;

const PAGES = SECTIONS.map(({ href, name }) => ({ kind: "page", name, href }));

async function places() {
  const [models, datasets] = await Promise.allSettled([get("/api/models"), get("/api/datasets")]);
  return [
    ...PAGES,
    ...(models.value ?? []).map((model) => ({ kind: "model", name: model.name, href: `/models/${model.name}` })),
    ...(datasets.value ?? []).map(({ name }) => ({ kind: "data", name, href: `/data/${name}` })),
  ];
}

async function matches(text) {
  const q = encodeURIComponent(text);
  const [runs, events] = await Promise.allSettled([get(`/api/runs?q=${q}&limit=6`), get(`/api/events?q=${q}&limit=6`)]);
  return [
    ...(runs.value?.runs ?? []).map((run) => ({ kind: "run", name: `${run.dataset} ${short(run.id)}`, more: `${run.outcome ?? run.state}, ${when(run.started_at)}`, href: `/runs/${run.id}` })),
    ...(events.value?.events ?? []).map((event) => ({ kind: "event", name: `${event.type} ${short(event.id)}`, more: `${event.subject}, ${when(event.time)}`, href: `/events/${event.id}` })),
  ];
}

function GotoDialog() {
  const dialog = useRef(null);
  const [text, setText] = useState("");
  const [known, setKnown] = useState(PAGES);
  const [found, setFound] = useState([]);
  const [chosen, setChosen] = useState(0);
  useLayoutEffect(() => {
    const before = document.activeElement;
    const shown = dialog.current;
    shown.showModal();
    places().then(setKnown);
    // Closed before focus goes back: while it is shown, all else is inert.
    return () => {
      shown.close();
      before?.focus?.();
    };
  }, []);
  useEffect(() => {
    setFound([]);
    if (text.trim().length < 2) return undefined;
    let wanted = true;
    const timer = setTimeout(() => matches(text.trim()).then((list) => wanted && setFound(list)), 150);
    return () => {
      wanted = false;
      clearTimeout(timer);
    };
  }, [text]);
  const close = () => (open.value = false);
  const words = text.trim().toLowerCase();
  const all = [...known.filter(({ name }) => name.toLowerCase().includes(words)), ...found].slice(0, 14);
  const take = (place) => {
    close();
    if (place) go(place.href);
  };
  const press = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) setChosen(Math.max(0, Math.min(all.length - 1, chosen + step)));
    else if (event.key === "Enter") take(all[chosen]);
    else return;
    event.preventDefault();
  };
  return html`<dialog ref=${dialog} aria-label="Go to anything" onClose=${close} onClick=${(event) => event.target === dialog.current && close()}>
    <div class="goto">
      <input type="text" autofocus role="combobox" aria-expanded="true" aria-controls="places" aria-activedescendant=${all.length ? `place-${chosen}` : null} aria-label="Page, model, run or event" placeholder="Page, model, run or event" value=${text} onKeyDown=${press} onInput=${(event) => { setText(event.target.value); setChosen(0); }} />
      <ul id="places" role="listbox" aria-label="Places">${all.map((place, index) => html`<li key=${place.href} id="place-${index}" role="option" aria-selected=${String(index === chosen)} class=${index === chosen ? "is-on" : ""} onClick=${() => take(place)} onMouseEnter=${() => setChosen(index)}>
        <span class="soft kind">${place.kind} </span><span class="strong cut">${place.name} </span><span class="faint cut">${place.more}</span></li>`)}
        ${!all.length && html`<li role="option" aria-selected="false" class="soft">Nothing has this in its name.</li>`}</ul>
    </div>
  </dialog>`;
}
