// A dialog that says what will happen before it does; its buttons are outcomes. Also asks for the token where one is needed.
import { keepToken, post } from "./api.js";
import { html, signal, useLayoutEffect, useRef, useState } from "./html.js";
import { Copy, say } from "./parts.js";

const asked = signal(null);

// options: title, text, steps (list), cli, keep and make (words of the buttons), danger, reason (true: required, "": may
// be left out), fields ([{name, label}] check boxes), run ({reason, ...fields}) => Promise.
export const confirm = (options) => (asked.value = options);

// Does something that may need the token; says what came of it. Returns whether it was done.
export async function attempt(doing, done) {
  try {
    const answer = await doing();
    if (done) say(typeof done === "function" ? done(answer) : done);
    return true;
  } catch (error) {
    if (error.status === 401) askToken(() => attempt(doing, done));
    else say(error.message);
    return false;
  }
}

export function askToken(then) {
  confirm({
    title: "This console asks for its token",
    text: "It is the value of CONSOLE_TOKEN. This tab keeps it until it is closed.",
    token: true,
    keep: "Leave it",
    make: "Use this token",
    run: async ({ token }) => {
      keepToken(token);
      try {
        await post("/api/token");
      } catch (error) {
        keepToken("");
        throw error;
      }
      asked.value = null;
      then?.();
    },
  });
}

export function Confirm() {
  const options = asked.value;
  return options && html`<${Dialog} key=${options.title} options=${options} />`;
}

function Dialog({ options }) {
  const dialog = useRef(null);
  const first = useRef(null);
  const [values, setValues] = useState({ reason: "", token: "" });
  const [error, setError] = useState(null);
  const [busy, setBusy] = useState(false);
  useLayoutEffect(() => {
    const before = document.activeElement;
    const shown = dialog.current;
    shown.showModal();
    first.current?.focus();
    // Closed before focus goes back: while it is shown, all else is inert.
    return () => {
      shown.close();
      before?.focus?.();
    };
  }, []);
  const close = () => {
    if (asked.value === options) asked.value = null;
  };
  const set = (name) => (event) => setValues({ ...values, [name]: event.target.type === "checkbox" ? event.target.checked : event.target.value });
  const submit = async (event) => {
    event.preventDefault();
    if (options.reason && !values.reason.trim()) return setError({ message: "Say why: the history keeps it." });
    setBusy(true);
    setError(null);
    try {
      await options.run(values);
      if (asked.value === options) close();
    } catch (problem) {
      setBusy(false);
      if (problem.status === 401 && !options.token) return askToken(() => confirm(options));
      setError(problem);
    }
    return undefined;
  };
  return html`<dialog ref=${dialog} aria-labelledby="asks" onClose=${close} onClick=${(event) => event.target === dialog.current && close()}>
    <form class="dialog" method="dialog" onSubmit=${submit}>
      <h2 id="asks">${options.title}</h2>
      ${options.text && html`<p class="soft">${options.text}</p>`}
      ${options.steps && html`<ol class="steps">${options.steps.map((step) => html`<li key=${step}><span>${step}</span></li>`)}</ol>`}
      ${options.children}
      ${options.reason !== undefined && html`<label>${options.reason ? "Why, for the history" : "Why, if you like"}<input type="text" ref=${first} value=${values.reason} onInput=${set("reason")} autocomplete="off" aria-invalid=${String(Boolean(error && options.reason && !values.reason.trim()))} /></label>`}
      ${options.token && html`<label>Token<input type="password" ref=${first} value=${values.token} onInput=${set("token")} autocomplete="off" /></label>`}
      ${options.fields?.map(({ name, label }) => html`<label class="check" key=${name}><input type="checkbox" checked=${values[name]} onChange=${set(name)} />${label}</label>`)}
      ${options.cli && html`<p class="row small soft"><span>The same:</span><code class="cut">${typeof options.cli === "function" ? options.cli(values) : options.cli}</code><${Copy} text=${typeof options.cli === "function" ? options.cli(values) : options.cli} label="Copy the command" /></p>`}
      ${error && html`<p class="refused" role="alert">${error.message}</p>`}
      <div class="feet"><button class="btn edge" type="button" onClick=${close}>${options.keep}</button><button class="btn main ${options.danger ? "is-danger" : ""}" type="submit" disabled=${busy}>${options.make}</button></div>
    </form>
  </dialog>`;
}
