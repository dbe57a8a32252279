// The virtual grid: a table of any length with at most a hundred rows in the document. It begins as the plain table of
// the page, with its pager, and takes that over: rows come as the server writes them, a page at a time, by offset or by
// cursor (`data-src`, `data-paging`), and leave the document when they leave the window.
import { bind } from "./keys.js";
import { fetchPart } from "./fragment.js";
import { announce } from "./toast.js";
import { count, element, t } from "./words.js";

/** Rows beyond the window on either side, so that a turn of the wheel shows no gap. */
const MARGIN = 12;
const ROWS_MAX = 96;
/** Pages of rows kept, shown or not. */
const PAGES_MAX = 40;
/** Browsers lose count beyond some 17 million pixels. */
const HEIGHT_MAX = 12_000_000;
/** Pages that one search reads on by itself where only the cursor leads on. */
const FIND_PAGES = 20;
/** A narrower window shows the rows as cards, one below the other. */
const WIDE = matchMedia("(min-width: 641px)");

const known = new WeakSet();
let current = null;

export function start(tables) {
  for (const table of tables.filter((table) => !known.has(table))) {
    if (WIDE.matches) {
      known.add(table);
      const begun = performance.now();
      current = new Grid(table);
      // For whoever measures: how long the table's change into a grid took.
      performance.measure("wartburg-grid", { start: begun });
    } else WIDE.addEventListener("change", () => table.isConnected && start([table]), { once: true });
  }
}

class Grid {
  constructor(table) {
    this.table = table;
    this.body = table.tBodies[0];
    this.heads = [...table.tHead.rows[0].cells];
    this.byOffset = table.dataset.paging === "offset";
    this.size = Number(table.dataset.page) || 100;
    this.pages = new Map();
    this.cursors = [""];
    this.loading = new Map();
    this.failed = false;
    this.active = { row: 0, col: 0 };
    this.height = this.body.rows[0]?.getBoundingClientRect().height ?? 0;
    this.frame();
    this.take(0, [...this.body.rows], table.dataset);
    this.body.replaceChildren();
    this.widths();
    this.measure();
    this.render();
    this.listen();
  }

  /** What is around the table: the window that scrolls, its full height, the search, the details. */
  frame() {
    const label = this.table.caption?.textContent.trim() ?? "";
    const region = this.table.closest(".wide");
    this.sizer = element("div", { class: "grid-size" });
    this.scroll = element("div", { class: "grid-scroll", tabindex: "-1" }, this.sizer);
    this.root = element("div", { class: "grid" }, this.finder(), this.scroll, this.details());
    (region ?? this.table).replaceWith(this.root);
    this.sizer.append(this.table);
    this.table.classList.remove("stack");
    this.table.setAttribute("role", "grid");
    this.table.setAttribute("aria-label", label);
    delete this.body.dataset.rows;
    const pager = document.getElementById(this.table.dataset.pager ?? "");
    if (pager) pager.hidden = true;
  }

  /** Rows there are to scroll through: all, or those that have come and one that stands for the rest. */
  get length() {
    const most = Math.floor(HEIGHT_MAX / (this.height || 1));
    const there = this.byOffset ? this.total : this.known + (this.more ? 1 : 0);
    return Math.min(there, most);
  }

  // Rows

  /** Notes a page of rows, and what the server said beside them. */
  take(page, rows, said) {
    this.total = Number(said.total ?? this.total ?? rows.length);
    for (const [n, row] of rows.entries()) {
      row.setAttribute("aria-rowindex", String(page * this.size + n + 2));
      // One place in the page's order of focus: the arrow keys do the rest.
      for (const control of row.querySelectorAll("a, button, summary")) control.tabIndex = -1;
    }
    this.pages.delete(page);
    this.pages.set(page, rows);
    if (said.next) this.cursors[page + 1] = said.next;
    const first = page === this.cursors.length - 1 || (said.next && page === this.cursors.length - 2);
    if (!this.byOffset && first) {
      this.known = page * this.size + rows.length;
      this.more = Boolean(said.next);
    }
    for (const old of this.pages.keys()) {
      if (this.pages.size <= PAGES_MAX) break;
      if (old !== page) this.pages.delete(old);
    }
    const exact = this.byOffset || this.total >= (this.known ?? 0);
    this.table.setAttribute("aria-rowcount", String(exact ? this.total + 1 : -1));
  }

