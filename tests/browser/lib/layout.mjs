// Whether everything on a page has room: nothing wider than the window, no words cut off.

/** By how many pixels the page is wider than the window, and what sticks out. */
export async function tooWide(page) {
  return page.evaluate(() => {
    const over = document.documentElement.scrollWidth - window.innerWidth;
    if (over <= 1) return "";
    const scrolls = (element) => {
      for (let at = element.parentElement; at; at = at.parentElement) {
        if (/auto|scroll|hidden|clip/.test(getComputedStyle(at).overflowX) && at !== document.documentElement && at !== document.body) return true;
      }
      return false;
    };
    const edge = document.documentElement.scrollWidth - 1 - window.scrollX;
    const far = (one) => one.checkVisibility({ visibilityProperty: true }) && one.getBoundingClientRect().right >= edge && !scrolls(one);
    const out = [...document.body.querySelectorAll("*")].filter(far);
    return `${over} px wider than the window: ${out.at(-1)?.outerHTML.slice(0, 160) ?? "?"}`;
  });
}

/** Runs in the page: badges, buttons and headings of columns that have no room for a single word, as their elements in short. */
export function brokenWords() {
  const broken = [];
  const range = document.createRange();
  for (const element of document.querySelectorAll(":is(.sev, .chip, .btn, thead th, h1, h2, h3)")) {
    if (!element.checkVisibility({ visibilityProperty: true }) || element.closest(".hidden, [role=grid]")) continue;
    const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      for (const { 0: word, index } of walker.currentNode.data.matchAll(/\p{L}{2,20}/gu)) {
        range.setStart(walker.currentNode, index);
        range.setEnd(walker.currentNode, index + word.length);
        const lines = new Set([...range.getClientRects()].map((rect) => Math.round(rect.top)));
        if (lines.size > 1) broken.push(`„${word}“ in ${lines.size} lines in ${element.outerHTML.slice(0, 100)}`);
      }
    }
  }
  return broken;
}

/** Runs in the page: what has words that its own box or one around it cuts off, as [element in short, by how much]. */
export function cutOff() {
  const cut = [];
  const hidden = (element) => {
    // The usual way to hide words for the eye only.
    const { width, height } = element.getBoundingClientRect();
    return width <= 2 || height <= 2;
  };
  // By how much any of its words lie beyond its box; a picture may.
  const sticksOut = (element) => {
    const box = element.getBoundingClientRect();
    const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    const range = document.createRange();
    let most = 0;
    while (walker.nextNode()) {
      if (!walker.currentNode.data.trim() || !walker.currentNode.parentElement.checkVisibility({ visibilityProperty: true })) continue;
      if (hidden(walker.currentNode.parentElement)) continue;
      range.selectNodeContents(walker.currentNode);
      for (const rect of range.getClientRects()) most = Math.max(most, rect.right - box.right, rect.bottom - box.bottom, box.x - rect.x);
    }
    return most;
  };
  for (const element of document.body.querySelectorAll("*")) {
    if (!element.checkVisibility({ visibilityProperty: true }) || element.closest("svg, [aria-hidden=true]")) continue;
    const style = getComputedStyle(element);
    // A grid's row is one line high, or two; what its columns have no room for stands whole in the row's details.
    const inGrid = element.closest("[role=grid] tbody") !== null;
    const x = !inGrid && /hidden|clip/.test(style.overflowX) && element.scrollWidth > element.clientWidth + 1;
    const inLine = inGrid || element.closest("a[data-detail]") !== null;
    const y = !(inLine && style.webkitLineClamp !== "none") && /hidden|clip/.test(style.overflowY) && element.scrollHeight > element.clientHeight + 2;
    if ((x || y) && element.innerText?.trim() && !hidden(element)) {
      const by = sticksOut(element);
      if (by > 2) cut.push(`${element.outerHTML.slice(0, 120)} (${Math.round(by)} px)`);
    }
  }
  return cut;
}
