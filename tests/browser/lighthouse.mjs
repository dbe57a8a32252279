// Lighthouse's scores of the ten main pages. Accessibility must be full marks. Performance is told and never judged: it
// hangs on how busy the machine is.
import lighthouse, { desktopConfig } from "lighthouse";
import { createServer } from "node:net";
import { signedIn } from "./lib/door.mjs";
import { loginOf, spec } from "./lib/spec.mjs";

const PAGES = ["/login", "/", "/vorfaelle", "/alarme", "/suche", "/fluesse", "/regeln", "/meldungen", "/kennzahlen", "/quellen"];
const PERFORMANCE_AIM = 95;

const port = await freePort();

await spec(
  async (house) => {
    const context = await signedIn(house, loginOf(house, "Analyse"));
    const cookies = (await context.cookies()).map(({ name, value }) => `${name}=${value}`).join("; ");
    house.row("page".padEnd(14), "accessibility", "performance");
    for (const path of PAGES) {
      const options = {
        port,
        logLevel: "silent",
        onlyCategories: ["accessibility", "performance"],
        extraHeaders: path === "/login" ? {} : { Cookie: cookies },
        // What this machine really takes: a slow line is simulated nowhere, the house's own net is none.
        throttlingMethod: "provided",
        disableFullPageScreenshot: true,
      };
      const look = async () => (await lighthouse(house.base + path, options, desktopConfig)).lhr;
      let lhr = await look();
      // A machine that is busy enough makes it give up; twice is no accident.
      if (lhr.runtimeError) lhr = await look();
      const score = (name) => Math.round((lhr.categories[name].score ?? 0) * 100);
      const [accessibility, performance] = [score("accessibility"), score("performance")];
      const below = performance < PERFORMANCE_AIM ? `  below the aim of ${PERFORMANCE_AIM}` : "";
      house.row(path.padEnd(14), String(accessibility).padStart(13), String(performance).padStart(11) + below);
      if (lhr.runtimeError) house.problem(path, lhr.runtimeError.message);
      if (new URL(lhr.finalDisplayedUrl).pathname !== path) house.problem(path, `was led to ${lhr.finalDisplayedUrl}`);
      if (accessibility < 100) {
        const failed = lhr.categories.accessibility.auditRefs.map(({ id }) => lhr.audits[id]).filter(({ score }) => score !== null && score < 1);
        house.problem(path, `accessibility ${accessibility}: ${failed.map(({ id, title }) => `${id} (${title})`).join("; ")}`);
      }
    }
  },
  { args: [`--remote-debugging-port=${port}`] },
);

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