  row(index) {
    return this.pages.get(Math.floor(index / this.size))?.[index % this.size];
  }

  /** Fetches a page; what was on its way to rows that nobody looks at any more is given up. */
  async fetch(page) {
    if (this.loading.has(page)) return this.loading.get(page).done;
    if (!this.byOffset && this.cursors[page] === undefined) return false;
    const abort = new AbortController();
    const url = new URL(this.table.dataset.src, location.href);
    if (this.byOffset) {
      url.searchParams.set("ab", page * this.size);
      url.searchParams.set("n", this.size);
    } else if (page > 0) url.searchParams.set("vor", this.cursors[page]);
    const done = fetchPart(url, { kind: "swap", signal: abort.signal })
      .then((answer) => {
        const table = answer.querySelector("table");
        this.take(page, [...document.adoptNode(table).tBodies[0].rows], table.dataset);
        this.failed = false;
        return true;
      })
      .catch((error) => {
        this.failed ||= error.name !== "AbortError";
        return false;
      })
      .finally(() => {
        this.loading.delete(page);
        this.render();
      });
    this.loading.set(page, { abort, done });
    return done;
  }

  // What is seen

  measure() {
    this.height = this.body.rows[0]?.getBoundingClientRect().height || this.height || 32;
    this.head = this.table.tHead.getBoundingClientRect().height;
  }

  get first() {
    return Math.floor(this.scroll.scrollTop / this.height);
  }

  get seen() {
    return Math.max(1, Math.floor((this.scroll.clientHeight - this.head) / this.height));
  }

  render() {
    this.sizer.style.height = `${this.head + this.length * this.height}px`;
    const from = Math.max(0, this.first - MARGIN);
    const to = Math.min(this.length, from + Math.min(ROWS_MAX, this.seen + 2 * MARGIN));
    const wanted = [];
    const missing = new Set();
    for (let index = from; index < to; index += 1) {
      const row = this.row(index);
      if (!row) missing.add(Math.floor(index / this.size));
      wanted.push(row ?? this.gap(index));
    }
    this.put(wanted);
    this.table.style.marginTop = `${from * this.height}px`;
    for (const [page, { abort }] of this.loading) if (!missing.has(page) && !this.finding) abort.abort();
    if (!this.failed) for (const page of missing) this.fetch(page);
    this.stop();
    // The row that had the focus has come, or has come back.
    if (document.activeElement === this.scroll) this.cell(this.active)?.focus({ preventScroll: true });
  }

  /** Stands for a row that is not there yet. */
  gap(index) {
    const text = this.failed ? t("Diese Zeilen konnten nicht geladen werden.") : t("lädt …");
    const cell = element("td", { colspan: this.heads.length, class: "soft" }, text);
    if (this.failed) {
      const again = element("button", { type: "button", class: "btn little", tabindex: "-1" }, t("Noch einmal versuchen"));
      again.addEventListener("click", () => this.retry());
      cell.append(" ", again);
    }
    return element("tr", { "aria-rowindex": index + 2, class: "wait" }, cell);
  }

  retry() {
    this.failed = false;
    this.render();
  }

  /** Brings the rows of the document to those wanted; a row that stays is not touched, so that its focus stays too. */
  put(wanted) {
    const stays = new Set(wanted);
    for (const row of [...this.body.rows]) {
      if (stays.has(row)) continue;
      // Scrolled out of sight: the grid keeps the focus, and the next key comes back to the row.
      if (row.contains(document.activeElement)) this.scroll.focus({ preventScroll: true });
      row.remove();
    }
    let next = this.body.firstElementChild;
    for (const row of wanted) {
      if (row === next) next = next.nextElementSibling;
      else this.body.insertBefore(row, next);
    }
  }

  // Focus

  cell({ row, col }) {
    const cells = row < 0 ? this.heads : this.rendered(row)?.cells;
    return cells?.[Math.min(col, cells.length - 1)] ?? null;
  }

  rendered(index) {
    const row = this.row(index) ?? [...this.body.rows].find((row) => Number(row.getAttribute("aria-rowindex")) === index + 2);
    return row?.isConnected ? row : null;
  }

