// Through the door: once per role; what the browser then knows (its cookies) opens any number of pages.
import { watch } from "./watch.mjs";

const CONTEXT = { locale: "de-DE", timezoneId: "Europe/Berlin", viewport: { width: 1280, height: 900 } };

/** Fills the door's form as a person does; the page is then behind it. */
export async function signIn(page, base, { login, password }, path = "/login") {
  await page.goto(base + path);
  await page.fill("input[name=konto]", login);
  await page.fill("input[name=kennwort]", password);
  await Promise.all([
    page.waitForURL((url) => !url.pathname.startsWith("/login"), { timeout: 30_000 }),
    page.press("input[name=kennwort]", "Enter"),
  ]);
}

/** A browser's profile with nobody signed in. Its pages are there when their modules have started, where they have any. */
export async function visitor(house, options = {}) {
  const context = await house.browser.newContext({ ...CONTEXT, ...options });
  if (options.javaScriptEnabled !== false) {
    context.on("page", (page) => {
      const goto = page.goto.bind(page);
      page.goto = async (...where) => {
        const answer = await goto(...where);
        await page.waitForFunction(started);
        return answer;
      };
    });
  }
  return context;
}

/** Runs in the page: whether the modules have put in order what Tab reaches. A page that shows nothing of ours has none. */
function started() {
  return !document.querySelector("script[src$='/app.js']") || document.documentElement.dataset.started !== undefined;
}

/** A browser's profile in which somebody is signed in. */
export async function signedIn(house, login, options = {}) {
  const context = await visitor(house, options);
  const page = await context.newPage();
  watch(page, house, login.role);
  try {
    await signIn(page, house.base, login);
  } catch (error) {
    house.problem(login.role, `cannot sign in: ${error.message.split("\n")[0]}`);
  }
  await page.close();
  return context;
}

/** One profile per role, at the same time: [{ role, context }]; nobody is a role too. */
export async function everybody(house, options = {}) {
  const roles = house.logins.map(async (login) => ({ role: login.role, context: await signedIn(house, login, options) }));
  return [{ role: "niemand", context: await visitor(house, options) }, ...(await Promise.all(roles))];
}
