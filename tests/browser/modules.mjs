// What the ES modules promise, in a real browser against the running demo: the grid with 100,000 rows, the value menu,
// the keys and their help, the one stream of all tabs, forms that lose nothing, and all of it without script. Times are
// printed and never judged.
import { until } from "./lib/browser.mjs";
import { signIn as enterBy, visitor } from "./lib/door.mjs";
import { loginOf, spec } from "./lib/spec.mjs";
import { watch as watched } from "./lib/watch.mjs";

/** What is tried here: a session that ends, a stream that is full. */
const EXPECTED = /status (of )?(40[13]|503)/;

/** aria-rowindex and column of the cell with the focus. */
const at = (page) =>
  page.evaluate(() => {
    const cell = document.activeElement?.closest("td, th");
    return cell ? `${cell.parentElement.getAttribute("aria-rowindex") ?? 1}/${cell.cellIndex}` : document.activeElement?.localName;
  });
const press = async (page, ...keys) => {
  for (const key of keys) await page.keyboard.press(key);
  await page.waitForFunction(() => !document.querySelector(".grid .wait"));
};

await spec(async (house) => {
  const { base } = house;
  const analyst = loginOf(house, "Analyse");
  const watch = (page) => watched(page, house, "Analyse", { expected: EXPECTED });
  const signIn = (page) => enterBy(page, base, analyst);
  const is = (what, found, wanted) => {
    const same = JSON.stringify(found) === JSON.stringify(wanted);
    house.row(same ? "ok" : "NO", what);
    if (!same) house.problem(what, `${JSON.stringify(found)} instead of ${JSON.stringify(wanted)}`);
  };
  /** Asks until it is as wanted, for focus and parts of a page come a moment after the key. */
  const settles = async (what, ask, wanted) => {
    let found;
    // A page that is left meanwhile answers with an error: it is asked again.
    const asked = () => ask().catch((error) => error.message.split("\n")[0]);
    await until(what, async () => JSON.stringify((found = await asked())) === JSON.stringify(wanted), 20_000).catch(() => {});
    is(what, found, wanted);
  };
  const enter = async (options = {}) => {
    const context = await visitor(house, options);
    const page = await context.newPage();
    watch(page);
    await signIn(page);
    return { context, page };
  };

  const { context, page } = await enter();

  // The grid
  await page.goto(`${base}/bausteine/raster`);
  await page.waitForSelector(".grid-scroll");
  await settles("all rows are announced", () => page.getAttribute("table[role=grid]", "aria-rowcount"), "100001");
  await settles("one cell is in the order of Tab", () => page.$$eval(".grid table [tabindex='0']", (all) => all.length), 1);
  await page.focus(".grid table [tabindex='0']");
  for (const [keys, wanted] of [
    [["ArrowDown"], "3/0"],
    [["ArrowRight", "ArrowRight"], "3/2"],
    [["End"], "3/4"],
    [["Home"], "3/0"],
    [["Control+End"], "100001/4"],
    [["Control+Home"], "2/0"],
    [["ArrowUp"], "1/0"],
    [["ArrowDown", "j", "j", "k"], "3/0"],
  ]) {
    await press(page, ...keys);
    await settles(`after ${keys.join(" ")}`, () => at(page), wanted);
  }
  await press(page, "PageDown");
  await settles("a page is as long as what is seen", async () => Number((await at(page)).split("/")[0]) > 10, true);
  const most = await page.evaluate(async () => {
    const scroll = document.querySelector(".grid-scroll");
    let most = 0;
    for (let n = 0; n < 40; n += 1) {
      scroll.scrollTop = Math.random() * scroll.scrollHeight;
      await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
      most = Math.max(most, document.querySelectorAll(".grid tr").length);
    }
    return most;
  });
  is(`at most a hundred rows in the document (${most})`, most <= 100, true);
  await page.focus(".grid table [tabindex='0']");
  await press(page, "Control+Home", "Control+f");
  await page.keyboard.type("99998");
  await page.keyboard.press("Enter");
  await page.waitForSelector(".grid tr.chosen");
  await settles("the grid's own search finds in rows that were never loaded", () => page.$eval(".grid tr.chosen", (row) => row.textContent.includes("99998")), true);
  await press(page, "Escape");
  await settles("and the focus is there", () => page.evaluate(() => document.activeElement.closest("tr")?.classList.contains("chosen")), true);
  await press(page, "Enter");
  await page.waitForSelector(".grid-detail:not([hidden])");
  await settles("Enter opens the row's details", () => page.$eval(".grid-detail", (part) => part.contains(document.activeElement) && part.textContent.includes("host.name")), true);
  await press(page, "Escape");
  await settles("Escape closes them and returns", () => page.evaluate(() => [document.querySelector(".grid-detail").hidden, document.activeElement.closest("tr") !== null]), [true, true]);

  // The menu
  await press(page, "Control+Home", "ArrowRight", "ArrowRight", ".");
  await settles("the menu opens by its key", () => page.evaluate(() => document.activeElement.textContent), "Nur dieser Wert");
  await page.keyboard.press("ArrowUp");
  await settles("its keys go round", () => page.evaluate(() => document.activeElement.textContent), "Kopieren");
  await settles("it lies in the window", () => page.$eval("details.value-menu[open] > ul", (list) => { const box = list.getBoundingClientRect(); return box.left >= 0 && box.top >= 0 && box.right <= innerWidth && box.bottom <= innerHeight; }), true);
  await page.keyboard.press("Escape");
  await settles("Escape returns to the cell", () => at(page), "2/2");
  await page.click("tbody tr:nth-child(3) summary >> nth=0");
  await page.click("tbody tr:nth-child(5) summary >> nth=0");
  await settles("one is open at a time", () => page.$$eval("details.value-menu[open]", (all) => all.length), 1);
  await page.keyboard.press("Escape");

  // Help
  await page.keyboard.press("?");
  await settles("help names the page's keys", () => page.$eval("#tasten", (help) => help.open && ["Raster", "im Raster suchen", "Menü des Werts öffnen"].every((text) => help.textContent.includes(text))), true);
  await page.click("#tasten input[type=checkbox]");
  await page.keyboard.press("Escape");
  await page.keyboard.press("?");
  await settles("single keys can be switched off", () => page.$eval("#tasten", (help) => help.open), false);
  await page.click("#tasten-auf");
  await page.click("#tasten input[type=checkbox]");
  await page.keyboard.press("Escape");

  // How quick: first rows after the page's own start, and a jump until the rows are painted.
  const paints = [];
  for (let n = 0; n < 5; n += 1) {
    await page.goto(`${base}/bausteine/raster`);
    await page.waitForSelector(".grid-scroll");
    paints.push(await page.evaluate(() => {
      const [first] = performance.getEntriesByName("first-contentful-paint");
      const { responseEnd } = performance.getEntriesByType("navigation")[0];
      return [Math.round(first.startTime - responseEnd), Math.round((performance.getEntriesByName("wartburg-grid")[0]?.startTime ?? 0) - responseEnd), Math.round(performance.getEntriesByName("wartburg-grid")[0]?.duration ?? 0)];
    }));
  }
  const jumps = await page.evaluate(async () => {
    const scroll = document.querySelector(".grid-scroll");
    const height = document.querySelector(".grid tbody tr").getBoundingClientRect().height;
    const times = [];
    for (let n = 1; n <= 12; n += 1) {
      const row = (n * 7919 * 11) % 99_000;
      const start = performance.now();
      scroll.scrollTop = row * height;
      await new Promise((done) => {
        const look = () => {
          const there = document.querySelector(`.grid tr[aria-rowindex="${row + 2}"]:not(.wait)`);
          requestAnimationFrame(there ? done : look);
        };
        look();
      });
      times.push(Math.round(performance.now() - start));
    }
    return times.sort((a, b) => a - b);
  });
  house.row(`grid: [first paint after the answer, grid begun, grid's own work] ms ${JSON.stringify(paints)}; jumps ms ${JSON.stringify(jumps)}`);

  // The search: lines by cursor
  await page.goto(`${base}/suche?zeit=24h`);
  await page.waitForSelector(".grid-scroll");
  const before = await page.$eval(".grid", (grid) => Number(grid.querySelector("table").getAttribute("aria-rowcount")));
  await page.focus(".grid table [tabindex='0']");
  await press(page, "Control+End");
  await settles("lines by cursor go on", async () => before <= 101 || Number((await at(page)).split("/")[0]) > 101, true);
  await press(page, "Control+Home", "Enter");
  await page.waitForSelector(".grid-detail:not([hidden]) dl");
  await settles("a line shows its fields", () => page.$eval(".grid-detail", (part) => part.textContent.includes("event.sequence")), true);
  await press(page, "Escape");

  // The search's own: suggestions, an answer in its place, progress that can be ended, keys for values
  await page.goto(`${base}/suche?zeit=24h`);
  await page.waitForSelector("#anfrage-vorschlag", { state: "attached" });
  await page.evaluate(() => (window.stays = true));
  await page.focus("#anfrage");
  await page.keyboard.type("event.outc");
  await settles("fields are suggested", () => page.$eval("#anfrage-vorschlag", (list) => !list.hidden && list.textContent.includes("event.outcome:")), true);
  await press(page, "ArrowDown", "Enter");
  await settles("and taken", () => page.inputValue("#anfrage"), "event.outcome:");
  await page.keyboard.type("failure | cou");
  await press(page, "ArrowDown", "Tab");
  await settles("steps too", () => page.inputValue("#anfrage"), "event.outcome:failure | count by ");
  await page.keyboard.type("site");
  await press(page, "Enter");
  await settles("the answer comes in its place", () => page.evaluate(() => [window.stays, location.search.includes("count%20by%20site") || location.search.includes("count+by+site"), document.querySelectorAll(".piped tbody tr").length > 0]), [true, true, true]);
  await settles("the search above says the same", () => page.inputValue(".find input"), "event.outcome:failure | count by site");
  await page.route(/\/suche\?/, () => {});
  await page.fill("#anfrage", "langsam");
  await page.press("#anfrage", "Enter");
  await page.waitForSelector(".search-wait:not([hidden])");
  await settles("a search that runs says so", () => page.$eval(".search-wait", (line) => line.textContent.includes("höchstens 10 s")), true);
  await page.keyboard.press("Escape");
  await settles("Escape ends it and leaves what was there", () => page.evaluate(() => [document.querySelector(".search-wait"), document.querySelector("[aria-busy]"), document.querySelectorAll(".piped tbody tr").length > 0]), [null, null, true]);
  await page.unroute(/\/suche\?/);
  await page.goto(`${base}/suche?q=event.outcome:failure&zeit=24h`);
  await page.waitForSelector(".grid-scroll");
  await page.focus(".grid table [tabindex='0']");
  await press(page, "Control+Home", "ArrowRight", "ArrowRight", "x");
  await page.waitForURL((url) => url.searchParams.get("q").includes("NOT host.name:"));
  await settles("a key leaves the chosen value out", () => page.$eval(".grid-scroll", (grid) => grid !== null), true);
  await page.click(".facet .but >> nth=0");
  await page.waitForURL((url) => url.searchParams.get("q").split("NOT ").length === 3);
  await page.goto(`${base}/suche?q=event.outcome:failure+%7C+patterns&zeit=24h`);
  // Most lines here are of a firewall whose lines pseudonyms reduced to their fields: these open too.
  await page.locator(".piped tbody tr", { hasText: "iptables blocked" }).locator("summary").first().click();
  await page.click(".piped details[open] a");
  await page.waitForURL((url) => !url.searchParams.get("q").includes("|"));
  await page.waitForSelector(".grid-scroll");
  await settles("a pattern opens to its lines", () => page.$$eval(".grid tbody tr", (rows) => rows.length > 0), true);

  // One stream for all tabs, and what it brings
  const streams = [];
  context.on("request", (request) => new URL(request.url()).pathname === "/strom" && streams.push(request));
  const opened = page.waitForRequest((request) => new URL(request.url()).pathname === "/strom").catch(() => house.problem("/", "no stream was opened"));
  await page.goto(`${base}/`);
  await opened;
  const second = await context.newPage();
  watch(second);
  await second.goto(`${base}/`);
  await second.waitForTimeout(1500);
  is("two tabs have one stream", streams.length, 1);
  const next = context.waitForEvent("request", { predicate: (request) => new URL(request.url()).pathname === "/strom", timeout: 10_000 });
  await page.goto(`${base}/vorfaelle`);
  await settles("the other tab takes it over", () => next.then(() => true, () => false), true);
  await second.close();

  // Forms: a session that ended keeps what was typed
  const incident = await page.$eval("a[href^='/vorfall/']", (link) => link.getAttribute("href"));
  await page.goto(base + incident);
  await page.fill("#notiz", "Wichtig: nicht verlieren.");
  await context.clearCookies();
  await page.click("button:has-text('Notiz hinzufügen')");
  await page.waitForLoadState();
  await signIn(page);
  await page.goto(base + incident);
  await page.waitForSelector(".toast");
  await settles("the text is there again after signing in", () => page.inputValue("#notiz"), "Wichtig: nicht verlieren.");
  await page.click("button:has-text('Notiz hinzufügen')");
  await page.waitForURL((url) => url.searchParams.get("ok") === "noted");
  await page.goto(base + incident);
  await settles("and is forgotten when it was saved", () => page.inputValue("#notiz"), "");

  // Without script
  const bare = await enter({ javaScriptEnabled: false });
  await bare.page.goto(`${base}/bausteine/raster`);
  await bare.page.click("tbody summary >> nth=0");
  await settles("without script the menu is a list of links", () => bare.page.isVisible("details[open] a:has-text('Nur dieser Wert')"), true);
  await bare.page.goto(`${base}/bausteine/raster`);
  await bare.page.click("#seiten a[rel=next]");
  await settles("and the rows come by pages", () => bare.page.textContent("tbody th"), "100");
  await bare.page.click("tbody a[data-detail] >> nth=0");
  is("and a row has its page", (await bare.page.textContent("h1")).includes("100"), true);
  await bare.page.goto(`${base}/suche?zeit=24h`);
  await bare.page.fill("#anfrage", "event.outcome:failure | count by site");
  await bare.page.click("main form[role=search] button");
  is("and a pipe makes its table", (await bare.page.$$(".piped tbody tr")).length > 0, true);
  await bare.page.goto(`${base}/suche?zeit=24h`);
  await bare.page.fill("#nach", "destination.port");
  await bare.page.click(".facet-add button");
  is("and a field is counted", await bare.page.textContent(".facet h3 a >> nth=0"), "destination.port");
});
