// Hostile strings in a browser: sent as log lines, names of sources, notes, advisories, subscriptions and searches, then
// looked at on every page that shows them. Nothing of it runs, asks, pops up or breaks out of the window; the CSP has nothing
// to stop. Needs a program of its own, for it leaves all this behind.
import { existsSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { drain, until } from "./lib/browser.mjs";
import { signedIn } from "./lib/door.mjs";
import { tooWide } from "./lib/layout.mjs";
import { links, walk } from "./lib/pages.mjs";
import { loginOf, shot, spec } from "./lib/spec.mjs";
import { watch } from "./lib/watch.mjs";

/** Marks our lines, so that a search finds them all. */
const MARK = "feindlich";
/** Where one of the demo's bodies sends from; whose a line is follows from its address. */
const SENDER = "127.16.53.9";
/** Notes and titles have a bound of their own; what is longer is cut before it is sent, as the field would. */
const NOTE_CHARS = 9_000;
const TITLE_CHARS = 190;
/** As it stands in an address, where a character may take twelve; heads of 16 KiB are taken. */
const QUERY_CHARS = 10_000;
/** Far more than our lines fill. */
const HIT_PAGES_MAX = 100;
/** A line's bound at the listener is far below a megabyte; the rest of a longer one is another line. */
const LINE_BYTES = 60_000;

/** What only a browser can show: what the list's server side has no use for. */
const OWN = [
  `<script>window.__pwned=1</script>`,
  `"><img src=x onerror="window.__pwned=1">`,
  `'-alert(1)-'`,
  `</textarea><svg/onload=window.__pwned=1>`,
  `javascript:window.__pwned=1`,
  `{{constructor.constructor('window.__pwned=1')()}}`,
  `\u202Egnp.exe\u202C \u2066x\u2069`,
  `\u001b]0;x\u0007\u001b[31mrot`,
  `=HYPERLINK("http://evil.example/","x")`,
  `a\r\nSet-Cookie: x=1`,
  `<base href="//evil.example/"><link rel=stylesheet href=//evil.example/x.css>`,
  `<meta http-equiv=refresh content="0;url=//evil.example/">`,
  "W".repeat(5_000),
  `${"Z̸̧̢̛".repeat(300)}`,
];

await spec(async (house) => {
  const strings = [...new Set([...OWN, ...kept()])];
  const context = await signedIn(house, loginOf(house, "Analyse"));
  house.row(`${strings.length} strings`);

  const lines = await logLines(house, context, strings);
  const pages = await forms(house, context, strings);
  const seen = new Set();
  const look = (path) => lookAt(house, context, path, seen);
  const paged = await throughAll(house, context, `/suche?q=${MARK}`);
  const searches = batches(strings, QUERY_CHARS, (text) => encodeURIComponent(text.toWellFormed()).length).flatMap((batch) => [
    `/suche?q=${encodeURIComponent(batch)}`,
    `/vorfaelle?wort=${encodeURIComponent(batch.slice(0, TITLE_CHARS))}`,
    `/fluesse?q=${encodeURIComponent(batch)}`,
  ]);
  await drain([...pages, ...paged, ...searches], look);
  // And whatever else there is, as the analyst and as the body that it belongs to.
  const people = [
    { role: "Analyse", context },
    { role: "Stelle", context: await signedIn(house, loginOf(house, "Stelle")) },
  ];
  const walked = await walk(house, people, ({ context, path }) => lookAt(house, context, path, seen));
  house.row(`${lines} lines stored, ${pages.length} pages written, ${paged.length} pages of hits, ${searches.length} searches`);
  house.row(`${seen.size} pages looked at, ${[...walked.values()].reduce((sum, kinds) => sum + kinds.size, 0)} kinds of pages walked`);
});

/** The kept list: `text`, or `repeat` and `times`, or `hex` for bytes that are no UTF-8 (`../hostile/README.md`). */
function kept() {
  const file = new URL("../hostile/strings.json", import.meta.url);
  if (!existsSync(file)) return [];
  const list = JSON.parse(readFileSync(file, "utf8"));
  const text = (one) => one.text ?? (one.hex ? Buffer.from(one.hex, "hex").toString("latin1") : one.repeat.repeat(one.times));
  return list.map((one) => (typeof one === "string" ? one : text(one)));
}

/** Sends each string as a line's text and its sender's name, and as the account or the fields of another. */
async function logLines(house, context, strings) {
  const bare = (text) => text.replaceAll(/[\s\p{C}]+/gu, "_").slice(0, 200) || "leer";
  const stamp = new Date().toISOString();
  const frames = strings.flatMap((text, n) => [
    `<134>1 ${stamp} ${bare(text)} app - - - ${MARK} ${text}`,
    n % 2 === 0
      ? `<86>1 ${stamp} gw-feindlich sshd 99 - - Failed password for invalid user ${text} from 203.0.113.9 port 4022 ssh2 ${MARK}`
      : `<134>1 ${stamp} gw-feindlich app - - - ${MARK} src=203.0.113.9 user="${text.replaceAll('"', "'")}" msg="${text}"`,
  ]);
  const [host, port] = house.intake.split(":");
  await new Promise((resolve, reject) => {
    const socket = connect({ host, port: Number(port), localAddress: SENDER }, () => {
      // Counted octets: what is in a frame stays in it, line ends too.
      for (const frame of frames) {
        const bytes = Buffer.from(frame).subarray(0, LINE_BYTES);
        socket.write(Buffer.concat([Buffer.from(`${bytes.length} `), bytes]));
      }
      socket.end();
    });
    socket.on("error", reject).on("close", resolve).resume();
  });
  // The last one sent is the last one to be found.
  const last = `${MARK}-ende-${Date.now()}`;
  await new Promise((resolve, reject) => {
    const text = `<134>1 ${stamp} gw-feindlich app - - - ${last}`;
    const socket = connect({ host, port: Number(port), localAddress: SENDER }, () => socket.end(`${text.length} ${text}`));
    socket.on("error", reject).on("close", resolve).resume();
  });
  await until("the hostile lines to be found", async () => {
    const answer = await context.request.get(`${house.base}/suche?q=${encodeURIComponent(`"${last}"`)}`);
    return (await answer.text()).includes("gw-feindlich");
  });
  return frames.length;
}

/** Writes the strings into forms, as many in one as it takes; returns the pages where they stand. */
async function forms(house, context, strings) {
  const page = await context.newPage();
  watch(page, house, "Analyse", { expected: /status (of )?4\d\d/ });
  const send = async (path, from, fields) => {
    // The form's own token, and a request as the form would make it; typing a thousand texts by keys takes minutes.
    await page.goto(house.base + from);
    const csrf = await page.locator("input[name=csrf]").first().inputValue();
    const answer = await context.request.post(house.base + path, { form: { ...fields, csrf }, headers: { Origin: house.base }, maxRedirects: 0 });
    if (answer.status() >= 500) house.problem(path, `status ${answer.status()} for ${JSON.stringify(fields).slice(0, 200)}`);
    return new URL(answer.headers().location ?? from, house.base).pathname;
  };
  await page.goto(`${house.base}/vorfaelle`);
  const incident = await page.locator("main a[href^='/vorfall/']").first().getAttribute("href");
  const pages = new Set([incident]);
  for (const text of batches(strings, NOTE_CHARS)) await send(`${incident}/notiz`, incident, { text });
  for (const text of batches(strings, NOTE_CHARS * 2)) {
    const title = `${MARK} ${text.slice(0, TITLE_CHARS)}`;
    const fields = { title, kind: "warning", severity: "high", threat_level: "2", tlp: "GREEN", situation: text, assessment: text, check: text };
    const made = await send("/meldung/neu", "/meldung/neu", { ...fields, measures: text, products: text.slice(0, 500), cves: "", cvss: "", sources: text.slice(0, 500) });
    if (/[0-9A-Z]{26}$/.test(made)) pages.add(made).add(`${made}/bearbeiten`);
  }
  for (const text of strings.slice(0, 20)) {
    await send("/abos", "/abos", { stelle: await firstOption(page, house, "/abos", "stelle"), schwere: "low", art: "warning", worte: text.slice(0, 400) });
    await send("/aufdeckung", "/abos", { grund: text.slice(0, 900), werte: text.slice(0, 200), vorfall: "" });
  }
  await page.close();
  pages.add("/abos").add("/aufdeckung").add("/meldungen").add(`/vorfaelle?wort=${MARK}`);
  return [...pages];
}

async function firstOption(page, house, path, name) {
  if (!page.url().endsWith(path)) await page.goto(house.base + path);
  return page.locator(`[name=${name}]`).first().inputValue();
}

/** Joins strings to texts of at most so many characters each, as `long` counts them; a longer one is cut. */
function batches(strings, chars, long = (text) => text.length) {
  const all = [];
  let text = "";
  const cut = (string) => {
    let short = string.slice(0, chars);
    while (long(short) > chars) short = short.slice(0, short.length / 2);
    return short;
  };
  for (const one of strings.map(cut)) {
    if (text && long(`${text}\n${one}`) > chars) {
      all.push(text);
      text = "";
    }
    text += (text && "\n") + one;
  }
  return text ? [...all, text] : all;
}

/** The first page and all older ones behind it, at most so many as our lines could fill. */
async function throughAll(house, context, path) {
  const all = [path];
  while (all.length < HIT_PAGES_MAX) {
    const html = await (await context.request.get(house.base + all.at(-1))).text();
    const next = /<a[^>]*rel="next"[^>]*>/.exec(html)?.[0].match(/href="([^"]+)"/)?.[1]?.replaceAll(/&(amp|#38);/g, "&");
    if (!next || all.includes(next)) break;
    all.push(next);
  }
  return all;
}

