// Dialogs: opened by a control, closed by Escape, by their own button or by a click beside them; the focus goes back to
// where it was. `data-dialog="id"` opens the dialog with that id, `data-confirm="question"` asks before a form is sent.
import { element, t } from "./words.js";

/** Opens `dialog` as a modal one. Resolves with its return value when it is closed. */
export function openDialog(dialog) {
  if (dialog.open) return Promise.resolve("");
  const before = document.activeElement;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    const beside = (event) => {
      if (event.target.closest("[data-close]")) dialog.close();
      if (event.target !== dialog) return;
      const { left, right, top, bottom } = dialog.getBoundingClientRect();
      const inside = event.clientX >= left && event.clientX <= right && event.clientY >= top && event.clientY <= bottom;
      // A key press on a button counts as a click at 0, 0.
      if (!inside && event.detail > 0) dialog.close();
    };
    dialog.addEventListener("click", beside);
    dialog.addEventListener(
      "close",
      () => {
        dialog.removeEventListener("click", beside);
        if (before?.isConnected) before.focus({ preventScroll: true });
        resolve(dialog.returnValue);
      },
      { once: true },
    );
  });
}

/** Asks a question with yes and no; the focus lies on no. */
export async function confirmed(question) {
  const id = "frage-titel";
  const dialog = element(
    "dialog",
    { "aria-labelledby": id, class: "question" },
    element("h2", { id }, t("Wirklich?")),
    element("p", {}, question),
    element(
      "form",
      { method: "dialog", class: "chips" },
      element("button", { class: "btn main", value: "" , autofocus: true }, t("Abbrechen")),
      element("button", { class: "btn warn", value: "ja" }, t("Ja, weiter")),
    ),
  );
  document.body.append(dialog);
  const answer = await openDialog(dialog);
  dialog.remove();
  return answer === "ja";
}

const known = new WeakSet();

export function start(elements) {
  for (const one of elements.filter((one) => !known.has(one))) {
    known.add(one);
    if (one.localName === "details") unfolds(one);
    else if (one.dataset.dialog) opens(one);
    else asks(one);
  }
}

function opens(control) {
  control.hidden = false;
  control.setAttribute("aria-haspopup", "dialog");
  control.addEventListener("click", (event) => {
    const dialog = document.getElementById(control.dataset.dialog);
    if (!dialog?.showModal) return;
    event.preventDefault();
    openDialog(dialog);
  });
}

/** <details data-dialog>: what unfolds in place without script becomes a modal dialog, and is put back behind it. */
function unfolds(details) {
  const box = details.querySelector(".dialog-box");
  details.querySelector("summary").addEventListener("click", async (event) => {
    event.preventDefault();
    const dialog = element("dialog", { "aria-labelledby": box.getAttribute("aria-labelledby") }, ...box.childNodes);
    const close = element("button", { type: "button", class: "btn plain", "data-close": true }, t("Schließen"));
    if (!dialog.querySelector("[data-close]")) dialog.append(close);
    details.after(dialog);
    await openDialog(dialog);
    close.remove();
    box.append(...dialog.childNodes);
    dialog.remove();
  });
}

function asks(control) {
  const form = control.form ?? control.closest("form");
  let sure = false;
  form?.addEventListener("submit", async (event) => {
    const asked = control === form || event.submitter === control;
    if (sure || !asked) return;
    // Before `forms` notes it as sent.
    event.preventDefault();
    event.stopImmediatePropagation();
    if (!(await confirmed(control.dataset.confirm))) return;
    sure = true;
    form.requestSubmit(event.submitter);
    sure = false;
  });
}
