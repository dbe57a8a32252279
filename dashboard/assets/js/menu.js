// The value menu: every value is a handle. Without script it is a <details> with links; here it gets the keys of a menu,
// stays inside the window, and only one is open at a time. The key `.` opens that of the row or cell with the focus.
import { bind } from "./keys.js";
import { toast } from "./toast.js";
import { t } from "./words.js";

let open = null;

// Listened to for all of them at once, and nothing is built before somebody opens one: a page has hundreds.
export function start() {}

document.addEventListener("toggle", ({ target }) => {
  if (target.matches?.("details.value-menu")) target.open ? opened(target) : closed(target);
}, true);
document.addEventListener("keydown", (event) => {
  const menu = event.target.closest?.("details.value-menu[open]");
  if (menu) onKey(event, menu);
}, true);

const listOf = (menu) => menu.querySelector("ul");
const items = (menu) => [...menu.querySelectorAll("[role=menuitem]")].filter((item) => !item.hidden);

function opened(menu) {
  if (open && open !== menu) open.open = false;
  open = menu;
  const list = listOf(menu);
  list.setAttribute("role", "menu");
  list.setAttribute("aria-label", menu.querySelector("summary").textContent.trim());
  for (const item of list.querySelectorAll("li")) item.setAttribute("role", "none");
  for (const item of list.querySelectorAll("a, button")) {
    item.setAttribute("role", "menuitem");
    item.tabIndex = -1;
    if (item.dataset.copy !== undefined) item.closest("li").hidden = false;
  }
  place(menu, list);
  items(menu)[0]?.focus({ preventScroll: true });
}

function closed(menu) {
  if (open === menu) open = null;
}

/** Below the value, or above it where there is no room; never beyond the window's edge. */
function place(menu, list) {
  const gap = 4;
  const handle = menu.querySelector("summary").getBoundingClientRect();
  const { width, height } = list.getBoundingClientRect();
  const below = handle.bottom + gap + height <= innerHeight || handle.top < height;
  list.style.position = "fixed";
  list.style.left = `${Math.max(gap, Math.min(handle.left, innerWidth - width - gap))}px`;
  list.style.top = `${Math.max(gap, below ? Math.min(handle.bottom + gap, innerHeight - height - gap) : handle.top - height - gap)}px`;
}

function close(menu, refocus = true) {
  if (!menu) return;
  menu.open = false;
  if (refocus) (menu.closest(".grid td, .grid th") ?? menu.querySelector("summary")).focus({ preventScroll: true });
}

function onKey(event, menu) {
  const all = items(menu);
  const at = all.indexOf(document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: at < 0 ? all.length - 1 : at - 1, Home: 0, End: all.length - 1 }[event.key];
  if (to !== undefined) all[(to + all.length) % all.length]?.focus();
  else if (event.key === "Escape") close(menu);
  else if (event.key === "Tab") return close(menu);
  // A letter goes to the next item that begins with it.
  else if (event.key.length === 1 && event.key !== " " && !event.ctrlKey && !event.altKey && !event.metaKey) {
    const after = [...all.slice(at + 1), ...all.slice(0, at + 1)];
    after.find((item) => item.textContent.trim().toLowerCase().startsWith(event.key.toLowerCase()))?.focus();
  } else return event.stopPropagation();
  event.preventDefault();
  event.stopPropagation();
}

document.addEventListener("click", async (event) => {
  if (open && !open.contains(event.target)) close(open, false);
  const copy = event.target.closest?.("[data-copy]");
  if (!copy) return;
  try {
    await navigator.clipboard.writeText(copy.closest("[data-value]").dataset.value);
    toast(t("Kopiert"), { tone: "good" });
  } catch {
    toast(t("Das Kopieren hat der Browser nicht erlaubt."), { tone: "bad" });
  }
  close(copy.closest("details.value-menu"));
});
// A fixed list would stay behind while its value scrolls away.
document.addEventListener("scroll", (event) => open && !open.contains(event.target) && close(open, false), { capture: true, passive: true });
addEventListener("resize", () => close(open, false));

/** The menu of the cell or row with the focus. */
export function menuOf(target) {
  const cell = target?.closest?.("td, th");
  const row = target?.closest?.("tr, dd");
  return target?.closest?.("details.value-menu") ?? cell?.querySelector("details.value-menu") ?? row?.querySelector("details.value-menu") ?? null;
}

bind({
  keys: ["."],
  text: "Menü des Werts öffnen",
  group: "Listen",
  here: () => document.querySelector("details.value-menu") !== null,
  run: () => {
    const menu = menuOf(document.activeElement);
    if (menu) menu.open = true;
  },
});
