// Relative times that stay true while the page is open. The server wrote them once; the full moment stands in `datetime`.
import { t } from "./words.js";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const EVERY = 5_000;

const locale = document.documentElement.lang.startsWith("en") ? "en-GB" : "de-DE";
const zone = { timeZone: "Europe/Berlin" };
const clock = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit", ...zone });
const day = new Intl.DateTimeFormat(locale, { day: "2-digit", month: "2-digit", year: "numeric", ...zone });

// The server's clock and ours may differ; the page says when it was made.
const made = Date.parse(document.documentElement.dataset.now ?? "");
const skew = Number.isNaN(made) ? 0 : made - Date.now();

function ago(at) {
  const now = Date.now() + skew;
  const passed = now - at;
  if (!(passed >= 0)) return null;
  if (passed < MINUTE) return t("vor {n}\u00a0s", { n: Math.floor(passed / 1000) });
  if (passed < HOUR) return t("vor {n}\u00a0min", { n: Math.floor(passed / MINUTE) });
  const then = day.format(at);
  if (then === day.format(now)) return t("vor {n}\u00a0h", { n: Math.floor(passed / HOUR) });
  if (then === day.format(now - 24 * HOUR)) return t("gestern, {at}", { at: clock.format(at) });
  return then;
}

/** Writes the times below `root` anew. */
export function refresh(root = document) {
  for (const element of root.querySelectorAll("time[data-ago]")) {
    const text = ago(Date.parse(element.dateTime));
    if (text && element.textContent !== text) element.textContent = text;
  }
}

setInterval(() => document.hidden || refresh(), EVERY);
document.addEventListener("visibilitychange", () => document.hidden || refresh());
document.addEventListener("wartburg:swapped", (event) => refresh(event.target));