/** Opens a page with all that unfolds in it, at both widths; returns its links. */
async function lookAt(house, context, path, seen) {
  const page = await context.newPage();
  const where = watch(page, house, "feindlich", { expected: /status (of )?4\d\d/ });
  await page.goto(house.base + path);
  seen.add(path);
  await page.evaluate(() => document.querySelectorAll("details").forEach((details) => (details.open = !details.matches(".user"))));
  // What has room in the narrow window has it in the wide one; the list of hits is long and is looked at there alone.
  for (const width of path.startsWith(`/suche?q=${MARK}`) ? [320] : [1280, 320]) {
    await page.setViewportSize({ width, height: 800 });
    const wide = await tooWide(page);
    if (wide) house.problem(`${where().slice(0, 120)} ${width}`, wide);
  }
  for (const what of await page.evaluate(alive)) house.problem(where().slice(0, 120), what);
  await shot(page, `feindlich ${path.slice(0, 60)}`);
  const found = await links(page);
  await page.close();
  return found;
}

/** Runs in the page: what data made alive: elements, attributes or links that no template of ours has. */
function alive() {
  const wrong = [];
  if (window.__pwned || window.__xss) wrong.push("a hostile string was executed");
  const strange = "base, iframe, frame, object, embed, style, meta[http-equiv], img:not([src^='/']), link:not([href^='/']), script:not([src^='/assets/'])";
  for (const element of document.querySelectorAll(strange)) wrong.push(`an element out of data: ${element.outerHTML.slice(0, 120)}`);
  for (const element of document.querySelectorAll("*")) {
    for (const { name, value } of element.attributes) {
      if (/^on/.test(name)) wrong.push(`a handler out of data: ${element.outerHTML.slice(0, 120)}`);
      const leads = /^(href|src|action|formaction|xlink:href)$/.test(name);
      if (leads && !/^(\/(?!\/)|#|https?:\/\/|mailto:|$)/.test(value)) wrong.push(`leads to ${value.slice(0, 60)}: ${element.outerHTML.slice(0, 120)}`);
    }
  }
  return wrong;
}
