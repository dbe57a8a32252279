// Forms when things go wrong: the session ends while somebody types, a form is sent twice, two tabs edit the same, somebody
// goes back after signing out, and links want to lead elsewhere.
import { signedIn, signIn, visitor } from "./lib/door.mjs";
import { loginOf, shot, spec } from "./lib/spec.mjs";
import { watch } from "./lib/watch.mjs";

/** What a person types once and does not want to type again. */
const TYPED = `Mit der Stelle telefoniert: „Konto <b>gesperrt</b> & geändert“ ${Date.now()}`;
const ELSEWHERE = [
  "//evil.example/",
  "https://evil.example/",
  "/\\evil.example",
  "\\\\evil.example",
  "/%09/evil.example",
  "/\t/evil.example",
  "javascript:window.__pwned=1",
  "data:text/html,x",
  "///evil.example",
  "https:evil.example",
  "/.evil.example/..//evil.example",
];

await spec(
  async (house) => {
    const analyst = loginOf(house, "Analyse");
    const context = await signedIn(house, analyst);
    const check = (name) => (holds, what) => (holds ? house.row(`ok  ${name}: ${what}`) : house.problem(name, `not so: ${what}`));
    await sessionEnds(house, analyst, check("the session ends while typing"));
    await sentTwice(house, context, check("sent twice"));
    await twoTabs(house, context, check("two tabs"));
    await leadElsewhere(house, context, check("links that lead elsewhere"));
    await goBack(house, analyst, check("back after signing out"));
  },
  // The driver switches the memory for going back off; people's browsers have it.
  { without: ["--disable-back-forward-cache"] },
);

/** The first incident that this person may work on. */
async function incidentOf(house, page) {
  await page.goto(`${house.base}/vorfaelle`);
  const href = await page.locator("main a[href^='/vorfall/']").first().getAttribute("href");
  await page.goto(house.base + href);
  return href;
}

/** All that a person sees or could send again, the contents of fields included. */
function shown(page) {
  return page.evaluate(() => {
    const fields = [...document.querySelectorAll("input, textarea")].map((field) => field.value);
    return [document.body.innerText, ...fields].join("\n");
  });
}

function press(page, selector) {
  return Promise.all([page.waitForNavigation(), page.locator(selector).first().click()]);
}

async function sessionEnds(house, analyst, check) {
  const context = await signedIn(house, analyst);
  const page = await context.newPage();
  watch(page, house, "Analyse", { expected: /status (of )?(401|403|409)/ });
  const incident = await incidentOf(house, page);
  await page.fill("form[action$='/notiz'] textarea", TYPED);
  await context.clearCookies();
  await press(page, "form[action$='/notiz'] button");
  check((await shown(page)).includes(TYPED), "what was typed is still there");
  await shot(page, "Sitzung zu Ende beim Tippen");
  const tab = await context.newPage();
  await signIn(tab, house.base, analyst);
  // As often as the page asks to send it again, which is twice at most: once to get a form of the new session.
  for (let times = 0; times < 2; times += 1) {
    if ((await page.locator("form[action$='/notiz'] button").count()) === 0 || page.url().includes("ok=")) break;
    await press(page, "form[action$='/notiz'] button");
    check(page.url().includes("ok=noted") || (await shown(page)).includes(TYPED), `still there after sending it again (${times + 1})`);
  }
  await page.goto(house.base + incident);
  check((await shown(page)).split(TYPED).length === 2, "after signing in again it is sent, once");
  await context.close();
}

async function sentTwice(house, context, check) {
  const page = await context.newPage();
  watch(page, house, "Analyse");
  const incident = await incidentOf(house, page);
  const text = `doppelt ${Date.now()}`;
  await page.fill("form[action$='/notiz'] textarea", text);
  await Promise.all([
    page.waitForNavigation(),
    page.locator("form[action$='/notiz'] button").first().evaluate((button) => {
      button.click();
      button.click();
      button.form.requestSubmit();
    }),
  ]);
  await page.goto(house.base + incident);
  const times = (await shown(page)).split(text).length - 1;
  check(times === 1, `a form is sent once (seen ${times} times)`);
  await page.close();
}

async function twoTabs(house, context, check) {
  const first = await context.newPage();
  const second = await context.newPage();
  watch(first, house, "Analyse");
  watch(second, house, "Analyse", { expected: /status (of )?409/ });
  await first.goto(`${house.base}/meldung/neu`);
  await first.fill("input[name=title]", `Zwei Fenster ${Date.now()}`);
  await first.fill("textarea[name=situation]", "Ein Entwurf, an dem zwei schreiben.");
  await first.fill("textarea[name=measures]", "Nicht gleichzeitig schreiben.");
  await press(first, "main form button:not([type=button])");
  const draft = new URL(first.url()).pathname;
  check(/^\/meldung\/[0-9A-Z]{26}$/.test(draft), "a draft is saved");
  await first.goto(`${house.base}${draft}/bearbeiten`);
  await second.goto(`${house.base}${draft}/bearbeiten`);
  await first.fill("textarea[name=situation]", "Das Erste.");
  await second.fill("textarea[name=situation]", TYPED);
  await press(first, "form[action$='/bearbeiten'] button:not([type=button])");
  check(first.url().includes("ok=saved"), "who saves first has saved");
  await press(second, "form[action$='/bearbeiten'] button:not([type=button])");
  check(!second.url().includes("ok=saved"), "who saves second is told");
  check((await shown(second)).includes(TYPED), "and still has what was typed");
  await shot(second, "zwei Fenster");
  await first.goto(house.base + draft);
  check((await shown(first)).includes("Das Erste."), "nothing of the first is lost");
  await Promise.all([first.close(), second.close()]);
}

async function leadElsewhere(house, context, check) {
  const page = await context.newPage();
  watch(page, house, "Analyse", { expected: /status (of )?404/ });
  for (const to of ELSEWHERE) {
    await page.goto(`${house.base}/login?weiter=${encodeURIComponent(to)}`);
    const pwned = await page.evaluate(() => window.__pwned);
    check(page.url().startsWith(`${house.base}/`) && !pwned, `${JSON.stringify(to)} when signed in`);
  }
  await page.close();
  const stranger = await (await visitor(house)).newPage();
  watch(stranger, house, "niemand", { expected: /status (of )?404/ });
  await signIn(stranger, house.base, loginOf(house, "Analyse"), `/login?weiter=${encodeURIComponent("//evil.example/")}`);
  check(stranger.url().startsWith(`${house.base}/`), "signing in with such a link stays here");
  await stranger.context().close();
}

async function goBack(house, analyst, check) {
  const context = await signedIn(house, analyst);
  const page = await context.newPage();
  watch(page, house, "Analyse");
  await incidentOf(house, page);
  const title = (await page.locator("h1").first().innerText()).trim();
  await page.locator("header details > summary").first().click();
  await press(page, "form[action='/logout'] button");
  check(new URL(page.url()).pathname === "/login", "signing out leads to the door");
  for (let times = 1; times <= 2; times += 1) {
    await page.goBack({ waitUntil: "load" }).catch(() => {});
    check(!(await shown(page)).includes(title) && new URL(page.url()).pathname === "/login", `${times} back shows nothing of the incident`);
  }
  await context.close();
}
