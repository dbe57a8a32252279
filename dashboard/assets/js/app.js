// What every page loads. Each page works without any of this; the modules make it quicker to use. Which of them a page
// needs is said by attributes in its markup, and only those are fetched.
import "./times.js";
import "./keys.js";
import "./forms.js";

/** Selector in the page, and the module whose `start(elements)` takes care of what it finds. */
const PARTS = [
  ["[data-live]", () => import("./live.js")],
  ["a[data-swap], form[data-swap]", () => import("./fragment.js")],
  ["form[data-choose]", () => import("./triage.js")],
  ["form[data-search]", () => import("./search.js")],
  ["[data-tail]", () => import("./tail.js")],
  ["table[data-grid]", () => import("./grid.js")],
  ["details.value-menu", () => import("./menu.js")],
  ["[data-tabs]", () => import("./tabs.js")],
  ["[data-dialog], [data-confirm]", () => import("./dialog.js")],
];

/** Looks through `root`; called again for what a fragment brought. A module must not mind being given an element twice. */
async function start(root) {
  for (const button of root.querySelectorAll("[data-copy-link]")) button.hidden = !navigator.clipboard;
  const parts = PARTS.map(([selector, load]) => {
    const found = [...root.querySelectorAll(selector)];
    if (root.matches?.(selector)) found.push(root);
    return found.length > 0 && [load(), found];
  }).filter(Boolean);
  if (root.querySelector("[data-brush]")) parts.push([import("./brush.js"), root]);
  // Fetched together, started in the order above.
  for (const [module, found] of parts) (await module).start(found);
}

document.addEventListener("wartburg:swapped", (event) => start(event.target));
// Who drives the page by a program sees by the attribute that the keys do what they should.
start(document).finally(() => (document.documentElement.dataset.started = ""));
if (document.querySelector("[data-passkey]")) import("./passkey.js");

// A button that copies an address, with the house's name in front.
document.addEventListener("click", async ({ target }) => {
  const link = target.closest?.("[data-copy-link]")?.dataset.copyLink;
  if (link === undefined) return;
  const [{ toast }, { t }] = await Promise.all([import("./toast.js"), import("./words.js")]);
  const copied = await navigator.clipboard.writeText(new URL(link, location.href).href).then(() => true, () => false);
  toast(copied ? t("Kopiert") : t("Das Kopieren hat der Browser nicht erlaubt."), { tone: copied ? "good" : "warn" });
});

// Small things of the frame: a bar of a chart leads where its row in the table below leads, and the menu of the account
// closes when somebody turns elsewhere.
document.addEventListener("click", (event) => {
  const bar = event.target.closest?.("[data-href]");
  if (bar) location.assign(bar.dataset.href);
  for (const menu of document.querySelectorAll("details.user[open]")) if (!menu.contains(event.target)) menu.open = false;
});