  /** The one cell that Tab comes to. */
  stop() {
    const cell = this.cell(this.active) ?? this.body.rows[Math.min(MARGIN, this.body.rows.length - 1)]?.cells[0] ?? this.heads[0];
    if (cell === this.stopping) return;
    if (this.stopping) this.stopping.tabIndex = -1;
    this.stopping = cell;
    if (cell) cell.tabIndex = 0;
  }

  /** Goes to a cell, wherever it is. */
  go(row, col = this.active.col) {
    this.active = { row: Math.max(-1, Math.min(row, this.length - 1)), col: Math.max(0, Math.min(col, this.heads.length - 1)) };
    this.reveal(this.active.row);
    this.render();
    const cell = this.cell(this.active);
    cell?.focus({ preventScroll: true });
    if (cell && this.active.row >= 0) this.aside(cell);
    if (!this.detail.hidden && this.active.row >= 0) this.open(false);
  }

  reveal(row) {
    if (row < 0) return;
    const top = row * this.height;
    const room = this.seen * this.height;
    if (top < this.scroll.scrollTop) this.scroll.scrollTop = top;
    else if (top + this.height > this.scroll.scrollTop + room) this.scroll.scrollTop = top + this.height - room;
  }

  /** Columns that are wider than the window: sideways too. */
  aside(cell) {
    const [own, room] = [cell.getBoundingClientRect(), this.scroll.getBoundingClientRect()];
    if (own.left < room.left) this.scroll.scrollLeft -= room.left - own.left;
    else if (own.right > room.right) this.scroll.scrollLeft += Math.min(own.right - room.right, own.left - room.left);
  }

  listen() {
    let frame = 0;
    this.scroll.addEventListener("scroll", () => {
      cancelAnimationFrame(frame);
      frame = requestAnimationFrame(() => this.render());
    }, { passive: true });
    new ResizeObserver(() => {
      this.measure();
      this.render();
    }).observe(this.scroll);
    this.root.addEventListener("keydown", (event) => this.onKey(event));
    this.table.addEventListener("focusin", (event) => {
      current = this;
      const cell = event.target.closest("td, th");
      const row = cell && Number(cell.parentElement.getAttribute("aria-rowindex") ?? 1) - 2;
      if (!cell) return;
      // A row that is not there yet has one cell for all its columns.
      this.active = { row, col: cell.parentElement.matches(".wait") ? this.active.col : cell.cellIndex };
      this.stop();
    });
    this.table.addEventListener("click", (event) => {
      const cell = event.target.closest("td, th");
      const link = event.target.closest("a[data-detail]");
      if (!cell || event.ctrlKey || event.metaKey || event.shiftKey || event.target.closest("details, button, a:not([data-detail])")) return;
      // Marking text with the pointer is no click on the row.
      if (String(document.getSelection()) && !link) return;
      cell.focus({ preventScroll: true });
      if (!link) return;
      event.preventDefault();
      this.open(true);
    });
    this.heads.forEach((head, n) => this.grip(head, n));
  }

  onKey(event) {
    if (event.defaultPrevented) return;
    const { row, col } = this.active;
    const ctrl = event.ctrlKey || event.metaKey;
    if (ctrl && event.key.toLowerCase() === "f" && event.target !== this.field) {
      this.openFind();
    } else if (event.key === "Escape") {
      if (this.find.contains(event.target)) this.closeFind();
      else if (!this.detail.hidden) this.shut();
      else return;
    } else if (!this.table.contains(event.target) && event.target !== this.scroll) {
      return;
    } else if (event.altKey && row < 0 && /^Arrow(Left|Right)$/.test(event.key)) {
      this.widen(col, event.key === "ArrowRight" ? 16 : -16);
    } else if (event.altKey || (event.target.closest("button, summary, a") && event.key === "Enter")) {
      return;
    } else if (event.key === "Enter") {
      if (row >= 0) this.open(true);
    } else {
      const last = this.length - 1;
      const steps = {
        ArrowDown: [row + 1, col],
        ArrowUp: [row - 1, col],
        ArrowRight: [row, col + 1],
        ArrowLeft: [row, col - 1],
        PageDown: [row + this.seen, col],
        PageUp: [Math.max(row < 0 ? -1 : 0, row - this.seen), col],
        Home: ctrl ? [0, 0] : [row, 0],
        End: ctrl ? [last, this.heads.length - 1] : [row, this.heads.length - 1],
      };
      if (!steps[event.key] || (ctrl && event.key.startsWith("Arrow"))) return;
      this.go(...steps[event.key]);
    }
    event.preventDefault();
  }

