// The live tail: lines as they come, newest first, no more of them than the page holds. Pausing closes the stream and keeps
// its place; going on asks for everything behind it, so that no line is missing and none stands twice.
import { toast } from "./toast.js";
import { count, element, t } from "./words.js";

/** Over how long the rate is measured. */
const RATE_MILLIS = 5_000;
/** When a stream that the server refused is asked for again. */
const AGAIN = 30_000;

const known = new WeakSet();

export function start(parts) {
  for (const part of parts.filter((part) => !known.has(part) && part.dataset.tail)) {
    known.add(part);
    follow(part);
  }
}

function follow(part) {
  const rows = part.querySelector("[data-rows]");
  const [state, rate, skipped, pause, empty] = ["state", "rate", "skipped", "pause", "empty"].map((name) =>
    part.querySelector(`[data-tail-${name}]`),
  );
  const max = Number(part.dataset.max);
  let last = part.dataset.since;
  let source = null;
  let paused = false;
  let missed = 0;
  let unknown = false;
  let recent = []; // [when, lines that fitted]

  const say = (text) => {
    if (state.textContent !== text) state.textContent = text;
  };

  const row = ([seq, time, site, host, gist, message]) => {
    const link = element("a", { href: `/ereignis/${seq}${part.dataset.behind}`, "data-detail": true });
    if (gist) link.append(element("strong", { class: "gist" }, element("bdi", {}, gist)), " ");
    link.append(element("bdi", {}, message));
    const cell = (text) => element("td", {}, element("bdi", {}, text));
    const at = element("td", { class: "soft nowrap" }, time);
    return element("tr", { "data-key": seq, class: "fresh-row" }, at, cell(site), cell(host), element("td", { class: "text" }, link));
  };

  // Whoever has come to a line by the keyboard reads it: nothing moves below the focus, and what comes waits.
  const region = rows.closest("[role=region]") ?? rows;
  let waiting = [];

  const show = (lines) => {
    // What could not stay anyway is not made at all.
    waiting = [...waiting, ...lines].slice(-max);
    if (region.contains(document.activeElement)) {
      if (waiting.length > 0) say(t("Läuft, {n} neue Zeilen warten", { n: count(waiting.length) }));
      return;
    }
    const fresh = waiting.map(row).reverse();
    waiting = [];
    rows.prepend(...fresh);
    while (rows.rows.length > max) rows.deleteRow(-1);
    if (fresh.length > 0) empty.hidden = true;
  };

  region.addEventListener("focusout", ({ relatedTarget }) => {
    if (waiting.length === 0 || region.contains(relatedTarget)) return;
    // After the focus has gone.
    setTimeout(() => {
      show([]);
      if (source && waiting.length === 0) say(t("Läuft"));
    });
  });

  const measure = () => {
    const since = performance.now() - RATE_MILLIS;
    recent = recent.filter(([when]) => when > since);
    const sum = recent.reduce((sum, [, fits]) => sum + fits, 0);
    rate.textContent = t("{n} Zeilen/s", { n: count(Math.round((sum * 10_000) / RATE_MILLIS) / 10) });
  };

  const open = () => {
    say(t("Verbindung wird aufgebaut …"));
    const url = new URL(part.dataset.tail, location.href);
    url.searchParams.set("seit", last);
    source = new EventSource(url);
    const seen = (event) => {
      if (event.lastEventId) last = event.lastEventId;
    };
    source.addEventListener("hallo", (event) => {
      seen(event);
      say(t("Läuft"));
    });
    source.addEventListener("stand", seen);
    source.addEventListener("zeilen", (event) => {
      seen(event);
      const { zeilen, treffer, ausgelassen, ungesehen } = JSON.parse(event.data);
      recent.push([performance.now(), treffer]);
      missed += ausgelassen + (ungesehen ?? 0);
      unknown ||= ungesehen === null;
      if (missed > 0 || unknown) {
        skipped.hidden = false;
        skipped.textContent = missed > 0 ? t("{n} Zeilen ausgelassen", { n: count(missed) }) : t("Zeilen ausgelassen");
      }
      show(zeilen);
      measure();
    });
    source.addEventListener("ende", () => {
      close();
      paused = true;
      pause.hidden = true;
      say(t("Angehalten"));
      toast(t("Ihre Sitzung ist zu Ende. Bitte melden Sie sich neu an."), { tone: "warn", action: [t("Anmelden"), () => location.reload()] });
    });
    // The browser comes back by itself, with the place; unless the server refused.
    source.addEventListener("error", () => {
      say(t("Verbindung unterbrochen, neuer Versuch folgt"));
      if (source?.readyState === EventSource.CLOSED) {
        close();
        setTimeout(() => !paused && !source && open(), AGAIN);
      }
    });
  };

  const close = () => {
    source?.close();
    source = null;
  };

  pause.addEventListener("click", () => {
    paused = !paused;
    pause.textContent = paused ? t("Fortsetzen") : t("Anhalten");
    if (paused) {
      close();
      recent = [];
      measure();
      say(t("Angehalten"));
    } else open();
  });
  // A page that is left must not hold the stream; one that comes back from the cache goes on.
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => event.persisted && !paused && open());
  setInterval(measure, 1_000);

  part.querySelector("[data-tail-again]").hidden = true;
  pause.hidden = false;
  rate.hidden = false;
  measure();
  open();
}
