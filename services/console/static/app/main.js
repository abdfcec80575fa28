import { h, render } from "preact";
import { useEffect, useState } from "preact/hooks";
import htm from "htm";

const html = htm.bind(h);

function Page() {
  const [runs, setRuns] = useState([]);
  const [events, setEvents] = useState([]);
  useEffect(() => {
    const read = async () => {
      setRuns((await (await fetch("/api/runs")).json()).runs);
      setEvents((await (await fetch("/api/events")).json()).events);
    };
    read();
    const source = new EventSource("/api/stream");
    source.addEventListener("event", read);
    return () => source.close();
  }, []);
  return html`<main>
    <h1>Rookery</h1>
    <h2>Runs</h2>
    <ul>${runs.map((run) => html`<li key=${run.id}>${run.started_at} ${run.dataset} ${run.outcome ?? run.state}</li>`)}</ul>
    <h2>Events</h2>
    <ul>${events.map((event) => html`<li key=${event.id}>${event.time} ${event.type} ${event.subject} ${event.state}</li>`)}</ul>
  </main>`;
}

render(html`<${Page} />`, document.getElementById("app"));
