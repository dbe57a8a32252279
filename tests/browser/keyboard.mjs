// The keyboard alone, page by page: every control is reached by Tab, in an order that follows the page, is seen while it
// has the focus (WCAG 2.4.7, 2.4.11, 1.4.11), nothing holds the focus fast (2.1.2), and the skip link skips (2.4.1).
import { WIDTHS } from "./lib/axe.mjs";
import { everybody } from "./lib/door.mjs";
import { controls, focused } from "./lib/focus.mjs";
import { links, walk } from "./lib/pages.mjs";
import { spec } from "./lib/spec.mjs";
import { stilled, thinned } from "./lib/thin.mjs";
import { watch } from "./lib/watch.mjs";

await spec(async (house) => {
  const people = await everybody(house, { reducedMotion: "reduce" });
  const walked = new Set();
  const moved = new Set();
  let stops = 0;
  await walk(house, people, async ({ role, context, path }) => {
    const page = await context.newPage();
    const where = watch(page, house, role, { expected: /status (of )?40[34]/ });
    await page.goto(house.base + path);
    const found = await links(page);
    await page.evaluate(stilled);
    const skeleton = await page.evaluate(thinned);
    if (!walked.has(skeleton)) {
      walked.add(skeleton);
      for (const { name, ...size } of WIDTHS) {
        await page.setViewportSize(size);
        stops += await tabThrough(page, (what) => house.problem(`${where()} ${name}`, what), (what) => moved.add(what));
      }
      await skip(page, (what) => house.problem(where(), what));
    }
    await page.close();
    return found;
  });
  house.row(`${walked.size} different pages walked by Tab at ${WIDTHS.length} widths, ${stops} stops`);
  // Allowed as long as it means the same (2.4.3); whether it does, a person judges.
  for (const what of moved) house.row(`look at it: seen in another order than reached: ${what}`);
});

/** Presses Tab until the page is through; returns how many stops there were. */
async function tabThrough(page, say, note) {
  const expected = await page.evaluate(controls);
  for (const what of expected.wrong) say(what);
  for (const what of expected.moved) note(what);
  const reached = new Set();
  let last = null;
  let inside = 0;
  let stops = 0;
  // Regions that scroll are stops too, and nothing is counted twice: far fewer presses than this are needed.
  for (let press = 0; press < expected.count * 2 + 20; press += 1) {
    await page.keyboard.press("Tab");
    const stop = await page.evaluate(focused);
    if (!stop) break;
    // A field for dates has stops of its own inside.
    inside = stop.n === last ? inside + 1 : 0;
    if (inside > stop.parts) {
      say(`the focus stays on ${stop.what}`);
      break;
    }
    if (inside > 0) continue;
    if (reached.has(stop.n)) break;
    stops += 1;
    last = stop.n;
    reached.add(stop.n);
    for (const what of stop.wrong) say(`${what}: ${stop.what}`);
  }
  const missed = await page.evaluate((reached) => window.walkMissed(reached), [...reached]);
  for (const what of missed) say(`not reached by Tab: ${what}`);
  return stops;
}

/** The first stop leads past the navigation, where there is one. */
async function skip(page, say) {
  if ((await page.$("nav")) === null) return;
  await page.evaluate(controls);
  await page.keyboard.press("Tab");
  const target = await page.evaluate(() => document.activeElement?.matches("a[href^='#']") && document.activeElement.getAttribute("href"));
  if (!target) return say("the first stop is no link past the navigation");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  const beyond = await page.evaluate((target) => {
    const main = document.querySelector(target);
    const at = document.activeElement;
    return Boolean(main && at && (main.contains(at) || main.compareDocumentPosition(at) & Node.DOCUMENT_POSITION_FOLLOWING || at === document.body));
  }, target);
  if (!beyond) say(`the link past the navigation leads back into it`);
}
