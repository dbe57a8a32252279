// Lists whose rows are chosen for a form below them, and the queue by keyboard: one key for each act on the row that has
// the focus, which goes on to the next row at once. The keys stand in the page's list of keys and are promised nowhere else.
import { bind, choose } from "./keys.js";
import { announce, toast } from "./toast.js";
import { count, t } from "./words.js";

/** A server that says nothing for so long will not. */
const PATIENCE = 30_000;

const known = new WeakSet();

/** `elements`: forms that rows are chosen for. */
export function start(elements) {
  for (const form of elements.filter((form) => !known.has(form))) {
    known.add(form);
    chooser(form);
    asked(form);
    keys(form);
  }
}

const focused = () => document.activeElement?.closest("[data-rows] > tr");

/** All of the page at once, and how many are chosen, with the way to what can be done to them. */
function chooser(form) {
  const bar = document.querySelector(`[data-choosing="${CSS.escape(form.id)}"]`);
  const [all, said] = [bar.querySelector("input"), bar.querySelector("a")];
  const boxes = () => [...form.elements].filter((field) => field.name === form.dataset.choose && field.type === "checkbox");
  const told = () => {
    const chosen = boxes().filter((box) => box.checked).length;
    all.checked = chosen > 0 && chosen === boxes().length;
    all.indeterminate = chosen > 0 && !all.checked;
    said.hidden = chosen === 0;
    said.textContent = t("{n} gewählt", { n: count(chosen) });
    for (const box of boxes()) box.closest("tr").classList.toggle("picked", box.checked);
  };
  all.addEventListener("change", () => {
    for (const box of boxes()) box.checked = all.checked;
    told();
  });
  document.addEventListener("change", (event) => event.target.form === form && told());
  // A browser that goes back brings its choice with it.
  addEventListener("pageshow", told);
  bar.hidden = false;
  told();
}

/** Only those fields are seen that the chosen act asks for. */
function asked(form) {
  const fields = [...form.querySelectorAll("[data-for]")];
  const show = () => {
    for (const field of fields) field.closest(".field").hidden = field.dataset.for !== form.elements.tat.value;
  };
  form.elements.tat.addEventListener("change", show);
  addEventListener("pageshow", show);
  show();
}

function keys(form) {
  const list = document.getElementById("tasten-liste");
  list.hidden = false;
  for (const one of list.querySelectorAll("[data-row-act]")) {
    const { rowAct, verdict } = one.dataset;
    const run = { choose: pick, unfold }[rowAct] ?? ((row) => act(form, row, rowAct, verdict));
    const [key, text] = [...one.children].map((part) => part.textContent);
    bind({ keys: [key], text, group: "Diese Seite", when: () => Boolean(focused()), run: () => run(focused()) });
  }
}

function pick(row) {
  row.querySelector(".pick input")?.click();
}

/** Opens what the row says of itself, or closes it again. */
function unfold(row) {
  const parts = [...row.querySelectorAll("details.more")];
  const open = parts.some((part) => !part.open);
  for (const part of parts) part.open = open;
}

/** One after the other, in the order of the keys: so stands it in the history. */
let turn = Promise.resolve();

function act(form, row, path, verdict = "") {
  if (row.ariaBusy) return;
  row.ariaBusy = "true";
  choose(1);
  turn = turn.then(() => send(form, row, path, verdict));
}

async function send(form, row, path, verdict) {
  try {
    const answer = await fetch(`/alarm/${row.id}/${path}`, {
      method: "POST",
      headers: { "x-fragment": "swap" },
      body: new URLSearchParams({ csrf: form.elements.csrf.value, urteil: verdict }),
      redirect: "error",
      signal: AbortSignal.timeout(PATIENCE),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Refused(text);
    const next = new DOMParser().parseFromString(text, "text/html").getElementById(row.id);
    const inside = row.contains(document.activeElement);
    row.replaceWith(next);
    next.classList.toggle("chosen", inside);
    if (inside) next.querySelector("th a").focus({ preventScroll: true });
    next.dispatchEvent(new CustomEvent("wartburg:swapped", { bubbles: true }));
    next.querySelector(".pick input").dispatchEvent(new Event("change", { bubbles: true }));
    announce(next.dataset.said);
  } catch (error) {
    row.ariaBusy = null;
    const why = error instanceof Refused ? error.message : t("Die Verbindung ist unterbrochen.");
    const back = () => row.querySelector("th a").focus();
    toast(`${row.dataset.said}. ${why}`, { tone: "bad", action: [t("Zur Zeile"), back] });
  }
}

class Refused extends Error {}
