// A part of a page is asked for again and put in the old one's place. The part is the element with the same id (or the
// same `data-live`) in the answer, which may be a fragment or a whole page. A click is a click: it is sent with
// `x-fragment: swap` and keeps the session alive; the live refresh sends `1` and does not.
import { announce } from "./toast.js";
import { t } from "./words.js";

/** The session has ended. */
export class Gone extends Error {}

/** Work that is quicker than this shows no progress: a flicker tells nothing. */
const PROGRESS_AFTER = 150;
/** A server that says nothing for so long will not. */
const PATIENCE = 30_000;

/** The request that runs for a part; a newer one ends it. */
const running = new WeakMap();

/** Fetches `url` and returns the answer's document. */
export async function fetchPart(url, { kind = "1", signal } = {}) {
  const answer = await fetch(url, {
    headers: { "x-fragment": kind },
    credentials: "same-origin",
    redirect: "error",
    signal: signal ? AbortSignal.any([signal, AbortSignal.timeout(PATIENCE)]) : AbortSignal.timeout(PATIENCE),
  });
  if (answer.status === 401) throw new Gone("401");
  if (!answer.ok) throw new Error(String(answer.status));
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

/**
 * Puts the part anew from `url`. `quiet` is the live refresh: nothing is announced, and nothing is touched that somebody
 * has opened or marked. Returns whether anything changed.
 */
export async function load(part, url, { quiet = false } = {}) {
  running.get(part)?.abort();
  const abort = new AbortController();
  running.set(part, abort);
  let end = "done";
  if (!quiet) part.dispatchEvent(new CustomEvent("wartburg:loading", { bubbles: true }));
  const progress = quiet ? 0 : setTimeout(() => part.setAttribute("aria-busy", "true"), PROGRESS_AFTER);
  try {
    const page = await fetchPart(url, { kind: quiet ? "1" : "swap", signal: abort.signal });
    const next = counterpart(part, page);
    if (!next) throw new Error(`no such part in ${url}`);
    if (quiet && inUse(part)) return false;
    const changed = swap(part, next);
    if (!quiet) {
      if (page.title) document.title = page.title;
      announce(part.dataset.said ?? part.querySelector("[role=status]")?.textContent.trim() ?? t("Aktualisiert"));
    }
    return changed;
  } catch (error) {
    end = "ended";
    throw error;
  } finally {
    clearTimeout(progress);
    if (running.get(part) === abort) {
      running.delete(part);
      part.removeAttribute("aria-busy");
      if (!quiet) part.dispatchEvent(new CustomEvent("wartburg:loaded", { bubbles: true, detail: end }));
    }
  }
}

/** Ends what runs for a part; the server ends with the connection. */
export const cancel = (part) => running.get(part)?.abort();

function counterpart(part, page) {
  if (part.id) return page.getElementById(part.id);
  return page.querySelector(`[data-live="${CSS.escape(part.dataset.live ?? "")}"]`);
}

/** Somebody has opened, marked or is typing something in it. */
export function inUse(part) {
  if (part.querySelector("details[open], dialog[open], [data-busy], .brush-go:not([hidden])")) return true;
  const active = part.contains(document.activeElement) && document.activeElement;
  if (active && active.matches("input, textarea, select")) return true;
  const selection = document.getSelection();
  return Boolean(selection && !selection.isCollapsed && part.contains(selection.focusNode));
}

const last = new WeakMap();

/** Replaces the content of `part` by that of `next`; focus, caret and scrolling stay where they were. */
export function swap(part, next) {
  const html = next.innerHTML;
  if (html === (last.get(part) ?? null)) return false;
  last.set(part, html);
  const focus = remembered(part);
  const scrolls = [...part.querySelectorAll("[id], .wide")].filter((one) => one.scrollTop || one.scrollLeft);
  const places = scrolls.map((one) => [pathOf(one, part), one.scrollTop, one.scrollLeft]);
  const known = new Set([...part.querySelectorAll("[data-rows] > tr[data-key]")].map((row) => row.dataset.key));
  const rowsBefore = part.querySelector("[data-rows]") !== null;
  part.replaceChildren(...document.importNode(next, true).childNodes);
  for (const row of rowsBefore ? part.querySelectorAll("[data-rows] > tr[data-key]") : []) {
    row.classList.toggle("fresh-row", !known.has(row.dataset.key));
  }
  for (const [path, top, left] of places) part.querySelector(path)?.scrollTo(left, top);
  focus?.();
  part.dispatchEvent(new CustomEvent("wartburg:swapped", { bubbles: true }));
  return true;
}

/** What has the focus, by what it is called rather than by where it stood: rows move. */
function remembered(part) {
  const active = document.activeElement;
  if (!active || !part.contains(active)) return null;
  const attribute = ["id", "name", "href", "data-key", "aria-label"].find((name) => active.getAttribute(name));
  const value = attribute && active.getAttribute(attribute);
  const row = active.closest("[data-key]")?.dataset.key;
  const text = active.textContent;
  const [from, to] = "selectionStart" in active ? [active.selectionStart, active.selectionEnd] : [null, null];
  return () => {
    const same = [...part.querySelectorAll(active.localName)].filter((one) => !attribute || one.getAttribute(attribute) === value);
    const next =
      same.find((one) => row && one.closest("[data-key]")?.dataset.key === row) ?? same.find((one) => one.textContent === text) ?? same[0];
    // Where it is gone, the part itself keeps the place: the focus must not fall back to the page's beginning.
    if (!next) part.tabIndex = -1;
    (next ?? part).focus({ preventScroll: true });
    if (next && from !== null) next.setSelectionRange?.(from, to);
  };
}

function pathOf(one, part) {
  if (one.id) return `#${CSS.escape(one.id)}`;
  return `.wide:nth-of-type(${[...part.querySelectorAll(".wide")].indexOf(one) + 1})`;
}

// Links and forms with data-swap="id of the part".
const known = new WeakSet();

export function start(elements) {
  for (const one of elements.filter((one) => !known.has(one))) {
    known.add(one);
    one.addEventListener(one.localName === "form" ? "submit" : "click", follow);
  }
}

async function follow(event) {
  const control = event.currentTarget;
  const part = document.getElementById(control.dataset.swap);
  const elsewhere = event.ctrlKey || event.metaKey || event.shiftKey || event.button > 0;
  if (!part || elsewhere || control.method === "post") return;
  event.preventDefault();
  const url = control.localName === "form" ? asked(control, event.submitter) : control.href;
  try {
    await load(part, url);
    history.pushState({ swap: part.id }, "", url);
  } catch (error) {
    // An older request was ended by a newer one; anything else is shown by going there.
    if (error.name !== "AbortError") location.assign(url);
  }
}

function asked(form, submitter) {
  const url = new URL(form.action);
  url.search = new URLSearchParams([...new FormData(form, submitter)].filter(([, value]) => value !== "")).toString();
  return url.href;
}

let here = location.href;
addEventListener("popstate", (event) => {
  const moved = location.href.split("#")[0] !== here.split("#")[0];
  here = location.href;
  const part = document.getElementById(event.state?.swap ?? document.querySelector("[data-swap]")?.dataset.swap ?? "");
  if (!moved) return;
  if (part) load(part, location.href).catch(() => location.reload());
  else location.reload();
});
