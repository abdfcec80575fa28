// The model card: Markdown as train writes it, drawn as elements. No text becomes HTML.
import { html } from "../html.js";
import { Scroll } from "./scroll.js";

const INLINE = /(`[^`]+`|\*\*[^*]+\*\*|\*[^*]+\*|!?\[[^\]]*\]\([^)\s]+\))/;

function inline(text, source) {
  return text.split(INLINE).map((part, index) => {
    if (!part) return null;
    if (index % 2 === 0) return part;
    if (part.startsWith("`")) return html`<code>${part.slice(1, -1)}</code>`;
    if (part.startsWith("**")) return html`<strong>${part.slice(2, -2)}</strong>`;
    if (part.startsWith("*")) return html`<em>${part.slice(1, -1)}</em>`;
    const [, picture, text_, target] = /^(!?)\[([^\]]*)\]\(([^)\s]+)\)$/.exec(part);
    if (picture) return html`<img src=${source(target)} alt=${text_} loading="lazy" />`;
    return /^https?:/.test(target) ? html`<a href=${target} target="_blank" rel="noreferrer">${text_}</a>` : text_;
  });
}

const cells = (line) => line.trim().replace(/^\||\|$/g, "").split("|").map((cell) => cell.trim());

// The blocks of a text: [kind, content].
export function blocks(text) {
  const lines = text.replaceAll("\r", "").split("\n");
  const found = [];
  let at = 0;
  const while_ = (fits) => {
    const first = at;
    while (at < lines.length && fits(lines[at])) at += 1;
    return lines.slice(first, at);
  };
  while (at < lines.length) {
    const line = lines[at];
    const heading = /^(#{1,4}) (.*)/.exec(line);
    if (!line.trim()) at += 1;
    else if (heading) {
      found.push(["heading", heading[2], heading[1].length]);
      at += 1;
    } else if (line.startsWith("```")) {
      at += 1;
      found.push(["code", while_((one) => !one.startsWith("```")).join("\n")]);
      at += 1;
    } else if (line.startsWith("|")) found.push(["table", while_((one) => one.startsWith("|")).map(cells)]);
    else if (/^[-*] /.test(line)) found.push(["list", while_((one) => /^([-*] |\s{2,}\S)/.test(one)).map((one) => one.replace(/^\s*[-*]? ?/, ""))]);
    else found.push(["text", while_((one) => one.trim() && !/^(#|```|\||[-*] )/.test(one)).join(" ")]);
    at += found.at(-1)?.[0] === "text" && !found.at(-1)[1] ? 1 : 0;
  }
  return found;
}

function Table({ rows, source }) {
  const [head, , ...body] = rows;
  const named = head.some(Boolean);
  return html`<${Scroll} label="Table"><table>${named && html`<thead><tr>${head.map((cell, at) => html`<th key=${at}>${inline(cell, source)}</th>`)}</tr></thead>`}<tbody>${body.map((row, at) => html`<tr key=${at}>${row.map((cell, of) => html`<td key=${of}>${inline(cell, source)}</td>`)}</tr>`)}</tbody></table></${Scroll}>`;
}

// `from`, `until`: the headings between which the card is shown; `source`: the address of a picture.
export function Markdown({ text, source = (name) => name, skip = [] }) {
  let hidden = false;
  const shown = blocks(text).filter(([kind, content, depth]) => {
    if (kind === "heading" && depth <= 2) hidden = skip.includes(content);
    return !hidden && !(kind === "heading" && depth === 1);
  });
  return html`<div class="prose">${shown.map(([kind, content], at) => {
    if (kind === "heading") return html`<h3 key=${at}>${inline(content, source)}</h3>`;
    if (kind === "code") return html`<pre key=${at} tabindex="0">${content}</pre>`;
    if (kind === "table") return html`<${Table} key=${at} rows=${content} source=${source} />`;
    if (kind === "list") return html`<ul key=${at}>${content.map((item, of) => html`<li key=${of}>${inline(item, source)}</li>`)}</ul>`;
    return html`<p key=${at}>${inline(content, source)}</p>`;
  })}</div>`;
}
