// Starts Debian's Chromium, and keeps as many pages busy as there are processors.
import { chromium } from "playwright-core";
import { availableParallelism } from "node:os";

const ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--no-first-run",
];

/** `args` come on top; `without` are switches of the driver's own that would hide what people's browsers do. */
export function launch({ args = [], without = [] } = {}) {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [...ARGUMENTS, ...args],
    ignoreDefaultArgs: without,
  });
}

/** Works a queue off that may grow meanwhile, as many at a time as there are processors. */
export function drain(queue, work, workers = availableParallelism()) {
  return new Promise((resolve, reject) => {
    let busy = 0;
    const next = () => {
      while (busy < workers && queue.length > 0) {
        busy += 1;
        work(queue.shift()).then(() => {
          busy -= 1;
          next();
        }, reject);
      }
      if (busy === 0 && queue.length === 0) resolve();
    };
    next();
  });
}

/** Asks until the answer is true; a bound, not a wait: what is there at once costs nothing. */
export async function until(what, ask, patience = 60_000) {
  const end = performance.now() + patience;
  for (let pause = 50; ; pause = Math.min(pause * 2, 1000)) {
    const answer = await ask();
    if (answer) return answer;
    if (performance.now() > end) throw new Error(`waited ${patience / 1000} s for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}
