// The entry: the frame of the page, and in it the page that the address names.
import { html, render, useEffect, useState } from "./html.js";
import { startKeyboard } from "./keyboard.js";
import { startLive } from "./live.js";
import { Skeleton, Trouble } from "./parts.js";
import { route, startRouter } from "./router.js";
import { find } from "./routes.js";
import { Shell } from "./shell.js";

const loaded = new Map();

// The page of a route; what was shown stays until the next is there.
function Page({ found, query }) {
  const [page, setPage] = useState({ of: null, draw: null, error: null });
  const [late, setLate] = useState(false);
  useEffect(() => {
    let wanted = true;
    const key = String(found.load);
    const timer = setTimeout(() => wanted && setLate(true), 150);
    const take = (draw, error = null) => {
      clearTimeout(timer);
      if (!wanted) return;
      setLate(false);
      setPage({ of: key, draw, error });
    };
    if (loaded.has(key)) take(loaded.get(key));
    else {
      found.load().then(
        (module) => take(loaded.set(key, module.default).get(key)),
        (error) => take(null, { status: 0, message: `This page could not be loaded (${error.message}). Load it again.` }),
      );
    }
    return () => {
      wanted = false;
      clearTimeout(timer);
    };
  }, [String(found.load)]);
  if (page.of !== String(found.load)) return late ? html`<${Skeleton} />` : null;
  if (page.error) return html`<${Trouble} error=${page.error} />`;
  return html`<${page.draw} key=${JSON.stringify(found.params)} params=${found.params} query=${query} />`;
}

function App() {
  const { path, query } = route.value;
  const found = find(path);
  const crumbs = found?.crumbs ?? [["Nothing here"]];
  const title = crumbs.map(([name]) => name).reverse().join(", ");
  useEffect(() => {
    document.title = `${title} · Rookery`;
  }, [title]);
  return html`<${Shell} section=${found?.section} crumbs=${crumbs}>
    ${found ? html`<${Page} found=${found} query=${query} />` : html`<${Trouble} error=${{ status: 404, message: `No page has the address ${path}.` }} />`}
  </${Shell}>`;
}

startRouter();
startLive();
startKeyboard();
render(html`<${App} />`, document.getElementById("app"));
