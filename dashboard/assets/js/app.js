// What every page loads. Each page works without any of this; the modules make it quicker to use. Which of them a page
// needs is said by attributes in its markup, and only those are fetched.
import "./times.js";
import "./keys.js";
import "./forms.js";

/** Selector in the page, and the module whose `start(elements)` takes care of what it finds. */
const PARTS = [
  ["[data-live]", () => import("./live.js")],
  ["a[data-swap], form[data-swap]", () => import("./fragment.js")],
  ["table[data-grid]", () => import("./grid.js")],
  ["details.value-menu", () => import("./menu.js")],
  ["[data-tabs]", () => import("./tabs.js")],
  ["[data-dialog], [data-confirm]", () => import("./dialog.js")],
];

/** Looks through `root`; called again for what a fragment brought. A module must not mind being given an element twice. */
async function start(root) {
  for (const [selector, load] of PARTS) {
    const found = [...root.querySelectorAll(selector)];
    if (root.matches?.(selector)) found.push(root);
    if (found.length > 0) (await load()).start(found);
  }
  if (root.querySelector("[data-brush]")) (await import("./brush.js")).start(root);
}

document.addEventListener("wartburg:swapped", (event) => start(event.target));
start(document);
if (document.querySelector("[data-passkey]")) import("./passkey.js");

// Small things of the frame: a bar of a chart leads where its row in the table below leads, and the menu of the account
// closes when somebody turns elsewhere.
document.addEventListener("click", (event) => {
  const bar = event.target.closest?.("[data-href]");
  if (bar) location.assign(bar.dataset.href);
  for (const menu of document.querySelectorAll("details.user[open]")) if (!menu.contains(event.target)) menu.open = false;
});
