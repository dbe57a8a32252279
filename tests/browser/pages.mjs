// Every page of every role, in light, dark and forced colours, at 1280 and 320 px, on one load each: what axe says, what
// the browser complains of, what is asked of strangers, what is wider than the window, and how heavy the first view is.
import { accessible, counts, framed, inEveryMode } from "./lib/axe.mjs";
import { everybody } from "./lib/door.mjs";
import { brokenWords, tooWide } from "./lib/layout.mjs";
import { links, refused, walk } from "./lib/pages.mjs";
import { shot, spec } from "./lib/spec.mjs";
import { stilled, thinned } from "./lib/thin.mjs";
import { watch } from "./lib/watch.mjs";

/** Of our scripts and of our styles, as they lie in the browser, not as they were packed for the way. */
const BYTES_MAX = 60 * 1024;

await spec(async (house) => {
  const people = await everybody(house);
  const axed = new Set();
  const heaviest = { script: 0, stylesheet: 0, font: 0 };

  const judge = async (page, where, part) => {
    for (const [mode, what] of await accessible(page, part)) house.problem(`${where} ${mode}`, what);
  };
  const fresh = (skeleton) => !axed.has(skeleton) && axed.add(skeleton);

  const seen = await walk(house, people, async ({ role, context, path, kind }) => {
    const page = await context.newPage();
    const expected = refused(role, path) ? /status (of )?40[34]/ : undefined;
    const where = watch(page, house, role, { expected });
    const bytes = weigh(page);
    await page.goto(house.base + path);
    // Asked before the lists are thinned out.
    const found = await links(page);
    if (path === "/" && role !== "niemand" && found.length < 2) house.problem(where(), `only ${found.length} links in the navigation`);
    await page.evaluate(stilled);
    await inEveryMode(page, async (mode, theme) => {
      const wide = theme.media.forcedColors === "none" && (await tooWide(page));
      if (wide) house.problem(`${where()} ${mode}`, wide);
      if (mode === "1280 hell") for (const what of await page.evaluate(brokenWords)) house.problem(`${where()} ${mode}`, `a word is broken: ${what}`);
      await shot(page, `${role} ${kind} ${mode}`);
    });
    await page.evaluate(opened);
    const skeleton = await page.evaluate(thinned);
    // The same page for another role, with the same controls on it.
    if (fresh(skeleton)) {
      const parts = await page.evaluate(folded);
      await judge(page, where(), { bare: !fresh(await page.evaluate(framed)) });
      for (const { root, skeleton } of parts.filter((part) => fresh(part.skeleton))) {
        await page.evaluate(unfold, root);
        await judge(page, `${where()} ${root}`, { root });
        await page.evaluate(foldUp, root);
      }
    }
    for (const [type, size] of Object.entries(await bytes())) heaviest[type] = Math.max(heaviest[type] ?? 0, size);
    await page.close();
    return found;
  });

  for (const [role, kinds] of seen) house.row(role.padEnd(18), `${kinds.size} kinds of pages:`, [...kinds.keys()].join(" "));
  house.row(`${axed.size} different pages and parts judged by axe: ${counts.full} times with all rules, ${counts.colours} times for colours only`);
  for (const [type, size] of Object.entries(heaviest)) {
    house.row(`${type.padEnd(12)}${(size / 1024).toFixed(1).padStart(6)} KiB in the heaviest page`);
    if (size > BYTES_MAX) house.problem("the first view", `${size} bytes of ${type}, at most ${BYTES_MAX} are meant`);
  }
  if (heaviest.font > 0) house.problem("the first view", "a web font, though none is needed");
});

/** The bytes by kind of file that a page has asked for so far, unpacked; what it has from its memory counts too. */
function weigh(page) {
  const parts = [];
  page.on("response", (response) => parts.push(response));
  return async () => {
    const sums = {};
    for (const response of parts) {
      const type = response.request().resourceType();
      if (!["script", "stylesheet", "font"].includes(type)) continue;
      sums[type] = (sums[type] ?? 0) + (await response.body().then((body) => body.length, () => 0));
    }
    return sums;
  };
}

/** Runs in the page: what can be unfolded in its contents is, so that it is judged too. */
function opened() {
  for (const details of document.querySelectorAll("main details")) details.open = true;
}

/** Runs in the page: what lies over it once it is opened, with its skeleton: menus of the bar, dialogs. */
function folded() {
  const parts = [];
  for (const part of document.querySelectorAll("details:not(main *), dialog")) {
    if (!part.id) part.id = `teil-${parts.length}`;
    const skeleton = part.outerHTML.replaceAll(/>[^<]+</g, "><").replaceAll(/(value|href)="[^"]*"/g, "");
    parts.push({ root: `#${part.id}`, skeleton });
  }
  return parts;
}

function unfold(root) {
  const part = document.querySelector(root);
  if (part.localName === "dialog") part.showModal();
  else part.open = true;
}

function foldUp(root) {
  const part = document.querySelector(root);
  if (part.localName === "dialog") part.close();
  else part.open = false;
}
