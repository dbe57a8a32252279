// axe on a page in every theme and at every width, on one load of the page.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const source = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export const WIDTHS = [
  { name: "1280", width: 1280, height: 900 },
  { name: "320", width: 320, height: 700 },
];

export const THEMES = [
  { name: "hell", media: { colorScheme: "light", forcedColors: "none" } },
  { name: "dunkel", media: { colorScheme: "dark", forcedColors: "none" } },
  { name: "kontrast", media: { colorScheme: "dark", forcedColors: "active" } },
];

const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa", "EN-301-549"];
/** The rules of axe that look at colours; all others look at elements, their places and their names. */
const COLOURS = ["color-contrast", "link-in-text-block"];

/**
 * Runs in the page: a number for where everything stands and whether it is seen. A theme that moves and hides nothing
 * cannot change what the rules besides those of colours say, so they are not asked again.
 */
function places() {
  // Colours that glide to the new theme's are there at once.
  for (const animation of document.getAnimations()) animation.cancel();
  let hash = 0;
  for (const element of document.querySelectorAll("*")) {
    const { x, y, width, height } = element.getBoundingClientRect();
    const seen = width > 0 && element.checkVisibility({ visibilityProperty: true });
    for (const part of [x, y, width, height, seen ? 1 : 0]) hash = (Math.imul(hash, 31) + Math.round(part)) | 0;
  }
  return hash;
}

/**
 * Runs in the page: marks what stands around the page's own contents (navigation, bar, foot) and returns its skeleton,
 * without where one is and how much is new.
 */
export function framed() {
  const frame = [];
  for (let at = document.querySelector("main"); at && at !== document.body; at = at.parentElement) {
    for (const other of at.parentElement.children) {
      if (other === at || other.matches("script, template")) continue;
      other.dataset.frame = "";
      frame.push(other.outerHTML.replaceAll(/>[^<]+</g, "><").replaceAll(/ (aria-current|value|href)="[^"]*"/g, ""));
    }
  }
  return frame.join("").replaceAll(/<span[^>]*>|<\/span>/g, "");
}

/** Runs in the page: what axe finds below `root`, in short; `bare` leaves the frame out. */
async function judged({ root, bare, rules, tags }) {
  const options = {
    runOnly: rules ? { type: "rule", values: rules } : { type: "tag", values: tags },
    rules: rules ? {} : { "target-size": { enabled: true } },
    resultTypes: ["violations"],
    elementRef: false,
  };
  const { violations } = await axe.run(root ?? { include: [["html"]], exclude: bare ? [["[data-frame]"]] : [] }, options);
  return violations.map(({ id, help, nodes }) => {
    const all = nodes.map((node) => `${node.html.slice(0, 160)} ${node.any[0]?.message ?? ""}`);
    return `axe ${id}: ${help} (${nodes.length}): ${all[0]}`;
  });
}

/** Where a page is seen: `then` is called once for each width and theme, with the page in that state. */
export async function inEveryMode(page, then, widths = WIDTHS) {
  for (const { name, width, height } of widths) {
    await page.setViewportSize({ width, height });
    for (const theme of THEMES) {
      await page.emulateMedia(theme.media);
      await then(`${name} ${theme.name}`, theme);
    }
  }
  await page.emulateMedia({ colorScheme: null, forcedColors: null });
  await page.setViewportSize(WIDTHS[0]);
}

/** How often axe judged, for the table. */
export const counts = { full: 0, colours: 0 };

/** All that axe says of the page, below `root` (a selector) or without its frame (`bare`) where asked so: [[mode, what], …]. */
export async function accessible(page, { root, bare } = {}) {
  await page.evaluate(source);
  const found = [];
  let before = null;
  await inEveryMode(page, async (mode, theme) => {
    if (theme === THEMES[0]) before = null;
    const now = await page.evaluate(places);
    const rules = now === before ? COLOURS : undefined;
    before = now;
    counts[rules ? "colours" : "full"] += 1;
    for (const what of await page.evaluate(judged, { root, bare, rules, tags: TAGS })) found.push([mode, what]);
  });
  return found;
}
