// Chooses a part of a histogram over time by drag or arrow keys; a form does the same. data-edges: milliseconds.

const clock = new Intl.DateTimeFormat("de", {
  day: "numeric", month: "numeric", hour: "numeric", minute: "2-digit", timeZone: "Europe/Berlin", timeZoneName: "short",
});

const set = (element, values) => {
  for (const name in values) element.setAttribute(name, values[name]);
};

function make(tag, name, parent, values) {
  const element = document.createElement(tag);
  set(element, { class: name, ...values });
  parent.append(element);
  return element;
}

function brush(drawing) {
  const words = drawing.dataset;
  const edges = words.edges.split(" ").map(Number);
  const last = edges.length - 1;
  const share = (n) => ((edges[n] - edges[0]) / (edges[last] - edges[0])) * 100;
  let chosen = [0, last];

  const layer = make("div", `brush ${words.in}`, drawing);
  const part = make("div", "part", layer);
  const handles = [words.from, words.to].map((label) => make("div", "handle", layer, { role: "slider", tabindex: 0, "aria-label": label }));
  const row = make("div", "brush-go", drawing);
  const button = make("button", "btn little", row, { type: "button" });
  button.textContent = words.show;
  const text = make("span", "num", row);

  function choose(from, to) {
    chosen = [from, to];
    row.hidden = part.hidden = !from && to === last;
    part.style.left = `${share(from)}%`;
    part.style.right = `${100 - share(to)}%`;
    const said = chosen.map((n) => clock.format(edges[n]));
    text.textContent = said.join(" – ");
    handles.forEach((handle, n) => {
      handle.style.left = `${share(chosen[n])}%`;
      const [min, max] = n ? [from + 1, last] : [0, to - 1];
      set(handle, { "aria-valuemin": min, "aria-valuemax": max, "aria-valuenow": chosen[n], "aria-valuetext": said[n] });
    });
  }

  function move(n, edge) {
    const [from, to] = chosen;
    n ? choose(from, Math.min(last, Math.max(edge, from + 1))) : choose(Math.max(0, Math.min(edge, to - 1)), to);
  }

  function go() {
    const url = new URL(words.brush, location);
    ["von", "bis"].forEach((name, n) => url.searchParams.set(name, new Date(edges[chosen[n]]).toISOString()));
    location = url;
  }

  function near(x) {
    const box = layer.getBoundingClientRect();
    const far = (n) => Math.abs(share(n) - ((x - box.left) / box.width) * 100);
    return edges.reduce((best, _, n) => (far(n) < far(best) ? n : best), 0);
  }

  handles.forEach((handle, n) => handle.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey) return;
    const step = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -9, PageUp: 9, Home: -last, End: last }[event.key];
    if (step) move(n, chosen[n] + step);
    else if (event.key === "Enter") go();
    else if (event.key === "Escape") choose(0, last);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }));

  // Less than 5 px is a click on the bar.
  let drag = null;
  drawing.addEventListener("pointerdown", (event) => {
    const n = handles.indexOf(event.target);
    if (!event.button && (n >= 0 || event.target.closest(".plot"))) drag = { n, x: event.clientX, edge: near(event.clientX) };
  });
  addEventListener("pointermove", (event) => {
    if (!drag || (!drag.on && Math.abs(event.clientX - drag.x) < 5)) return;
    drag.on = true;
    const edge = near(event.clientX);
    if (drag.n >= 0) return move(drag.n, edge);
    const from = Math.min(edge, drag.edge, last - 1);
    choose(from, Math.max(edge, drag.edge, from + 1));
  });
  const end = () => setTimeout(() => (drag = null));
  addEventListener("pointerup", end);
  addEventListener("pointercancel", end);
  drawing.addEventListener("click", (event) => drag?.on && event.stopPropagation());
  button.addEventListener("click", go);
  choose(0, last);
}

/** Called again after a part of the page was swapped. */
export function start(root = document) {
  for (const drawing of root.querySelectorAll("[data-brush]:not(:has(.brush))")) brush(drawing);
}
start();
