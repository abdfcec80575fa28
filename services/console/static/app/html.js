// One place from which every module draws: preact, its hooks and signals, bound to htm.
import { h, render } from "preact";
import htm from "htm";

export const html = htm.bind(h);
export { render };
export { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
export { computed, effect, signal, useSignal } from "@preact/signals";
