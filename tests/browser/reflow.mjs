// What people change for themselves takes nothing away: a window of 320 px (WCAG 1.4.10), more room between letters, words
// and lines (1.4.12), everything at 200 % and words alone at 200 % (1.4.4), and no movement for whom it makes ill.
import { everybody } from "./lib/door.mjs";
import { cutOff, tooWide } from "./lib/layout.mjs";
import { links, walk } from "./lib/pages.mjs";
import { shot, spec } from "./lib/spec.mjs";
import { stilled, thinned } from "./lib/thin.mjs";
import { watch } from "./lib/watch.mjs";

/** WCAG 1.4.12's figures. */
const SPACED = "* { line-height: 1.5 !important; letter-spacing: 0.12em !important; word-spacing: 0.16em !important } p { margin-bottom: 2em !important }";
/** The window of 1280 × 900 at 200 % shows half as many of its own pixels each way. */
const WISHES = [
  { name: "320 px", size: { width: 320, height: 700 }, css: "" },
  { name: "320 px, more room", size: { width: 320, height: 700 }, css: SPACED },
  { name: "200 %", size: { width: 640, height: 450 }, css: "" },
  { name: "more room", size: { width: 1280, height: 900 }, css: SPACED },
  { name: "words at 200 %", size: { width: 1280, height: 900 }, css: "html { font-size: 200% !important }", scrolls: true },
];
/** Longer than this moves; what only avoids a jump is no movement. */
const MOVES_MILLIS = 20;

await spec(async (house) => {
  const people = await everybody(house);
  const looked = new Set();
  await walk(house, people, async ({ role, context, path, kind }) => {
    const page = await context.newPage();
    const where = watch(page, house, role, { expected: /status (of )?40[34]/ });
    await page.goto(house.base + path);
    const found = await links(page);
    await page.evaluate(stilled);
    await page.evaluate(() => document.querySelectorAll("main details").forEach((details) => (details.open = true)));
    const skeleton = await page.evaluate(thinned);
    if (!looked.has(skeleton)) {
      looked.add(skeleton);
      for (const { name, size, css, scrolls } of WISHES) {
        await page.setViewportSize(size);
        await page.evaluate(dress, css);
        // Words alone at 200 % may make the page scroll sideways (1.4.4); cut off they must not be.
        const wide = scrolls ? "" : await tooWide(page);
        if (wide) house.problem(`${where()} ${name}`, wide);
        for (const what of await page.evaluate(cutOff)) house.problem(`${where()} ${name}`, `words cut off: ${what}`);
        await shot(page, `${role} ${kind} ${name}`);
      }
      await page.evaluate(dress, "");
      await page.emulateMedia({ reducedMotion: "reduce" });
      for (const what of await page.evaluate(moving, MOVES_MILLIS)) house.problem(where(), `moves though no movement is wished: ${what}`);
    }
    await page.close();
    return found;
  });
  house.row(`${looked.size} different pages, each with ${WISHES.map((wish) => wish.name).join("; ")}; and without movement`);
});

/** Runs in the page: the one style sheet that a reader brings along. */
function dress(css) {
  window.worn ??= new CSSStyleSheet();
  window.worn.replaceSync(css);
  document.adoptedStyleSheets = [window.worn];
}

/** Runs in the page: what is animated or glides. */
function moving(atMost) {
  const millis = (text) => Math.max(...text.split(",").map((one) => parseFloat(one) * (one.trim().endsWith("ms") ? 1 : 1000)));
  const found = new Set();
  if (getComputedStyle(document.documentElement).scrollBehavior === "smooth") found.add("scrolling");
  for (const element of document.querySelectorAll("*")) {
    const style = getComputedStyle(element);
    const animated = style.animationName !== "none" && millis(style.animationDuration) > atMost;
    const glides = style.transitionProperty !== "none" && millis(style.transitionDuration) > atMost;
    if (animated || glides) found.add(`${element.localName}.${element.getAttribute("class") ?? ""}`);
  }
  return [...found];
}
