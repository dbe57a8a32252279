// Short messages that take no focus: seen in a corner, heard politely. What went wrong stays until somebody closes it.
import { element, t } from "./words.js";

const STAYS = 8_000;
/** More would cover the page. */
const MAX = 3;

let place = null;
let voice = null;

/**
 * Shows `text`. `tone`: good, bad, warn or nothing. `action`: [label, function] for a button in it.
 * Returns a function that takes it away.
 */
export function toast(text, { tone = "", action = null } = {}) {
  if (!place?.isConnected) {
    place = document.getElementById("toasts") ?? element("div", { class: "toasts" });
    place.setAttribute("role", "region");
    place.setAttribute("aria-label", t("Meldungen"));
    if (!place.isConnected) document.body.append(place);
  }
  const close = element("button", { type: "button", class: "btn plain little", "aria-label": t("Meldung schließen") }, "✕");
  const one = element("div", { class: `toast notice ${tone}` }, element("div", {}, text));
  const gone = () => one.remove();
  if (action) {
    const button = element("button", { type: "button", class: "btn little" }, action[0]);
    button.addEventListener("click", () => {
      gone();
      action[1]();
    });
    one.append(button);
  }
  close.addEventListener("click", gone);
  one.append(close);
  place.append(one);
  while (place.children.length > MAX) place.firstElementChild.remove();
  announce(text);
  // Nobody loses it while reading it.
  const leave = () => (one.matches(":hover, :focus-within") ? setTimeout(leave, STAYS / 2) : gone());
  if (tone !== "bad" && tone !== "warn" && !action) setTimeout(leave, STAYS);
  return gone;
}

/** Says `text` to those who hear the page, and shows nothing. */
export function announce(text) {
  if (!voice?.isConnected) {
    voice = element("div", { class: "hidden", role: "status" });
    document.body.append(voice);
  }
  // A region is read only when its content changes after it was there.
  voice.textContent = "";
  setTimeout(() => {
    voice.textContent = text;
  }, 50);
}
