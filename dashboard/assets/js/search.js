// The search's own: while one runs the page says so and can end it (the server ends with the connection), and the query's
// field suggests fields and steps. Without it the form works all the same, and a search ends with its time.
import { cancel } from "./fragment.js";
import { bind } from "./keys.js";
import { menuOf } from "./menu.js";
import { announce } from "./toast.js";
import { element, t } from "./words.js";

/** Quicker answers show no progress: a flicker tells nothing. */
const SHOWN_AFTER = 400;
const SUGGESTIONS_MAX = 12;
const STEPS = ["count by ", "top 10 ", "rare ", "distinct ", "stats ", "histogram 1h", "patterns", "sort -count", "head 20", "fields "];

const known = new WeakSet();

export function start(forms) {
  for (const form of forms.filter((form) => !known.has(form))) {
    known.add(form);
    const field = form.querySelector("[data-suggest]");
    if (field) suggest(field, document.getElementById(field.dataset.suggest));
  }
}

// Running searches

let wait = null;

document.addEventListener("wartburg:loading", ({ target }) => {
  const form = target.querySelector("form[data-search]");
  clearInterval(wait?.timer);
  wait?.line.remove();
  if (!form) return;
  const max = Number(form.dataset.search);
  const begun = performance.now();
  const bar = element("progress", { max, "aria-label": t("Suche läuft …") });
  const said = element("span", { class: "num soft" });
  const stop = element("button", { type: "button", class: "btn little" }, t("Abbrechen"), " ", element("kbd", { "aria-hidden": "true" }, "Esc"));
  stop.addEventListener("click", () => cancel(target));
  const line = element("div", { class: "search-wait", hidden: true }, bar, said, stop);
  form.append(line);
  const tick = () => {
    const seconds = (performance.now() - begun) / 1000;
    line.hidden = seconds * 1000 < SHOWN_AFTER;
    bar.value = Math.min(max, seconds);
    said.textContent = t("Suche läuft seit {n} s, höchstens {max} s", { n: Math.floor(seconds), max });
  };
  wait = { line, target, timer: setInterval(tick, 200) };
});

document.addEventListener("wartburg:loaded", ({ target, detail }) => {
  if (wait?.target !== target) return;
  clearInterval(wait.timer);
  wait.line.remove();
  wait = null;
  if (detail === "ended") announce(t("Abgebrochen"));
  // What stands outside of the part and speaks of the search.
  const query = target.querySelector("[data-suggest]")?.value ?? "";
  for (const find of document.querySelectorAll(".find input")) find.value = query;
  setTimeout(() => document.querySelectorAll("input[name=weiter]").forEach((here) => (here.value = location.pathname + location.search)));
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !wait || event.defaultPrevented) return;
  event.preventDefault();
  cancel(wait.target);
}, true);

// Suggestions

/** What is being typed at the caret: where it begins, and what could stand there. */
export function next(text, caret, names) {
  const before = text.slice(0, caret);
  if ((before.match(/"/g) ?? []).length % 2 === 1) return null;
  const start = before.search(/[\w.@-]*$/);
  const typed = before.slice(start).toLowerCase();
  const left = before.slice(0, start);
  const stage = left.lastIndexOf("|");
  const fits = (name) => name.toLowerCase().startsWith(typed) && name !== typed;
  // Behind a colon stands a value, and nobody knows which.
  if (/[:<>=[]$/.test(left)) return null;
  if (stage < 0) return typed.length < 2 ? null : { start, found: names.filter(([name, label]) => fits(name) || label.toLowerCase().startsWith(typed)).map(([name, label]) => [`${name}:`, label]) };
  const step = left.slice(stage + 1).trimStart();
  if (step === "") return { start, found: STEPS.filter(fits).map((name) => [name, ""]) };
  if (/^(sort|head|patterns|histogram)\b(?!.*\bby\b)/.test(step)) return null;
  return { start, found: names.filter(([name]) => fits(name)) };
}

function suggest(field, list) {
  const names = [...list.options].map((option) => [option.value, option.textContent.trim()]);
  const box = element("ul", { id: `${field.id}-vorschlag`, class: "options", role: "listbox", "aria-label": t("Vorschläge"), hidden: true });
  const place = element("div", { class: "suggest" });
  field.replaceWith(place);
  place.append(field, box);
  for (const [name, value] of Object.entries({ role: "combobox", "aria-expanded": "false", "aria-autocomplete": "list", "aria-controls": box.id })) field.setAttribute(name, value);
  let offer = null;
  let chosen = -1;

  const mark = (n) => {
    chosen = n;
    [...box.children].forEach((item, at) => item.setAttribute("aria-selected", String(at === n)));
    if (n < 0) field.removeAttribute("aria-activedescendant");
    else field.setAttribute("aria-activedescendant", box.children[n].id);
    box.children[n]?.scrollIntoView({ block: "nearest" });
  };
  const close = () => {
    box.hidden = true;
    field.setAttribute("aria-expanded", "false");
    mark(-1);
  };
  const take = (n) => {
    const [name] = offer.found[n];
    field.setRangeText(name, offer.start, field.selectionStart, "end");
    close();
    look();
  };
  const look = () => {
    offer = field.selectionStart === field.selectionEnd ? next(field.value, field.selectionStart, names) : null;
    if (!offer?.found.length) return close();
    offer.found = offer.found.slice(0, SUGGESTIONS_MAX);
    const item = ([name, label], n) => {
      const option = element("li", { id: `${box.id}-${n}`, role: "option", "aria-selected": "false" }, element("span", { class: "mono" }, name), element("span", { class: "soft" }, label));
      option.addEventListener("pointerdown", (event) => {
        event.preventDefault();
        take(n);
      });
      return option;
    };
    box.replaceChildren(...offer.found.map(item));
    box.hidden = false;
    field.setAttribute("aria-expanded", "true");
    mark(-1);
  };
  field.addEventListener("input", look);
  field.addEventListener("blur", close);
  field.addEventListener("keydown", (event) => {
    if (box.hidden || event.isComposing) return;
    const last = box.children.length - 1;
    if (event.key === "ArrowDown") mark(chosen === last ? 0 : chosen + 1);
    else if (event.key === "ArrowUp") mark(chosen <= 0 ? last : chosen - 1);
    else if ((event.key === "Enter" || event.key === "Tab") && chosen >= 0) take(chosen);
    else if (event.key === "Escape") close();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
}

// Values of the chosen cell

const way = (n) => menuOf(document.activeElement)?.querySelector(`[data-way="${n}"]`);
const here = () => document.querySelector("form[data-search]") !== null;
bind({ keys: ["f"], text: "nur den gewählten Wert", group: "Listen", here, run: () => way(1)?.click() });
bind({ keys: ["x"], text: "ohne den gewählten Wert", group: "Listen", here, run: () => way(2)?.click() });
