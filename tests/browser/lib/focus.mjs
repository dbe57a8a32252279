// What can have the focus, and how it looks when it has. Both functions run in the page.

/** Numbers all controls and notes how they look without the focus; says what is wrong with their order. */
export function controls() {
  const able =
    "a[href], button, input:not([type=hidden]), select, textarea, summary, iframe, audio[controls], video[controls], [contenteditable], [tabindex]";
  const look = (element) => {
    const { outlineStyle, outlineWidth, outlineColor, boxShadow, backgroundColor, borderColor, textDecorationLine, color } = getComputedStyle(element);
    return [outlineStyle, outlineWidth, outlineColor, boxShadow, backgroundColor, borderColor, textDecorationLine, color].join("|");
  };
  // Tab begins at the top again: where something that had the focus goes, the browser goes on from its place.
  const start = document.createElement("span");
  start.tabIndex = -1;
  document.body.prepend(start);
  start.focus();
  start.remove();
  window.scrollTo(0, 0);
  const seen = (element) => element.checkVisibility({ visibilityProperty: true }) && !element.closest("[inert]") && element.getClientRects().length > 0;
  const chosen = (element) => element.type !== "radio" || element.checked || !document.querySelector(`input[type=radio][name="${CSS.escape(element.name)}"]:checked`);
  const list = [...document.querySelectorAll(able)].filter((element) => element.tabIndex >= 0 && !element.disabled && seen(element) && chosen(element));
  const wrong = list.filter((element) => element.tabIndex > 0).map((element) => `tabindex above 0: ${element.outerHTML.slice(0, 120)}`);
  const moved = [];
  const parents = new Set(list.map((element) => element.parentElement));
  for (const parent of parents) {
    const { display, flexDirection } = getComputedStyle(parent);
    if (/flex/.test(display) && /reverse/.test(flexDirection)) moved.push(parent.outerHTML.slice(0, 60));
    for (const child of /flex|grid/.test(display) ? parent.children : []) {
      if (getComputedStyle(child).order !== "0") moved.push(child.outerHTML.slice(0, 60));
    }
  }
  const numbers = new Map(list.map((element, n) => [element, n]));
  const looks = new Map(list.map((element) => [element, look(element)]));
  window.walkNumber = (element) => {
    if (!numbers.has(element)) numbers.set(element, numbers.size);
    return numbers.get(element);
  };
  window.walkChanged = (element) => !looks.has(element) || looks.get(element) !== look(element);
  window.walkMissed = (reached) => {
    const all = new Set(reached);
    const groups = new Set(list.filter((element) => element.type === "radio" && all.has(numbers.get(element))).map((element) => element.name));
    const missed = list.filter((element) => !all.has(numbers.get(element)) && !(element.type === "radio" && groups.has(element.name)));
    return missed.map((element) => element.outerHTML.slice(0, 160));
  };
  return { count: list.length, wrong, moved };
}

/** The control that has the focus now, and what is wrong with how it shows; `null` behind the last one. */
export function focused() {
  const at = document.activeElement;
  if (!at || at === document.body || at === document.documentElement) return null;
  const wrong = [];
  const style = getComputedStyle(at);
  const rect = [...at.getClientRects()].find(({ width, height }) => width > 0 && height > 0) ?? at.getBoundingClientRect();

  // In sight, and not below something that sticks to the window's edge.
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
  const points = [0.1, 0.5, 0.9].flatMap((x) => [0.15, 0.5, 0.85].map((y) => [rect.x + rect.width * x, rect.y + rect.height * y]));
  const inside = points.filter(([x, y]) => x >= 0 && y >= 0 && x < innerWidth && y < innerHeight);
  const tall = rect.height > innerHeight || rect.width > innerWidth;
  const probe = inside.length > 0 || !tall ? inside : [[clamp(rect.x, 1, innerWidth - 1), clamp(rect.y, 1, innerHeight - 1)]];
  const hit = ([x, y]) => {
    const top = document.elementFromPoint(x, y);
    return top && (at.contains(top) || top.contains(at) || [...(at.labels ?? [])].some((label) => label.contains(top)));
  };
  if (probe.length === 0) wrong.push("has the focus out of sight");
  else if (!probe.some(hit)) wrong.push("has the focus below something else");

  // Seen to have it: an outline, or whatever else changes.
  const outlined = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1;
  if (!outlined && !window.walkChanged(at)) wrong.push("does not show that it has the focus");
  if (outlined) {
    const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    // The colours from below to above, painted over each other as on the page.
    const painted = (colours) => {
      canvas.clearRect(0, 0, 1, 1);
      for (const colour of colours) {
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
      }
      return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    const light = (rgb) => {
      const [r, g, b] = rgb.map((part) => part / 255).map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    // An outline with a gap stands on what is around the control, one without on the control too.
    const around = [];
    for (let one = at.parentElement; one; one = one.parentElement) around.unshift(getComputedStyle(one).backgroundColor);
    const ground = painted(["Canvas", ...around]);
    const line = painted(["Canvas", ...around, style.outlineColor]);
    const [high, low] = [light(line), light(ground)].sort((a, b) => b - a);
    const contrast = (high + 0.05) / (low + 0.05);
    if (contrast < 3) wrong.push(`outline with a contrast of ${contrast.toFixed(1)}, at least 3 is meant`);
  }
  const parts = /^(date|time|month|week)/.test(at.type) ? 8 : 0;
  return { n: window.walkNumber(at), parts, what: at.outerHTML.slice(0, 140), wrong };
}
