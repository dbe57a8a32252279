// What changes by itself. One stream of server-sent events per browser: the tabs agree on a leader by a lock, the leader
// holds the stream and tells the others by a broadcast channel what came. Where there is no stream, parts are asked for
// again every few seconds, as they are now and then with one, since not everything on a page has a topic.
import { Gone, load } from "./fragment.js";
import { toast } from "./toast.js";
import { t } from "./words.js";

/** How often a part is asked for without a stream, and with one. */
const POLL = 5_000;
const POLL_STREAMING = 60_000;
/** After failures it waits longer and longer, up to this. */
const POLL_MAX = 120_000;
/** A part is not put anew more often than this, however much happens. */
const PAUSE = 1_500;
/** All pages of the house hear of the same change at once; they come one after another. */
const SPREAD = 400;

const listeners = new Map(); // topic → functions
// The page says as of when it is: what came between its making and the stream's beginning is heard too.
const stream = { source: null, up: false, last: document.documentElement.dataset.since ?? "", topics: "" };
const tab = Math.random().toString(36).slice(2);
const wanted = new Map(); // tab → topics, known to the leader
const channel = "BroadcastChannel" in self ? new BroadcastChannel("wartburg-live") : null;
let leader = false;
let stepDown = null;
const waiting = new Set();

/** Calls `hear(data)` for each event of `topic`; `hear(null, missed)` where some were missed. */
export function subscribe(topic, hear) {
  if (!listeners.has(topic)) listeners.set(topic, new Set());
  listeners.get(topic).add(hear);
  want();
  return () => {
    listeners.get(topic)?.delete(hear);
    if (listeners.get(topic)?.size === 0) listeners.delete(topic);
    want();
  };
}

/** Whether the stream runs, in this tab or in another. */
export const streaming = () => stream.up;

function want() {
  const topics = [...listeners.keys()];
  wanted.set(tab, topics);
  if (topics.length > 0) candidate();
  if (leader) open();
  else channel?.postMessage({ say: "want", tab, topics });
}

let standing = false;
function candidate() {
  if (standing) return;
  standing = true;
  // Without locks (an address that is not https) each tab has its own stream; the server bounds them.
  if (!navigator.locks || !channel) return lead();
  navigator.locks.request("wartburg-live", () => new Promise((resolve) => {
    stepDown = resolve;
    lead();
  }));
}

function lead() {
  leader = true;
  // The others say again what they want; who has gone does not.
  channel?.postMessage({ say: "leader" });
  open();
}

/** Opens the stream for what all tabs want; again from where it was, where that has changed. */
function open() {
  const topics = [...new Set([...wanted.values()].flat())].sort();
  if (topics.join() === stream.topics) return;
  stream.topics = topics.join();
  stream.source?.close();
  stream.source = null;
  if (topics.length === 0) return status(false);
  const query = new URLSearchParams(topics.map((topic) => ["thema", topic]));
  if (stream.last) query.set("seit", stream.last);
  const source = new EventSource(`/strom?${query}`);
  stream.source = source;
  const seen = (event) => {
    if (event.lastEventId) stream.last = event.lastEventId;
  };
  source.addEventListener("hallo", (event) => {
    seen(event);
    status(true);
  });
  for (const topic of topics) {
    source.addEventListener(topic, (event) => {
      seen(event);
      spread({ say: "event", topic, data: JSON.parse(event.data) });
    });
  }
  source.addEventListener("lagged", (event) => {
    seen(event);
    const { thema, verpasst } = JSON.parse(event.data);
    spread({ say: "missed", topic: thema, missed: verpasst });
  });
  source.addEventListener("ende", () => {
    source.close();
    status(false);
    spread({ say: "ended" });
  });
  // The browser tries again by itself unless the server refused; then parts are polled, and the stream tried later.
  source.addEventListener("error", () => {
    status(false);
    if (source.readyState === EventSource.CLOSED) {
      stream.topics = "";
      setTimeout(() => leader && open(), POLL_MAX);
    }
  });
}

function spread(message) {
  channel?.postMessage(message);
  told(message);
}

function status(up) {
  if (up === stream.up) return;
  spread({ say: "status", up });
}

function told(message) {
  if (message.say === "event") for (const hear of listeners.get(message.topic) ?? []) hear(message.data);
  if (message.say === "missed") for (const hear of listeners.get(message.topic) ?? []) hear(null, message.missed);
  if (message.say === "ended") ended();
  if (message.say === "status") {
    stream.up = message.up;
    for (const wake of waiting) wake();
  }
}

channel?.addEventListener("message", ({ data }) => {
  if (data.say === "leader") channel.postMessage({ say: "want", tab, topics: [...listeners.keys()] });
  else if (data.say === "want" && leader) {
    if (data.topics.length > 0) wanted.set(data.tab, data.topics);
    else wanted.delete(data.tab);
    open();
    channel.postMessage({ say: "status", up: stream.up });
  } else if (data.say !== "want") told(data);
});

// A page that is left gives its place to another at once; one that comes back from the cache asks for it anew.
addEventListener("pagehide", () => {
  channel?.postMessage({ say: "want", tab, topics: [] });
  stream.source?.close();
  stream.source = null;
  stream.topics = "";
  leader = false;
  standing = false;
  stepDown?.();
});
addEventListener("pageshow", (event) => event.persisted && want());

let told401 = false;
function ended() {
  if (told401) return;
  told401 = true;
  toast(t("Ihre Sitzung ist zu Ende. Bitte melden Sie sich neu an."), { tone: "warn", action: [t("Anmelden"), () => location.reload()] });
}

// Live parts: <div data-live="/lage/live" data-topic="lage">
const known = new WeakSet();

export function start(parts) {
  for (const part of parts.filter((part) => !known.has(part))) {
    known.add(part);
    keepFresh(part);
  }
}

function keepFresh(part) {
  let failures = 0;
  let timer = 0;
  let last = performance.now();
  let due = false;
  const again = () => {
    clearTimeout(timer);
    const usual = streaming() && part.dataset.topic ? POLL_STREAMING : POLL;
    const wait = due ? Math.max(0, PAUSE - (performance.now() - last)) + Math.random() * SPREAD : Math.min(usual * 2 ** failures, POLL_MAX);
    timer = setTimeout(turn, wait);
  };
  const turn = async () => {
    if (!part.isConnected || told401) return;
    // Unseen pages wait until they are looked at.
    if (document.hidden) {
      due = true;
      return;
    }
    last = performance.now();
    due = false;
    try {
      await load(part, part.dataset.live, { quiet: true });
      if (part.classList.contains("stale")) toast(t("Wieder aktuell."), { tone: "good" });
      failures = 0;
    } catch (error) {
      if (error instanceof Gone) return ended();
      if (error.name !== "AbortError") failures += 1;
      if (failures === 3) toast(t("Nicht mehr aktuell: Die Verbindung ist unterbrochen."), { tone: "warn" });
    }
    part.classList.toggle("stale", failures > 2);
    again();
  };
  const soon = () => {
    due = true;
    again();
  };
  if (part.dataset.topic) subscribe(part.dataset.topic, soon);
  waiting.add(again);
  document.addEventListener("visibilitychange", () => !document.hidden && due && again());
  again();
}
