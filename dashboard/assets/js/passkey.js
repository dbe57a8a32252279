// Passkeys: hands the server's options to the browser, and the browser's answer back to the server in a hidden field of
// the form. Without this module the part stays hidden and the form offers its other ways.

import { t } from "./words.js";

const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0));

const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");

// What people are told; the browser's own words are in English and for developers.
const WORDS = {
  old: t("Dieser Browser kann keine Passkeys. Nehmen Sie einen anderen Weg."),
  host: (host) => t("Passkeys gehen nur unter {host}. Öffnen Sie die Seite unter diesem Namen.", { host }),
  NotAllowedError: t("Abgebrochen, oder es hat zu lange gedauert. Bitte versuchen Sie es noch einmal."),
  InvalidStateError: t("Auf diesem Gerät gibt es schon einen Passkey für Ihr Konto."),
  SecurityError: t("Der Browser erlaubt an dieser Adresse keine Passkeys."),
  other: t("Das hat nicht geklappt. Bitte versuchen Sie es noch einmal, oder nehmen Sie einen anderen Weg."),
};

const descriptor = (one) => ({ ...one, id: bytes(one.id) });

async function make(options) {
  const publicKey = {
    ...options,
    challenge: bytes(options.challenge),
    user: { ...options.user, id: bytes(options.user.id) },
    excludeCredentials: (options.excludeCredentials ?? []).map(descriptor),
  };
  const made = await navigator.credentials.create({ publicKey });
  return {
    id: made.id,
    rawId: text(made.rawId),
    type: made.type,
    authenticatorAttachment: made.authenticatorAttachment ?? null,
    clientExtensionResults: {},
    response: {
      clientDataJSON: text(made.response.clientDataJSON),
      attestationObject: text(made.response.attestationObject),
      transports: made.response.getTransports?.() ?? [],
    },
  };
}

async function prove(options) {
  const publicKey = {
    ...options,
    challenge: bytes(options.challenge),
    allowCredentials: (options.allowCredentials ?? []).map(descriptor),
  };
  const proof = await navigator.credentials.get({ publicKey });
  return {
    id: proof.id,
    rawId: text(proof.rawId),
    type: proof.type,
    authenticatorAttachment: proof.authenticatorAttachment ?? null,
    clientExtensionResults: {},
    response: {
      clientDataJSON: text(proof.response.clientDataJSON),
      authenticatorData: text(proof.response.authenticatorData),
      signature: text(proof.response.signature),
      userHandle: proof.response.userHandle ? text(proof.response.userHandle) : null,
    },
  };
}

// The door's challenge is fetched when it is wanted: most who open the door come by another way.
async function options(part) {
  if (part.dataset.options) return JSON.parse(part.dataset.options);
  const answer = await fetch(part.dataset.optionsFrom, { method: "POST", headers: { "content-type": "application/x-www-form-urlencoded" } });
  if (!answer.ok) throw new Error(String(answer.status));
  return answer.json();
}

for (const part of document.querySelectorAll("[data-passkey]")) {
  const button = part.querySelector("[data-passkey-go]");
  const problem = part.querySelector("[data-passkey-problem]");
  const say = (words) => {
    problem.textContent = words;
    problem.hidden = !words;
  };
  const keeps = !window.PublicKeyCredential ? WORDS.old : location.hostname !== part.dataset.host ? WORDS.host(part.dataset.host) : "";
  // At the door it is one way of two: who cannot go it need not hear of it.
  part.hidden = Boolean(keeps && part.dataset.optionsFrom);
  button.hidden = Boolean(keeps);
  say(keeps);
  button.addEventListener("click", async () => {
    say("");
    button.disabled = true;
    try {
      const answer = await (part.dataset.passkey === "create" ? make : prove)(await options(part));
      part.querySelector("[data-passkey-answer]").value = JSON.stringify(answer);
      // Not requestSubmit: fields of the form that the other way needs may be empty.
      button.form.submit();
    } catch (error) {
      say(WORDS[error.name] ?? WORDS.other);
      button.disabled = false;
    }
  });
}