  // Details of a row: what its link leads to, below the grid

  details() {
    const close = element("button", { type: "button", class: "btn plain little" }, t("Schließen"));
    close.addEventListener("click", () => this.shut());
    this.title = element("h3", { tabindex: "-1" }, t("Einzelheiten"));
    this.content = element("div", { class: "grid-content" });
    this.detail = element("section", { class: "grid-detail", "aria-label": t("Einzelheiten"), hidden: true }, element("header", {}, this.title, close), this.content);
    return this.detail;
  }

  async open(focus) {
    const row = this.rendered(this.active.row);
    const link = row?.querySelector("a[data-detail]");
    if (!link) return;
    this.body.querySelector("[aria-selected]")?.removeAttribute("aria-selected");
    row.setAttribute("aria-selected", "true");
    this.detailFetch?.abort();
    const abort = (this.detailFetch = new AbortController());
    try {
      const page = await fetchPart(link.href, { kind: "swap", signal: abort.signal });
      const part = page.querySelector("[data-detail-part]");
      this.title.textContent = t("Zeile {row} von {total}", { row: count(this.active.row + 1), total: count(Math.max(this.total, this.length)) });
      this.content.replaceChildren(...document.importNode(part, true).childNodes);
      this.detail.hidden = false;
      this.content.dispatchEvent(new CustomEvent("wartburg:swapped", { bubbles: true }));
      this.reveal(this.active.row);
      this.render();
      if (focus) this.title.focus({ preventScroll: true });
      this.detail.scrollIntoView({ block: "nearest" });
    } catch (error) {
      if (error.name !== "AbortError") location.assign(link.href);
    }
  }

  shut() {
    this.detail.hidden = true;
    this.body.querySelector("[aria-selected]")?.removeAttribute("aria-selected");
    this.go(this.active.row);
  }

  // The grid's own search: the browser's finds only the hundred rows that are in the document

