// The queue: an analyst triages twenty alerts by keyboard alone with at most three keys each, and what the keys did is what is
// stored; what cannot be done is said in words. Many at once by the boxes, without a script. Needs a program of its own, for it
// judges alerts; those come as lines over the wire, from a body's own address, through the shipped rules.
import { connect } from "node:net";
import { until } from "./lib/browser.mjs";
import { signedIn, signIn, visitor } from "./lib/door.mjs";
import { loginOf, shot, spec } from "./lib/spec.mjs";
import { watch } from "./lib/watch.mjs";

const TRIAGED = 20;
const KEYS_MAX = 3;
/** More than are triaged: some are left for the boxes. */
const HOSTS = 28;
/** Where one of the demo's bodies sends from; whose a line is follows from its address. */
const SENDER = "127.16.53.9";

/** What an analyst does to the alerts in turn: the keys, and how the alert stands afterwards. */
const ACTS = [
  { keys: ["f"], state: "closed", disposition: "false_positive", said: "geschlossen: Fehlalarm" },
  { keys: ["o", "z"], state: "closed", disposition: "true_positive", said: "geschlossen: zutreffend" },
  { keys: ["b"], state: "acknowledged", disposition: null, said: "bestätigt" },
  { keys: ["e"], state: "closed", disposition: "benign", said: "geschlossen: zutreffend, aber erlaubt" },
];

/** The key of the row with the focus. */
const at = (page) => page.evaluate(() => document.activeElement?.closest("[data-rows] > tr")?.dataset.key ?? null);
const said = (page, id) => page.evaluate((id) => document.getElementById(id)?.dataset.said ?? "", id);

await spec(async (house) => {
  const analyst = loginOf(house, "Analyse");
  const context = await signedIn(house, analyst);
  await alertsComeIn(house, context);
  const is = (what, found, wanted = true) => {
    const same = JSON.stringify(found) === JSON.stringify(wanted);
    house.row(same ? "ok" : "NO", what);
    if (!same) house.problem(what, `${JSON.stringify(found)} instead of ${JSON.stringify(wanted)}`);
  };
  await byKeyboard(house, context, is);
  await byBoxes(house, context, analyst, is);
});

/** Somebody becomes administrator on one machine after the other: an alert of each. */
async function alertsComeIn(house, context) {
  const [host, port] = house.intake.split(":");
  const stamp = new Date().toISOString();
  await new Promise((resolve, reject) => {
    const socket = connect({ host, port: Number(port), localAddress: SENDER }, () => {
      for (let n = 1; n <= HOSTS; n += 1) {
        const line = `<86>1 ${stamp} pc-triage-${n} usermod ${4_000 + n} - - add 'sysupdate' to group 'sudo'`;
        socket.write(`${line.length} ${line}`);
      }
      socket.end();
    });
    socket.on("error", reject).on("close", resolve).resume();
  });
  await until(`${HOSTS} new alerts`, async () => (await alertsOf(house, context, "state=new&rule=new_admin_account")).length >= HOSTS);
}

async function alertsOf(house, context, query) {
  const answer = await context.request.get(`${house.base}/api/v1/alerts?limit=200&${query}`);
  return (await answer.json()).alerts;
}

