// One event by its address: what it carried, what caused it, what it led to.
import { useFetch } from "../api.js";
import { EventView } from "../eventview.js";
import { html } from "../html.js";
import { Skeleton, Trouble } from "../parts.js";
import { go } from "../router.js";
import { useKeys } from "../keyboard.js";

export default function Event({ params }) {
  const { data, error, slow } = useFetch(`/api/events/${params.id}`, ({ name, data: told }) => (name === "event" || name === "settled") && (told.id === params.id || told.cause === params.id));
  useKeys({ Escape: () => go("/events") });
  if (slow) return html`<${Skeleton} />`;
  if (!data) return error && html`<${Trouble} error=${error} />`;
  return html`${error && html`<${Trouble} error=${error} />`}<${EventView} level="page" event=${data.event} cause=${null} ledTo=${data.led_to} hrefOf=${({ id }) => `/events/${id}`} />`;
}
