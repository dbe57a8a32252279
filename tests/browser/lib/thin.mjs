// Thins a page out, so that what looks at every element need not look at a thousand equal rows.

/**
 * Runs in the page: removes what repeats and returns what is left without its words, as the page's skeleton. Of children
 * with the same tags, classes and attributes, such as a table's rows, nobody has anything new to say after the third; axe
 * took 13 s for 7,000 elements. Two pages with one skeleton differ in words only, in every theme and at every width.
 */
export function thinned() {
  const telling = /^(class|role|type|scope|lang|tabindex|data-theme|aria-(?!label|controls|describedby))/;
  const skeleton = (node) => {
    if (node.nodeType !== Node.ELEMENT_NODE) return node.nodeType === Node.TEXT_NODE && node.data.trim() ? "#" : "";
    const attributes = [...node.attributes].map(({ name, value }) => (telling.test(name) ? `${name}=${value}` : name));
    const seen = new Map();
    let inside = "";
    for (const child of [...node.childNodes]) {
      const text = skeleton(child);
      const times = (seen.get(text) ?? 0) + 1;
      seen.set(text, times);
      if (times <= 3) inside += text;
      else if (child.nodeType === Node.ELEMENT_NODE && !child.contains(document.activeElement)) child.remove();
    }
    return `<${node.localName} ${attributes.join(" ")}>${inside}</>`;
  };
  return skeleton(document.documentElement);
}

/** Runs in the page: no part refreshes itself from here on; what is looked at stays as it is. */
export function stilled() {
  window.fetch = () => new Promise(() => {});
}
