// Listens to a page: whatever it complains of, asks elsewhere for, or pops up is a problem.

/**
 * Watches one page for as long as it lives. `expected` is a pattern of console lines and statuses that belong to what is
 * tried, such as the browser's own line about a page that is not there.
 */
export function watch(page, house, who, { expected } = {}) {
  const where = () => `${who} ${page.url().replace(house.base, "") || "/"}`;
  const say = (what) => {
    if (!expected?.test(what)) house.problem(where(), what);
  };
  page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => {
      console.error(`Content Security Policy: ${event.violatedDirective} blocked ${event.blockedURI} ${event.sample}`);
    });
  });
  page.on("console", (message) => {
    if (message.type() === "error" || /Content Security Policy/i.test(message.text())) say(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => say(`script: ${error.message}`));
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(`${house.base}/`) && !url.startsWith("data:")) say(`foreign request ${url.slice(0, 200)}`);
  });
  page.on("requestfailed", (request) => {
    // A page that is left takes its open requests with it.
    const reason = request.failure()?.errorText;
    if (reason !== "net::ERR_ABORTED") say(`request failed: ${request.url()}: ${reason}`);
  });
  page.on("response", (response) => {
    if (response.status() >= 400) say(`status ${response.status()} of ${response.url().replace(house.base, "")}`);
  });
  page.on("dialog", (dialog) => {
    say(`dialog: ${dialog.message()}`);
    dialog.dismiss().catch(() => {});
  });
  return where;
}
