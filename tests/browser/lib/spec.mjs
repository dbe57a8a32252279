// What every spec here is: called as `node SPEC BASE LOGINS [INTAKE]`, looks at the running program at BASE, prints a
// table, then what is wrong, one `PROBLEM` a line, and fails if there is any.
//   LOGINS  [{"role": …, "login": …, "password": …}, …] as JSON, one per role
//   INTAKE  host:port of the syslog listener for streams, where the spec sends lines
//   WARTBURG_SHOTS=DIR  keeps screenshots
import { mkdirSync } from "node:fs";
import { launch } from "./browser.mjs";

/** An address or an element can be far longer than what it tells. */
const SAID_CHARS = 600;

/** Runs a spec. It gets the arguments, a browser, and where to say what it saw (`row`) and what is wrong (`problem`). */
export async function spec(run, options = {}) {
  const [base, logins, intake] = process.argv.slice(2);
  if (!base || !logins) {
    console.error("usage: node SPEC BASE LOGINS [INTAKE]; see README.md");
    process.exit(2);
  }
  const started = performance.now();
  const problems = new Map();
  const house = {
    base,
    intake,
    logins: JSON.parse(logins),
    // The same on many pages is one problem: usually one line of a template or a style mends it.
    problem: (where, what) => {
      const said = what.slice(0, SAID_CHARS);
      problems.set(said, (problems.get(said) ?? new Set()).add(where.slice(0, SAID_CHARS)));
    },
    row: (...cells) => console.log(cells.map((cell) => String(cell)).join("  ")),
  };
  house.browser = await launch(options);
  try {
    await run(house);
  } catch (error) {
    // The driver's own words tell of requests with their cookies: only the first line, and where in the spec it was.
    const places = (error.stack ?? "").split("\n").filter((line) => /^\s+at /.test(line));
    house.problem("the walk ended early", [String(error.message ?? error).split("\n")[0], ...places].join("\n"));
    for (const page of house.browser.contexts().flatMap((context) => context.pages())) {
      const seen = await page.evaluate(() => document.querySelector("main")?.innerText ?? "").catch(() => "");
      console.log(`then open: ${page.url()}\n${seen.replace(/\s+/g, " ").slice(0, 2 * SAID_CHARS)}`);
    }
  } finally {
    await house.browser.close().catch(() => {});
  }
  for (const [what, places] of problems) {
    const [first, ...others] = places;
    console.log(`PROBLEM ${first}${others.length > 0 ? ` (and ${others.length} more places, such as ${others.at(-1)})` : ""}: ${what}`);
  }
  console.log(`${problems.size} problems, ${Math.round((performance.now() - started) / 1000)} s`);
  process.exit(problems.size > 0 ? 1 : 0);
}

/** Who has which role; the spec says so where there is nobody. */
export function loginOf(house, role) {
  const found = house.logins.find((login) => login.role === role);
  if (!found) throw new Error(`no login for the role ${role} among ${house.logins.map((login) => login.role).join(", ")}`);
  return found;
}

/** A picture for people, where they asked for any. */
export async function shot(page, name) {
  const folder = process.env.WARTBURG_SHOTS;
  if (!folder) return;
  mkdirSync(folder, { recursive: true });
  await page.screenshot({ path: `${folder}/${name.replaceAll(/[^\p{L}\p{N}-]+/gu, "_")}.png`, fullPage: true });
}
