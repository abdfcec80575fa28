// Addresses. Every filter, tab and selection is in the address, so that it can be sent and Back works.
import { signal } from "./html.js";

const read = () => ({ path: location.pathname, query: new URLSearchParams(location.search) });
export const route = signal(read());

export function go(href, { replace = false } = {}) {
  const url = new URL(href, location.href);
  if (url.pathname + url.search === location.pathname + location.search) return;
  const moved = url.pathname !== location.pathname;
  history[replace ? "replaceState" : "pushState"](null, "", url);
  route.value = read();
  if (moved) {
    scrollTo(0, 0);
    document.getElementById("content")?.focus({ preventScroll: true });
  }
}

// Changes parts of the query; an empty value takes one away.
export function setQuery(changes, { replace = true } = {}) {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value === "" || value === null || value === undefined || value === false) query.delete(name);
    else query.set(name, value === true ? "" : value);
  }
  const text = query.toString().replace(/=(?=&|$)/g, "");
  go(location.pathname + (text ? `?${text}` : ""), { replace });
}

export function startRouter() {
  addEventListener("popstate", () => (route.value = read()));
  document.addEventListener("click", (click) => {
    const link = click.target.closest?.("a[href]");
    if (!link || link.target || link.hasAttribute("download") || click.defaultPrevented) return;
    if (click.button || click.metaKey || click.ctrlKey || click.shiftKey || click.altKey) return;
    const url = new URL(link.href);
    if (url.origin !== location.origin || /^\/(api\/|static\/)/.test(url.pathname) || url.hash) return;
    click.preventDefault();
    go(url.href);
  });
}
