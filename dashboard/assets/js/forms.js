// Forms: sent once, and nothing that somebody typed is lost. What was sent is kept in this tab until the server has said
// that it is done; where the session had ended meanwhile, it is there again after signing in. Passwords and hidden fields
// are never kept, and signing out forgets everything.
import { t } from "./words.js";

const PREFIX = "wartburg.form:";
/** A browser tab keeps some megabytes; an advisory's text is the longest. */
const KEPT_CHARS_MAX = 200_000;
/** After a working day it is somebody else's shift. */
const KEPT_MILLIS_MAX = 12 * 3_600_000;

const who = document.documentElement.dataset.user ?? document.querySelector(".user .who")?.textContent ?? "";
const posts = (form) => form.method === "post" && form.getAttribute("action") !== "/login" && form.getAttribute("action") !== "/logout";
const texts = (form) => [...form.elements].filter((field) => field.name && field.matches("textarea, input:not([type=hidden], [type=password], [type=file], [type=submit], [type=button]), select"));
const keyOf = (form) => PREFIX + who + location.pathname + " " + form.getAttribute("action");
const valueOf = (field) => (/checkbox|radio/.test(field.type) ? field.checked : field.value);
const initial = (field) => {
  if (/checkbox|radio/.test(field.type)) return field.defaultChecked;
  if (field.localName === "select") return ([...field.options].find((option) => option.defaultSelected) ?? field.options[0])?.value ?? "";
  return field.defaultValue;
};
const dirty = (form) => texts(form).some((field) => valueOf(field) !== initial(field));

function stored(work) {
  try {
    return work(sessionStorage);
  } catch {
    return null; // A browser that keeps nothing, or is full.
  }
}

function keep(form) {
  const fields = texts(form).map((field) => [field.name, field.value, /checkbox|radio/.test(field.type) ? field.checked : null]);
  const text = JSON.stringify({ at: Date.now(), fields });
  if (text.length <= KEPT_CHARS_MAX) stored((storage) => storage.setItem(keyOf(form), text));
}

const forget = (prefix) => stored((storage) => Object.keys(storage).filter((key) => key.startsWith(prefix)).forEach((key) => storage.removeItem(key)));

// What the server says of the last form.
const done = new URLSearchParams(location.search).get("ok");
if (done === "signed-out") forget(PREFIX);
else if (done) forget(PREFIX + who);

const tabs = "BroadcastChannel" in self ? new BroadcastChannel("wartburg-forms") : null;

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post" || event.defaultPrevented) return;
  if (form.dataset.sent) return event.preventDefault();
  form.dataset.sent = "1";
  if (form.getAttribute("action") === "/logout") forget(PREFIX);
  if (!posts(form)) return;
  if (form.querySelector("textarea")) keep(form);
  if (form.elements.namedItem("version")) tabs?.postMessage({ path: location.pathname, action: form.getAttribute("action") });
});
addEventListener("pageshow", () => document.querySelectorAll("form[data-sent]").forEach((form) => delete form.dataset.sent));

// Leaving a page with unsaved text is asked about by the browser, in its own words.
addEventListener("beforeunload", (event) => {
  const unsaved = [...document.forms].some((form) => posts(form) && !form.dataset.sent && form.querySelector("textarea") && dirty(form));
  if (unsaved && !document.querySelector("form[data-sent]")) event.preventDefault();
});

// Two tabs with the same form: the second would overwrite the first, or be refused after all the typing.
tabs?.addEventListener("message", async ({ data }) => {
  const same = [...document.forms].some((form) => posts(form) && location.pathname === data.path && form.getAttribute("action") === data.action);
  if (!same) return;
  const { toast } = await import("./toast.js");
  toast(t("Dieses Formular wurde in einem anderen Tab schon gesendet. Laden Sie die Seite neu, bevor Sie weiterschreiben."), {
    tone: "warn",
    action: [t("Neu laden"), () => location.reload()],
  });
});

async function restore(form) {
  const text = stored((storage) => storage.getItem(keyOf(form)));
  if (!text) return;
  const { at, fields } = JSON.parse(text);
  if (Date.now() - at > KEPT_MILLIS_MAX) return forget(keyOf(form));
  let changed = false;
  const own = texts(form);
  fields.forEach(([name, value, checked], n) => {
    const field = own[n]?.name === name ? own[n] : null;
    // Where the page has an answer of its own, be it the same text after an error, that counts.
    if (!field || (field.defaultValue && field.localName === "textarea" && field.defaultValue !== value && dirty(form))) return;
    if (checked === null ? field.value === value : field.checked === checked) return;
    if (checked === null) field.value = value;
    else field.checked = checked;
    changed = true;
  });
  if (!changed) return;
  form.closest("details")?.setAttribute("open", "");
  const { toast } = await import("./toast.js");
  toast(t("Ihr Text von vorhin ist wieder da. Er war noch nicht gespeichert."), {
    action: [
      t("Verwerfen"),
      () => {
        forget(keyOf(form));
        form.reset();
      },
    ],
  });
}

for (const form of document.forms) if (posts(form)) restore(form);
