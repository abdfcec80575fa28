// What may be wider than its place: it scrolls, and then the keyboard reaches it too.
import { html, useLayoutEffect, useRef, useState } from "../html.js";

export function Scroll({ label, class: more = "", children }) {
  const box = useRef(null);
  const [scrolls, setScrolls] = useState(false);
  useLayoutEffect(() => {
    const { current } = box;
    const look = () => setScrolls(current.scrollWidth > current.clientWidth + 1 || current.scrollHeight > current.clientHeight + 1);
    const seen = new ResizeObserver(look);
    seen.observe(current);
    if (current.firstElementChild) seen.observe(current.firstElementChild);
    return () => seen.disconnect();
  }, []);
  return html`<div ref=${box} class="scroll ${more}" tabindex=${scrolls ? "0" : null} role=${scrolls ? "region" : null} aria-label=${scrolls ? `${label}, as a table` : null}>${children}</div>`;
}