  finder() {
    this.field = element("input", { type: "search", "aria-label": t("Suchen in allen Zeilen"), autocomplete: "off", spellcheck: "false", maxlength: "200" });
    this.told = element("span", { role: "status", class: "soft num" });
    const back = element("button", { type: "button", class: "btn little" }, t("Zurück"));
    const close = element("button", { type: "button", class: "btn plain little" }, t("Schließen"));
    back.addEventListener("click", () => this.search(-1));
    close.addEventListener("click", () => this.closeFind());
    this.find = element("form", { class: "grid-find", role: "search", hidden: true }, this.field, element("button", { class: "btn little" }, t("Weiter")), back, close, this.told);
    this.find.addEventListener("submit", (event) => {
      event.preventDefault();
      this.search(1);
    });
    this.field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !event.shiftKey) return;
      event.preventDefault();
      this.search(-1);
    });
    return this.find;
  }

  openFind() {
    this.find.hidden = false;
    this.field.select();
    this.field.focus();
  }

  closeFind() {
    this.find.hidden = true;
    this.told.textContent = "";
    this.go(this.active.row);
  }

  async search(step) {
    const text = this.field.value.trim().toLowerCase();
    if (!text || this.finding) return;
    this.finding = true;
    this.told.textContent = t("Suche läuft …");
    try {
      const found = this.byOffset ? await this.asked(text, step) : await this.leafed(text, step);
      if (found === null) return;
      this.active.row = found;
      this.reveal(found);
      this.render();
      await this.loading.get(Math.floor(found / this.size))?.done;
      this.mark(found);
      this.told.textContent = t("Zeile {row} von {total}", { row: count(found + 1), total: count(Math.max(this.total, this.length)) });
    } catch {
      this.told.textContent = t("Diese Zeilen konnten nicht geladen werden.");
    } finally {
      this.finding = false;
    }
  }

  mark(index) {
    this.body.querySelector(".chosen")?.classList.remove("chosen");
    this.rendered(index)?.classList.add("chosen");
    this.stop();
  }

  /** The server knows all rows and says which is the next. */
  async asked(text, step) {
    const url = new URL(this.table.dataset.src, location.href);
    for (const [key, value] of Object.entries({ finden: text, ab: this.active.row, schritt: step })) url.searchParams.set(key, value);
    const { found } = (await fetchPart(url, { kind: "swap" })).querySelector("table").dataset;
    if (found) return Number(found);
    this.told.textContent = t("Nichts gefunden.");
    return null;
  }

  /** Looks through the rows that have come, and reads on where they end. */
  async leafed(text, step) {
    let read = 0;
    for (let index = this.active.row + step; index >= 0; index += step) {
      if (!this.row(index)) {
        const page = Math.floor(index / this.size);
        if (read === FIND_PAGES || !(await this.fetch(page)) || !this.row(index)) break;
        read += 1;
      }
      if (textOf(this.row(index)).includes(text)) return index;
    }
    this.told.textContent = this.more ? t("Bis hierher nichts gefunden; {n} Zeilen durchsucht.", { n: count(this.known) }) : t("Nichts gefunden.");
    return null;
  }

  // Widths of columns, remembered by the browser

  widths() {
    this.store = `wartburg.grid.${this.table.dataset.grid}`;
    this.cols = [...this.table.querySelectorAll("col")];
    try {
      JSON.parse(localStorage.getItem(this.store) ?? "[]").forEach((width, n) => width && this.cols[n] && (this.cols[n].style.width = `${Number(width)}px`));
    } catch {
      // Nothing kept, or nothing that can be read.
    }
  }

  widen(n, by) {
    const col = this.cols[n];
    if (!col) return;
    const width = Math.max(48, Math.round(this.heads[n].getBoundingClientRect().width + by));
    col.style.width = `${width}px`;
    announce(`${this.heads[n].textContent.trim()}: ${width}`);
    try {
      localStorage.setItem(this.store, JSON.stringify(this.cols.map((col) => parseFloat(col.style.width) || 0)));
    } catch {
      // Then they last as long as the page.
    }
  }

  grip(head, n) {
    const grip = element("span", { class: "grip", "aria-hidden": "true" });
    head.append(grip);
    grip.addEventListener("pointerdown", (down) => {
      down.preventDefault();
      grip.setPointerCapture(down.pointerId);
      let x = down.clientX;
      grip.onpointermove = (event) => {
        this.widen(n, event.clientX - x);
        x = event.clientX;
      };
      grip.onpointerup = () => (grip.onpointermove = null);
    });
  }
}

const texts = new WeakMap();

/** A row's text as it is read, without what its menus would say. */
function textOf(row) {
  if (!texts.has(row)) {
    const copy = row.cloneNode(true);
    copy.querySelectorAll("details.value-menu > ul").forEach((list) => list.remove());
    texts.set(row, copy.textContent.toLowerCase());
  }
  return texts.get(row);
}

const here = () => current !== null && current.root.isConnected;
bind({ keys: ["ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight"], text: "Zelle wählen", group: "Raster", here });
bind({ keys: ["Home", "End"], text: "erste, letzte Zelle der Zeile", group: "Raster", here });
bind({ keys: ["PageDown", "PageUp"], text: "eine Seite weiter, zurück", group: "Raster", here });
bind({ keys: ["Ctrl+Home", "Ctrl+End"], text: "Anfang, Ende", group: "Raster", here });
bind({ keys: ["Enter"], text: "Einzelheiten der Zeile", group: "Raster", here });
bind({ keys: ["Ctrl+F"], text: "im Raster suchen", group: "Raster", here });
bind({ keys: ["Alt+ArrowLeft", "Alt+ArrowRight"], text: "Spalte schmaler, breiter (auf der Überschrift)", group: "Raster", here });
bind({ keys: ["j"], text: "nächste, vorige Zeile wählen", group: "Raster", here, run: () => current.go(current.active.row + 1) });
bind({ keys: ["k"], text: "nächste, vorige Zeile wählen", group: "Raster", here, run: () => current.go(Math.max(0, current.active.row - 1)) });
