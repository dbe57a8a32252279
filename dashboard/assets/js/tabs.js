// Tabs out of a list of links to sections: without script the page shows all sections one below the other.
// <div data-tabs><nav><a href="#eins">…</a> …</nav><section id="eins">…</section> …</div>
const known = new WeakSet();

export function start(elements) {
  for (const one of elements.filter((one) => !known.has(one))) {
    known.add(one);
    tabs(one);
  }
}

function tabs(root) {
  const bar = root.querySelector("nav, [data-tab-list]");
  const links = [...bar.querySelectorAll("a[href^='#']")].filter((link) => panelOf(link));
  bar.setAttribute("role", "tablist");
  for (const item of bar.querySelectorAll("ul, li")) item.setAttribute("role", "presentation");
  for (const [n, link] of links.entries()) {
    const panel = panelOf(link);
    link.id ||= `${panel.id}-reiter`;
    link.setAttribute("role", "tab");
    link.setAttribute("aria-controls", panel.id);
    panel.setAttribute("role", "tabpanel");
    panel.setAttribute("aria-labelledby", link.id);
    panel.tabIndex = 0;
    link.addEventListener("click", (event) => {
      event.preventDefault();
      history.replaceState(history.state, "", link.hash);
      show(n);
    });
  }
  bar.addEventListener("keydown", (event) => {
    const at = links.indexOf(event.target.closest("a"));
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: links.length - 1 }[event.key];
    if (event.key === " ") links[at]?.click();
    if (to === undefined && event.key !== " ") return;
    event.preventDefault();
    if (to === undefined) return;
    const next = (to + links.length) % links.length;
    show(next);
    links[next].focus();
  });
  const show = (chosen) => {
    for (const [n, link] of links.entries()) {
      link.setAttribute("aria-selected", String(n === chosen));
      link.tabIndex = n === chosen ? 0 : -1;
      panelOf(link).hidden = n !== chosen;
    }
  };
  const fromAddress = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    return links.findIndex((link) => panelOf(link).contains(target));
  };
  show(Math.max(0, fromAddress()));
  addEventListener("hashchange", () => fromAddress() >= 0 && show(fromAddress()));
}

const panelOf = (link) => document.getElementById(decodeURIComponent(link.hash.slice(1)));
