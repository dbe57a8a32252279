// What the modules say by themselves, in the page's language. The German text is the key, as in the server's catalogue;
// a test looks whether each has its English.
const ENGLISH = {
  "vor {n}\u00a0s": "{n}\u00a0s ago",
  "vor {n}\u00a0min": "{n}\u00a0min ago",
  "vor {n}\u00a0h": "{n}\u00a0h ago",
  "gestern, {at}": "yesterday, {at}",
  "Tasten": "Keys",
  "Schließen": "Close",
  "Überall": "Everywhere",
  "Diese Seite": "This page",
  "Listen": "Lists",
  "Raster": "Grid",
  "oder": "or",
  "in die Suche": "to the search",
  "diese Hilfe": "this help",
  "schließen, Suche verlassen": "close, leave the search",
  "nächste, vorige Zeile wählen": "choose next, previous row",
  "gewählte Zeile öffnen": "open the chosen row",
  "Menü des Werts öffnen": "open the value's menu",
  "Tasten aus einem einzigen Zeichen ausschalten": "Switch off keys made of a single character",
  "Kopiert": "Copied",
  "Das Kopieren hat der Browser nicht erlaubt.": "The browser did not allow copying.",
  "Kopieren": "Copy",
  "Meldungen": "Messages",
  "Meldung schließen": "Close message",
  "Aktualisiert": "Updated",
  "Ihre Sitzung ist zu Ende. Bitte melden Sie sich neu an.": "Your session has ended. Please sign in again.",
  "Anmelden": "Sign in",
  "Nicht mehr aktuell: Die Verbindung ist unterbrochen.": "No longer up to date: the connection is interrupted.",
  "Wieder aktuell.": "Up to date again.",
  "Ihr Text von vorhin ist wieder da. Er war noch nicht gespeichert.": "Your text from before is back. It had not been saved.",
  "Verwerfen": "Discard",
  "Dieses Formular wurde in einem anderen Tab schon gesendet. Laden Sie die Seite neu, bevor Sie weiterschreiben.":
    "This form has already been sent in another tab. Reload the page before you go on.",
  "Neu laden": "Reload",
  "{n} gewählt": "{n} chosen",
  "Die Verbindung ist unterbrochen.": "The connection is interrupted.",
  "Zur Zeile": "To the row",
  "Abbrechen": "Cancel",
  "Ja, weiter": "Yes, go on",
  "Wirklich?": "Really?",
  "Zelle wählen": "choose a cell",
  "erste, letzte Zelle der Zeile": "first, last cell of the row",
  "eine Seite weiter, zurück": "one page on, back",
  "Anfang, Ende": "beginning, end",
  "Einzelheiten der Zeile": "the row's details",
  "im Raster suchen": "find in the grid",
  "Spalte schmaler, breiter (auf der Überschrift)": "column narrower, wider (on its heading)",
  "Einzelheiten": "Details",
  "Suchen in allen Zeilen": "Find in all rows",
  "Weiter": "Next",
  "Zurück": "Previous",
  "Zeile {row} von {total}": "Row {row} of {total}",
  "Nichts gefunden.": "Nothing found.",
  "Bis hierher nichts gefunden; {n} Zeilen durchsucht.": "Nothing found so far; {n} rows searched.",
  "Suche läuft …": "Searching …",
  "Diese Zeilen konnten nicht geladen werden.": "These rows could not be loaded.",
  "Noch einmal versuchen": "Try again",
  "lädt …": "loading …",
  "Suche läuft seit {n} s, höchstens {max} s": "Searching for {n} s, at most {max} s",
  "Abgebrochen": "Cancelled",
  "Vorschläge": "Suggestions",
  "nur den gewählten Wert": "only the chosen value",
  "ohne den gewählten Wert": "without the chosen value",
  "Verbindung wird aufgebaut …": "Connecting …",
  "Läuft": "Running",
  "Läuft, {n} neue Zeilen warten": "Running, {n} new lines wait",
  "Angehalten": "Paused",
  "Anhalten": "Pause",
  "Fortsetzen": "Resume",
  "Verbindung unterbrochen, neuer Versuch folgt": "Connection lost, trying again",
  "{n} Zeilen/s": "{n} lines/s",
  "{n} Zeilen ausgelassen": "{n} lines left out",
  "Zeilen ausgelassen": "Lines left out",
  "Dieser Browser kann keine Passkeys. Nehmen Sie einen anderen Weg.":
    "This browser cannot use passkeys. Please take another way.",
  "Passkeys gehen nur unter {host}. Öffnen Sie die Seite unter diesem Namen.":
    "Passkeys only work at {host}. Open the page under that name.",
  "Abgebrochen, oder es hat zu lange gedauert. Bitte versuchen Sie es noch einmal.":
    "Cancelled, or it took too long. Please try again.",
  "Auf diesem Gerät gibt es schon einen Passkey für Ihr Konto.": "This device already has a passkey for your account.",
  "Der Browser erlaubt an dieser Adresse keine Passkeys.": "The browser allows no passkeys at this address.",
  "Das hat nicht geklappt. Bitte versuchen Sie es noch einmal, oder nehmen Sie einen anderen Weg.":
    "That did not work. Please try again, or take another way.",
};

const english = document.documentElement.lang.startsWith("en");

/** The text in the page's language, with `{name}` replaced from `values`. */
export function t(text, values = {}) {
  const found = english ? (ENGLISH[text] ?? text) : text;
  return found.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

/** A count as people of the page's language write it. */
const counts = new Intl.NumberFormat(english ? "en-GB" : "de-DE");
export const count = (number) => counts.format(number);

/** An element with attributes, properties beginning with a dot, and children; texts are never read as markup. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith(".")) made[key.slice(1)] = value;
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value != null) made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}
