// Walks every page that a role's navigation shows, in a real browser: no console error, no CSP report, no foreign
// request, no serious axe violation, nothing wider than the window. Called as: node pages.mjs BASE_URL LOGINS [SHOTS]
// with LOGINS = [{"role": …, "login": …, "password": …}, …] as JSON. As many walks at a time as there are processors.
import { chromium } from "playwright-core";
import AxeBuilder from "@axe-core/playwright";
import { mkdirSync } from "node:fs";
import { availableParallelism } from "node:os";

const [base, logins, shots] = process.argv.slice(2);
const problems = [];
const axed = new Set();
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"],
});

const views = [
  { name: "hell-1280", colorScheme: "light", viewport: { width: 1280, height: 900 } },
  { name: "dunkel-320", colorScheme: "dark", viewport: { width: 320, height: 700 } },
];

// In the page: thins out what repeats and returns what is left without its words. Of children with the same tags, classes
// and attributes, such as a table's rows, axe has nothing new to say after the third; it took 13 s for 7,000 elements.
function thinned() {
  const skeleton = (node) => {
    if (node.nodeType !== Node.ELEMENT_NODE) return node.nodeType === Node.TEXT_NODE && node.data.trim() ? "#" : "";
    const attributes = [...node.attributes].map(({ name, value }) => (/^(class|role|type|scope|lang|aria-(?!label|controls))/.test(name) ? `${name}=${value}` : name));
    const seen = new Map();
    let inside = "";
    for (const child of [...node.childNodes]) {
      const text = skeleton(child);
      const times = (seen.get(text) ?? 0) + 1;
      seen.set(text, times);
      if (times <= 3) inside += text;
      else if (child.nodeType === Node.ELEMENT_NODE && !child.contains(document.activeElement)) child.remove();
    }
    return `<${node.localName} ${attributes.join(" ")}>${inside}</>`;
  };
  return skeleton(document.documentElement);
}

async function accessible(page, view, where) {
  const skeleton = view.name + (await page.evaluate(thinned));
  // The same page for another role, with the same controls on it.
  if (axed.has(skeleton)) return;
  axed.add(skeleton);
  const axe = await new AxeBuilder({ page }).setLegacyMode().withTags(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]).analyze();
  for (const violation of axe.violations) {
    problems.push(`${where()}: axe ${violation.id}: ${violation.help}: ${violation.nodes[0]?.html.slice(0, 160)}`);
  }
}

async function walk({ role, login, password }, view) {
  const context = await browser.newContext({ colorScheme: view.colorScheme, viewport: view.viewport, locale: "de-DE" });
  const page = await context.newPage();
  const where = () => `${role} ${view.name} ${page.url().replace(base, "")}`;
  page.on("console", (message) => {
    if (message.type() === "error" || /Content Security Policy/i.test(message.text())) problems.push(`${where()}: console: ${message.text()}`);
  });
  page.on("pageerror", (error) => problems.push(`${where()}: script: ${error.message}`));
  page.on("request", (request) => {
    if (!request.url().startsWith(base) && !request.url().startsWith("data:")) problems.push(`${where()}: foreign request ${request.url()}`);
  });

  await page.goto(`${base}/login`);
  await page.fill("input[name=konto]", login);
  await page.fill("input[name=kennwort]", password);
  await page.press("input[name=kennwort]", "Enter");
  await page.waitForURL((url) => !url.pathname.endsWith("/login"), { timeout: 15000 }).catch(() => problems.push(`${where()}: login failed`));

  const links = await page.$$eval("nav a[href^='/']", (all) => [...new Set(all.map((a) => a.getAttribute("href")))]);
  if (links.length < 2) problems.push(`${where()}: only ${links.length} links in the navigation`);
  const visited = new Set();
  const queue = [...links];
  while (queue.length > 0 && visited.size < 40) {
    const path = queue.shift();
    const kind = path.replace(/[?#].*$/, "").replace(/(ereignis|raster)\/\d+/, "$1/*").replace(/[0-9A-Z]{26}|TC-[0-9-]+|WID-[A-Z0-9-]+/g, "*");
    if (visited.has(kind) || path.startsWith("/logout") || path.startsWith("/assets")) continue;
    visited.add(kind);
    // A download is no page: it is asked for as a browser would, and only must not fail.
    if (/\/csaf$|\.(csv|json)$/.test(kind)) {
      const download = await context.request.get(base + path);
      if (!download.ok()) problems.push(`${where()}: download ${path}: status ${download.status()}`);
      continue;
    }
    const response = await page.goto(base + path);
    if (response.status() >= 400) problems.push(`${where()}: status ${response.status()}`);
    const width = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    if (width > 1) problems.push(`${where()}: ${width} px wider than the window`);
    if (shots) {
      mkdirSync(shots, { recursive: true });
      await page.screenshot({ path: `${shots}/${role}-${view.name}${kind.replaceAll("/", "_").replaceAll("*", "x")}.png`, fullPage: true });
    }
    // One of each kind of page that the lists lead to; asked before the lists are thinned out.
    queue.push(...(await page.$$eval("main a[href^='/']", (all) => all.map((a) => a.getAttribute("href")))));
    await accessible(page, view, where);
  }
  console.log(`${role} ${view.name}: ${visited.size} pages: ${[...visited].join(" ")}`);
  await context.close();
}

const walks = JSON.parse(logins).flatMap((login) => views.map((view) => () => walk(login, view)));
const walker = async () => {
  while (walks.length > 0) await walks.shift()();
};
await Promise.all(Array.from({ length: availableParallelism() }, walker));
await browser.close();
console.log(`${axed.size} different pages looked at by axe`);
for (const problem of problems) console.log(`PROBLEM ${problem}`);
process.exit(problems.length > 0 ? 1 : 0);
