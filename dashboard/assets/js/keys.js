// The keys: one registry, from which the help is made, so that no key works in secret and none is promised in vain.
// Typing in a field is never disturbed, and keys made of one character can be switched off (WCAG 2.1.4).
import { openDialog } from "./dialog.js";
import { element, t } from "./words.js";

const OFF = "wartburg.keys";
const GROUPS = ["Überall", "Diese Seite", "Listen", "Raster"];

/**
 * @typedef {object} Key
 * @property {string[]} keys   as `KeyboardEvent.key`, with "Ctrl+" or "Alt+" before it
 * @property {string} text     what it does, in German; the catalogue translates it
 * @property {string} group    one of GROUPS
 * @property {() => void} [run]      without it the key is handled elsewhere and only stands in the help
 * @property {() => boolean} [here]  whether it does anything on this page
 * @property {() => boolean} [when]  whether it does anything just now, where it depends on the focus
 */
/** @type {Key[]} */
const registry = [];

/** Adds a key; the one added last goes first. */
export function bind(key) {
  registry.push(key);
}

const typing = (target) => target.closest?.("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]");

const singlesOff = () => {
  try {
    return localStorage.getItem(OFF) === "off";
  } catch {
    return false;
  }
};

/** The key of an event as the registry writes it. */
export function nameOf(event) {
  return (event.ctrlKey || event.metaKey ? "Ctrl+" : "") + (event.altKey ? "Alt+" : "") + event.key;
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.isComposing) return;
  if (event.key === "Escape") return escape(event);
  if (typing(event.target) || document.querySelector("dialog[open]")) return;
  const name = nameOf(event);
  if (name.length === 1 && singlesOff()) return;
  const key = registry.findLast((one) => one.run && one.keys.includes(name) && (one.here?.() ?? true) && (one.when?.() ?? true));
  const button = key ? null : document.querySelector(`[data-key-press="${CSS.escape(name)}"]`);
  if (!key && !button) return;
  event.preventDefault();
  if (key) key.run();
  else button.click();
});

function escape(event) {
  if (event.target.matches?.(".find input")) return event.target.blur();
  for (const menu of document.querySelectorAll("details.user[open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
}

// Lists: the chosen row is the one whose link has the focus; j and k go on to the next and the previous.
const rows = () => [...document.querySelectorAll("[data-rows] > tr")].filter((row) => row.querySelector("a, summary"));
let chosen = null;

/** Gives the focus to the row so many on. */
export function choose(step) {
  const all = rows();
  const at = all.findIndex((row) => row.dataset.key === chosen);
  const row = all[Math.min(all.length - 1, Math.max(0, at + step))];
  mark(row, all);
  (row.querySelector("th a, th summary") ?? row.querySelector("a, summary")).focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
}

function mark(row, all = rows()) {
  all.forEach((other, n) => {
    other.dataset.key ??= `row-${n}`;
    other.classList.toggle("chosen", other === row);
  });
  chosen = row?.dataset.key ?? null;
}

document.addEventListener("focusin", (event) => {
  const row = event.target.closest?.("[data-rows] > tr");
  if (row) mark(row);
});

// Help: made anew each time, since a swapped part may have brought keys.
function help() {
  let dialog = document.getElementById("tasten");
  if (!dialog) {
    dialog = element("dialog", { id: "tasten", "aria-labelledby": "tasten-titel" });
    document.body.append(dialog);
  }
  dialog.replaceChildren(
    element("h2", { id: "tasten-titel" }, t("Tasten")),
    ...GROUPS.flatMap(section),
    singles(),
    element("form", { method: "dialog" }, element("button", { class: "btn main", autofocus: true }, t("Schließen"))),
  );
  openDialog(dialog);
}

function section(group) {
  const known = [];
  for (const key of registry.filter((key) => key.group === group && (key.here?.() ?? true))) {
    const same = known.find(([, text]) => text === t(key.text));
    if (same) same[0].push(...key.keys);
    else known.push([[...key.keys], t(key.text)]);
  }
  if (group === "Diese Seite") {
    for (const button of document.querySelectorAll("[data-key-press]")) {
      const name = button.cloneNode(true);
      name.querySelectorAll("kbd").forEach((kbd) => kbd.remove());
      known.push([[button.dataset.keyPress], button.dataset.keyText ?? name.textContent.trim()]);
    }
  }
  if (known.length === 0) return [];
  const list = element("dl", { class: "keys" });
  for (const [keys, text] of known) {
    const names = keys.flatMap((key, n) => [n > 0 ? " " : "", element("kbd", {}, shown(key))]);
    list.append(element("dt", {}, ...names), element("dd", {}, text));
  }
  return [element("h3", {}, t(group)), list];
}

const SYMBOLS = { ArrowUp: "↑", ArrowDown: "↓", ArrowLeft: "←", ArrowRight: "→", Escape: "Esc", PageUp: "Bild ↑", PageDown: "Bild ↓", Home: "Pos1", End: "Ende", Ctrl: "Strg" };
const ENGLISH_SYMBOLS = { ...SYMBOLS, PageUp: "Page ↑", PageDown: "Page ↓", Home: "Home", End: "End", Ctrl: "Ctrl" };
const symbols = document.documentElement.lang.startsWith("en") ? ENGLISH_SYMBOLS : SYMBOLS;

const shown = (key) => key.split("+").map((part) => symbols[part] ?? part).join(" + ");

function singles() {
  const box = element("input", { type: "checkbox", ".checked": singlesOff() });
  box.addEventListener("change", () => {
    try {
      if (box.checked) localStorage.setItem(OFF, "off");
      else localStorage.removeItem(OFF);
    } catch {
      // A browser that keeps nothing: then it counts until the help is closed.
    }
  });
  return element("label", { class: "check" }, box, element("span", {}, t("Tasten aus einem einzigen Zeichen ausschalten")));
}

const search = () => document.querySelector("[data-find], .find input");
bind({ keys: ["/"], text: "in die Suche", group: "Überall", here: () => search() !== null, run: () => search().focus() });
bind({ keys: ["?"], text: "diese Hilfe", group: "Überall", run: help });
bind({ keys: ["Escape"], text: "schließen, Suche verlassen", group: "Überall" });
bind({ keys: ["j"], text: "nächste, vorige Zeile wählen", group: "Listen", here: () => rows().length > 0, run: () => choose(1) });
bind({ keys: ["k"], text: "nächste, vorige Zeile wählen", group: "Listen", here: () => rows().length > 0, run: () => choose(-1) });
bind({ keys: ["Enter"], text: "gewählte Zeile öffnen", group: "Listen", here: () => rows().length > 0 });

// Without script the button would do nothing, so the page hides it.
const opener = document.getElementById("tasten-auf");
if (opener) {
  opener.hidden = false;
  opener.addEventListener("click", help);
}
