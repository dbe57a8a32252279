// The main ways without any script: sign in, look at an incident, take it, note, change its state, search, acknowledge a
// warning by its link, report an incident by a link, sign out. Pages work without JavaScript; modules only make them better.
import { signIn, visitor } from "./lib/door.mjs";
import { loginOf, shot, spec } from "./lib/spec.mjs";
import { watch } from "./lib/watch.mjs";

await spec(async (house) => {
  const context = await visitor(house, { javaScriptEnabled: false, viewport: { width: 320, height: 700 } });
  const page = await context.newPage();
  const where = watch(page, house, "ohne Skript", { expected: /status (of )?422/ });
  const check = (holds, what) => (holds ? house.row(`ok  ${what}`) : house.problem(where(), `not so: ${what}`));
  const says = async (text) => (await page.locator("body").innerText()).includes(text);
  const send = (selector) => Promise.all([page.waitForNavigation(), page.locator(selector).first().click()]);
  const analyst = loginOf(house, "Analyse");

  await page.goto(`${house.base}/login`);
  await page.fill("input[name=konto]", analyst.login);
  await page.fill("input[name=kennwort]", "nicht dieses Kennwort");
  await send("form[action='/login'] button");
  check((await page.inputValue("input[name=konto]")) === analyst.login, "a wrong password keeps the name");
  await signIn(page, house.base, analyst, "/login?weiter=%2Fvorfaelle");
  check(new URL(page.url()).pathname === "/vorfaelle", "signing in leads to where somebody wanted to go");

  await page.locator("main a[href^='/vorfall/']").first().click();
  const incident = new URL(page.url()).pathname;
  check(incident.startsWith("/vorfall/"), "an incident opens from the list");
  await shot(page, "ohne Skript Vorfall");
  const note = `Rückruf um ${new Date().toISOString()}`;
  await page.fill("form[action$='/notiz'] textarea", note);
  await send("form[action$='/notiz'] button");
  check(await says(note), "a note stands in the incident");
  if ((await page.locator("form[action$='/uebernehmen'] button").count()) > 0) {
    await send("form[action$='/uebernehmen'] button");
    check((await page.locator("form[action$='/uebernehmen']").count()) === 0, "an incident taken is no longer offered");
  }
  const moves = page.locator("form[action$='/stand'] select[name=nach] option");
  if ((await moves.count()) > 0) {
    const label = await moves.first().innerText();
    await page.selectOption("form[action$='/stand'] select[name=nach]", { index: 0 });
    await send("form[action$='/stand'] button");
    check(page.url().includes("ok=moved"), `its state changes: ${label}`);
  }
  for (const menu of await page.locator("main details > summary").all()) {
    if (await menu.isVisible()) {
      await menu.click();
      break;
    }
  }

  await page.goto(`${house.base}/suche`);
  await page.fill("#anfrage", "sshd");
  await send("main form[action='/suche'] button");
  check(page.url().includes("q=sshd") && (await page.locator("main table tbody tr").count()) > 0, "the search finds lines");
  if ((await page.locator("a[rel=next]").count()) > 0) {
    await send("a[rel=next]");
    check((await page.locator("main table tbody tr").count()) > 0, "and leads to older ones");
  }

  // The demo's mailbox has the mails that went out; each leads to a page that needs no login.
  await page.goto(`${house.base}/postfach`);
  const mails = await page.locator("main a[href^='/postfach/']").evaluateAll((all) => all.map((a) => a.getAttribute("href"))).catch(() => []);
  const hrefs = mails.length > 0 ? mails : await hrefsOf(page, "main a[href^='/postfach/']");
  let link = null;
  for (const mail of hrefs.slice(0, 20)) {
    await page.goto(house.base + mail);
    [link] = await hrefsOf(page, "main a[href*='/w/']");
    if (link) break;
  }
  if (link) {
    const stranger = await (await visitor(house, { javaScriptEnabled: false })).newPage();
    watch(stranger, house, "niemand");
    await stranger.goto(house.base + new URL(link, house.base).pathname);
    await Promise.all([stranger.waitForNavigation(), stranger.locator("form button[value=gelesen]").click()]);
    check((await stranger.locator("[role=status]").count()) > 0, "a warning is acknowledged by its link alone");
    await stranger.context().close();
  } else {
    house.row("--  no mail with a link to acknowledge in the demo's mailbox");
  }

  // A municipality reports: an analyst reads a link out, and nobody signs in behind it.
  await page.goto(`${house.base}/vorfaelle/meldelinks`);
  await page.selectOption("select[name=an]", { index: 1 });
  await send("form[action='/vorfaelle/meldelinks'] button[value=zeigen]");
  const way = new URL(await page.inputValue("#link"), house.base).pathname;
  const reporter = await (await visitor(house, { javaScriptEnabled: false, viewport: { width: 320, height: 700 } })).newPage();
  watch(reporter, house, "meldet", { expected: /status (of )?422/ });
  const told = "Alle Dateien im Rathaus sind verschlüsselt";
  await reporter.goto(house.base + way);
  await reporter.fill("textarea[name=was]", told);
  await reporter.fill("input[name=seit]", "2099-01-01T08:00");
  await Promise.all([reporter.waitForNavigation(), reporter.locator("form button").click()]);
  check((await reporter.inputValue("textarea[name=was]")) === told, "a wrong time keeps what was told");
  await reporter.fill("input[name=seit]", "");
  await reporter.fill("input[name=telefon]", "03634 350-0");
  await Promise.all([reporter.waitForNavigation(), reporter.locator("form button").click()]);
  const number = (await reporter.locator("h1 .mono").innerText()).trim();
  check(/^TC-\d{4}-\d{6}$/.test(number), `a municipality reports without a login: ${number}`);
  await shot(reporter, "ohne Skript Meldung");
  await reporter.goto(house.base + way);
  check((await reporter.locator("form").count()) === 0, "the link is used up and shows the receipt");
  await reporter.context().close();
  await page.goto(`${house.base}/vorfall/${number}`);
  check(await says(told), "and the analyst has the case");

  await page.goto(house.base + incident);
  await page.locator("details.user > summary, header details > summary").first().click();
  await send("form[action='/logout'] button");
  check(new URL(page.url()).pathname === "/login", "signing out leads to the door");
  await page.goto(house.base + incident);
  check(new URL(page.url()).pathname === "/login", "and nothing is seen afterwards");
});

/** Without scripts nothing can be evaluated in the page; the driver reads the attributes. */
async function hrefsOf(page, selector) {
  const all = await page.locator(selector).all();
  return Promise.all(all.map((one) => one.getAttribute("href")));
}
