// Wartburg's one module. Every page works without it; it adds keys, times that stay true, and a start page that
// refreshes itself. No dependency, no eval, no inline handler (the CSP forbids them).

const MINUTE = 60_000, HOUR = 60 * MINUTE;
const clock = new Intl.DateTimeFormat("de-DE", { hour: "2-digit", minute: "2-digit", timeZone: "Europe/Berlin" });
const day = new Intl.DateTimeFormat("de-DE", { day: "2-digit", month: "2-digit", year: "numeric", timeZone: "Europe/Berlin" });

// The server's clock and ours may differ; the page says when it was made.
const made = Date.parse(document.documentElement.dataset.now ?? "");
const skew = Number.isNaN(made) ? 0 : made - Date.now();

function ago(at) {
  const now = Date.now() + skew, passed = now - at;
  if (passed < 0) return null;
  if (passed < MINUTE) return `vor ${Math.floor(passed / 1000)}\u00a0s`;
  if (passed < HOUR) return `vor ${Math.floor(passed / MINUTE)}\u00a0min`;
  const today = day.format(now), then = day.format(at);
  if (then === today) return `vor ${Math.floor(passed / HOUR)}\u00a0h`;
  if (then === day.format(now - 24 * HOUR)) return `gestern, ${clock.format(at)}`;
  return then;
}

function times(root = document) {
  for (const element of root.querySelectorAll("time[data-ago]")) {
    const text = ago(Date.parse(element.dateTime));
    if (text && element.textContent !== text) element.textContent = text;
  }
}
setInterval(times, 5_000);

// Keys. Typing in a field is never disturbed.
const typing = (target) => target.closest?.("input, textarea, select, [contenteditable]");
const rows = () => [...document.querySelectorAll("[data-rows] > tr")].filter((row) => row.querySelector("a, summary"));
let chosen = null;

function choose(step) {
  const all = rows();
  if (!all.length) return;
  const at = all.findIndex((row) => row.dataset.key === chosen);
  const row = all[Math.min(all.length - 1, Math.max(0, at + step))];
  mark(row, all);
  row.querySelector("a, summary").focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
}

function mark(row, all = rows()) {
  all.forEach((other, n) => { other.dataset.key ??= `row-${n}`; other.classList.toggle("chosen", other === row); });
  chosen = row?.dataset.key ?? null;
}
document.addEventListener("focusin", (event) => {
  const row = event.target.closest?.("[data-rows] > tr");
  if (row) mark(row);
});

function help() {
  const dialog = document.getElementById("tasten");
  if (dialog && !dialog.open) dialog.showModal();
}
document.getElementById("tasten-auf")?.addEventListener("click", help);

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape" && event.target.matches?.(".find input")) return event.target.blur();
  if (event.key === "Escape") return document.querySelectorAll("details.user[open]").forEach((menu) => { menu.open = false; });
  if (typing(event.target) || document.querySelector("dialog[open]")) return;
  const act = { "/": () => document.querySelector(".find input, [data-find]")?.focus(), "?": help, j: () => choose(1), k: () => choose(-1) }[event.key];
  const button = act ? null : document.querySelector(`[data-key-press="${CSS.escape(event.key)}"]`);
  if (!act && !button) return;
  event.preventDefault();
  act ? act() : button.click();
});

// A bar of a chart leads where its row in the table below leads.
document.addEventListener("click", (event) => {
  const bar = event.target.closest?.("[data-href]");
  if (bar) location.assign(bar.dataset.href);
  for (const menu of document.querySelectorAll("details.user[open]")) if (!menu.contains(event.target)) menu.open = false;
});

// Live parts: fetched again every few seconds while the page is seen. What has the focus keeps it, and what somebody
// is reading with the pointer on it or has opened waits for the next turn.
const EVERY = 5_000;
for (const part of document.querySelectorAll("[data-live]")) {
  let failures = 0;
  const turn = async () => {
    if (!document.hidden && !part.querySelector("details[open]") && !selecting(part)) {
      try {
        const answer = await fetch(part.dataset.live, { headers: { "x-fragment": "1" }, credentials: "same-origin", redirect: "error" });
        if (!answer.ok) throw new Error(String(answer.status));
        swap(part, await answer.text());
        failures = 0;
      } catch { failures += 1; }
      part.classList.toggle("stale", failures > 2);
    }
    setTimeout(turn, Math.min(EVERY * 2 ** failures, 120_000));
  };
  setTimeout(turn, EVERY);
}

function selecting(part) {
  const selection = document.getSelection();
  return Boolean(selection && !selection.isCollapsed && part.contains(selection.focusNode));
}

function swap(part, html) {
  const next = new DOMParser().parseFromString(html, "text/html").querySelector("[data-live]");
  if (!next || next.innerHTML === part.dataset.last) return;
  part.dataset.last = next.innerHTML;
  const focused = part.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  const known = new Set([...part.querySelectorAll("[data-rows] a")].map((link) => link.getAttribute("href")));
  part.replaceChildren(...next.childNodes);
  times(part);
  for (const link of part.querySelectorAll("[data-rows] a")) if (!known.has(link.getAttribute("href"))) link.closest("tr")?.classList.add("fresh-row");
  if (focused) [...part.querySelectorAll("a")].find((link) => link.getAttribute("href") === focused)?.focus({ preventScroll: true });
}

// A form is sent once.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post") return;
  if (form.dataset.sent) return event.preventDefault();
  form.dataset.sent = "1";
});
addEventListener("pageshow", () => document.querySelectorAll("form[data-sent]").forEach((form) => delete form.dataset.sent));

// Passkeys, on the few pages that ask for one.
if (document.querySelector("[data-passkey]")) import("./passkey.js");

// The brush over a chart of time.
if (document.querySelector("[data-brush]")) import("./brush.js");