async function byKeyboard(house, context, is) {
  const page = await context.newPage();
  // Refusals are tried here, and a connection that breaks.
  watch(page, house, "Analyse", { expected: /status (of )?409|ERR_FAILED/ });
  await page.goto(`${house.base}/alarme`);
  const ids = await page.$$eval("[data-rows] > tr", (rows) => rows.map((row) => row.dataset.key));
  is("the page has enough to do", ids.length >= TRIAGED);
  is("its keys stand on the page", await page.isVisible("#tasten-liste kbd >> text=f"));

  // Outside of the list they mean nothing, and in a field they are letters.
  await page.evaluate(() => document.activeElement?.blur());
  await page.keyboard.press("f");
  is("a field that the act does not ask for is not shown", await page.isVisible("#nummer"), false);
  await page.selectOption("#tat", "vorfall");
  await page.focus("#nummer");
  await page.keyboard.type("bfz");
  is("a field takes letters", await page.inputValue("#nummer"), "bfz");
  await page.fill("#nummer", "");
  await page.evaluate(() => document.activeElement?.blur());
  is("and nothing has happened", (await alertsOf(house, context, "state=new")).filter(({ id }) => ids.includes(id)).length, ids.length);

  const pressed = [];
  const press = async (keys) => {
    for (const key of keys) await page.keyboard.press(key);
    return keys.length;
  };
  const entry = await press(["j"]);
  is("j begins with the first", await at(page), ids[0]);
  for (let n = 0; n < TRIAGED; n += 1) {
    // The way into the list counts for the first.
    pressed.push((await press(ACTS[n % ACTS.length].keys)) + (n === 0 ? entry : 0));
    await page.waitForFunction((id) => document.activeElement?.closest("tr")?.dataset.key === id, ids[n + 1] ?? ids[n]);
  }
  is(`at most ${KEYS_MAX} keys each (${pressed.join(" ")})`, Math.max(...pressed) <= KEYS_MAX);
  const wanted = (n) => ACTS[n % ACTS.length];
  for (let n = 0; n < TRIAGED; n += 1) {
    await until(`row ${n} to say what became of it`, async () => (await said(page, ids[n])).endsWith(`: ${wanted(n).said}`), 20_000).catch(() => {});
    is(`row ${n} says: ${wanted(n).said}`, (await said(page, ids[n])).endsWith(`: ${wanted(n).said}`));
  }
  await until("the last to be announced", () => page.evaluate(() => document.querySelector("body > [role=status]")?.textContent.includes("geschlossen:")));
  const stored = new Map((await alertsOf(house, context, "detected_since=2020-01-01T00:00:00Z")).map((one) => [one.id, one]));
  const differ = ids.slice(0, TRIAGED).filter((id, n) => {
    const { state, disposition } = stored.get(id) ?? {};
    return state !== wanted(n).state || (disposition ?? null) !== wanted(n).disposition;
  });
  is("what is stored is what the keys said", differ, []);
  await page.goto(`${house.base}/alarme?stand=closed`);
  is("and the list of the closed has them", await page.locator(`[data-key="${ids[0]}"]`).count(), 1);
  await shot(page, "Alarme nach der Sichtung");

  // Refused: another was quicker, and the connection broke. The alert stays, and words say why.
  await page.keyboard.press("j");
  const closed = await at(page);
  await page.keyboard.press("f");
  await page.locator(".toast.bad").first().waitFor();
  is("who is too late is told so", (await page.locator(".toast.bad").first().innerText()).includes("schon jemand bearbeitet"));
  await page.locator(".toast.bad button").first().click();
  is("and led back to the row", await at(page), closed);
  await page.goto(`${house.base}/alarme`);
  await page.route("**/schliessen", (route) => route.abort());
  await page.keyboard.press("j");
  const first = await at(page);
  await page.keyboard.press("f");
  await page.locator(".toast.bad").first().waitFor();
  is("a broken connection is told", (await page.locator(".toast.bad").first().innerText()).includes("Verbindung"));
  is("and the alert is as it was", [(await said(page, first)).endsWith(": neu"), (await alertsOf(house, context, "state=new")).some(({ id }) => id === first)], [true, true]);
  await page.unroute("**/schliessen");

  // The help has them, and who switched single keys off is left in peace.
  await page.keyboard.press("?");
  const help = await page.locator("#tasten").innerText();
  is("the help names the keys", ["bestätigen", "Fehlalarm", "wählen"].every((word) => help.includes(word)));
  await page.keyboard.press("Escape");

  // Chosen by key and all at once.
  await page.goto(`${house.base}/alarme`);
  for (const key of ["j", "x", "j", "x"]) await page.keyboard.press(key);
  is("two are chosen", [await page.locator("[name=alarm]:checked").count(), await page.locator("[data-choosing] a").innerText()], [2, "2 gewählt"]);
  await page.locator("[data-choosing] input").check();
  is("all of the page at once", await page.locator("[name=alarm]:not(:checked)").count(), 0);
  await page.close();
}

async function byBoxes(house, context, analyst, is) {
  const plain = await visitor(house, { javaScriptEnabled: false, viewport: { width: 320, height: 700 } });
  const page = await plain.newPage();
  watch(page, house, "ohne Skript");
  const send = (selector) => Promise.all([page.waitForNavigation(), page.locator(selector).first().click()]);
  await signIn(page, house.base, analyst, "/login?weiter=%2Falarme");
  is("what needs a script is not offered", await page.locator("[data-choosing]:visible, #tasten-liste:visible").count(), 0);
  const boxes = page.locator("[name=alarm]");
  const chosen = [];
  for (let n = 0; n < 3; n += 1) {
    await boxes.nth(n).check();
    chosen.push(await boxes.nth(n).getAttribute("value"));
  }
  await page.selectOption("#tat", "benign");
  await send("#auswahl button[value=gewaehlt]");
  is("the page says how many", (await page.locator("main [role=status]").innerText()).includes("3 Alarme sind bearbeitet"));
  const closed = await alertsOf(house, context, "state=closed");
  is("three are closed as allowed", closed.filter(({ id, disposition }) => chosen.includes(id) && disposition === "benign").length, 3);
  await shot(page, "Alarme ohne Skript");

  // Nothing chosen is said, and cases are given to somebody.
  await page.goto(`${house.base}/vorfaelle`);
  await page.locator("[name=fall]").first().check();
  const [number] = (await page.locator("[data-rows] > tr .mono").first().innerText()).match(/TC-[0-9-]+/) ?? [];
  await page.selectOption("#tat", "zuweisen");
  await send("#auswahl button");
  is("a case is given", (await page.locator("main [role=status]").innerText()).includes("Ein Vorfall ist bearbeitet"));
  const answer = await context.request.get(`${house.base}/api/v1/incidents/${number}`);
  is("to whom the form named", Boolean((await answer.json()).assignee));
  await page.close();
}
