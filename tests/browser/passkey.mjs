// Passkeys with Chromium's virtual authenticator: made on the own page, used without a password, as a second factor and to
// confirm, renamed and removed. By the name localhost, for browsers make no passkeys for a bare address. Wants a program
// of its own: the account has a second factor meanwhile.
import { createHmac } from "node:crypto";
import { visitor } from "./lib/door.mjs";
import { tooWide } from "./lib/layout.mjs";
import { loginOf, shot, spec } from "./lib/spec.mjs";
import { watch } from "./lib/watch.mjs";

await spec(async (house) => {
  house.base = house.base.replace("127.0.0.1", "localhost");
  const { base } = house;
  const { login, password } = loginOf(house, "Analyse");
  const check = (fits, words) => {
    house.row(fits ? "ok" : "NO", words);
    if (!fits) house.problem("passkey", words);
  };
  const context = await visitor(house);
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  // What a refused form is answered with.
  watch(page, house, "Analyse", { expected: /status (of )?4(22|29)/ });

  const client = await context.newCDPSession(page);
  await client.send("WebAuthn.enable");
  const plug = (options = {}) =>
    client.send("WebAuthn.addVirtualAuthenticator", {
      options: {
        protocol: "ctap2",
        transport: "internal",
        hasResidentKey: true,
        hasUserVerification: true,
        isUserVerified: true,
        automaticPresenceSimulation: true,
        ...options,
      },
    });
  const { authenticatorId } = await plug();
  const keys = async () => (await client.send("WebAuthn.getCredentials", { authenticatorId })).credentials;

  const look = async (name) => {
    for (const [scheme, width] of [["light", 1280], ["dark", 320]]) {
      await page.emulateMedia({ colorScheme: scheme });
      await page.setViewportSize({ width, height: 900 });
      const wide = await tooWide(page);
      if (wide) house.problem(`${name} ${scheme} ${width}`, wide);
      await shot(page, `passkey ${name} ${scheme} ${width}`);
    }
    await page.emulateMedia({ colorScheme: "light" });
    await page.setViewportSize({ width: 1280, height: 900 });
  };

  const go = (path) => page.goto(`${base}${path}`);
  const press = async (name, exact = false) => {
    await Promise.all([page.waitForLoadState("load"), page.getByRole("button", { name, exact }).first().click()]);
  };
  const where = () => new URL(page.url()).pathname;
  const has = (words) => page.getByText(words).first().isVisible({ timeout: 5000 }).catch(() => false);
  async function arrive(words) {
    await page.getByText(words).first().waitFor({ timeout: 15000 }).catch(() => {});
    return has(words);
  }

  const byPassword = async () => {
    await go("/login");
    await page.fill("input[name=konto]", login);
    await page.fill("input[name=kennwort]", password);
    await page.press("input[name=kennwort]", "Enter");
    await page.waitForURL((url) => url.pathname !== "/login");
  };
  async function out() {
    await context.clearCookies();
  }

  await byPassword();
  await go("/konto");
  await look("konto-leer");

  // Made, with a name; the recovery codes are shown once.
  await press("Passkey hinzufügen");
  await look("passkey-neu");
  await page.fill("input[name=name]", "Diensthandy <b>");
  await page.getByRole("button", { name: "Passkey anlegen" }).click();
  check(await arrive("Sie sehen diese Codes nur jetzt"), "a passkey is made, and recovery codes with it");
  const codes = await page.locator(".codes li").allTextContents();
  check(codes.length === 10, "ten recovery codes");
  await look("codes");
  check((await keys()).length === 1 && (await keys())[0].isResidentCredential, "the device holds one discoverable key");
  await go("/konto");
  check(await page.locator('input[value="Diensthandy <b>"]').isVisible(), "it is listed by its name");
  await look("konto-passkey");

  // The same device a second time: it refuses.
  await press("Passkey hinzufügen");
  await page.getByRole("button", { name: "Passkey anlegen" }).click();
  check(await arrive("Auf diesem Gerät gibt es schon einen Passkey"), "the same device makes no second one");

  // In without a password.
  await out();
  await go("/login?weiter=/konto");
  await look("login");
  await page.getByRole("button", { name: "Mit Passkey anmelden" }).click();
  await page.waitForURL((url) => url.pathname === "/konto").catch(() => {});
  check(where() === "/konto", "in by passkey alone, and to where one wanted to go");
  check(await has("Passkey"), "the session says by what");

  // As second factor.
  await out();
  await byPassword();
  check(where() === "/login/schritt", "with the password alone one is not in");
  await look("zweiter-faktor");
  check((await page.context().cookies()).every((cookie) => cookie.name !== "wartburg" && cookie.name !== "__Host-wartburg"), "no session before the second factor");
  await page.getByRole("button", { name: "Mit Passkey bestätigen" }).click();
  await page.waitForURL((url) => !url.pathname.startsWith("/login")).catch(() => {});
  check(!where().startsWith("/login"), "in by password and passkey");

  // A device whose owner does not prove himself: refused by the device or by us, never in.
  await out();
  await client.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified: false });
  await go("/login");
  await page.getByRole("button", { name: "Mit Passkey anmelden" }).click();
  check(await arrive(/Abgebrochen|nicht geklappt|ging es nicht/), "without finger or PIN there is no way in");
  await client.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified: true });

  // A passkey that we do not know (any more): the door's one answer.
  const [stored] = await keys();
  await client.send("WebAuthn.removeCredential", { authenticatorId, credentialId: stored.credentialId });
  const { credentialId: _, ...rest } = stored;
  await client.send("WebAuthn.addCredential", { authenticatorId, credential: { ...rest, credentialId: Buffer.from("0123456789abcdef0123456789abcdef").toString("base64") } });
  await go("/login");
  await page.getByRole("button", { name: "Mit Passkey anmelden" }).click();
  check(await arrive("Mit diesem Passkey ging es nicht"), "an unknown passkey is refused");
  await client.send("WebAuthn.clearCredentials", { authenticatorId });

  // A copy whose counter went back is let in; the audit log has it (the Rust tests read it).
  await client.send("WebAuthn.addCredential", { authenticatorId, credential: { ...stored, signCount: 0 } });
  await go("/login");
  await page.getByRole("button", { name: "Mit Passkey anmelden" }).click();
  await page.waitForURL((url) => !url.pathname.startsWith("/login")).catch(() => {});
  check(!where().startsWith("/login"), "a counter that went back is noted, not held against the owner");

  // By recovery code, once.
  for (const [times, inside] of [["first", true], ["second", false]]) {
    await out();
    await byPassword();
    await page.getByText("Telefon oder Schlüssel nicht zur Hand?").click();
    await page.fill("input[name=ersatzcode]", codes[0].toLowerCase());
    await press("Mit diesem Code anmelden");
    check(where().startsWith("/login") !== inside, `recovery code, ${times} time: ${inside ? "in" : "not in"}`);
  }

  // An app beside it; its code confirms and then lets in.
  const code = (secret, step) => {
    const bits = [...secret.replaceAll(" ", "")].map((char) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(char).toString(2).padStart(5, "0")).join("");
    const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
    const counter = Buffer.alloc(8);
    counter.writeBigUInt64BE(BigInt(step));
    const hash = createHmac("sha1", key).update(counter).digest();
    return String((hash.readUInt32BE(hash[19] & 15) & 0x7fffffff) % 1000000).padStart(6, "0");
  };
  await page.getByRole("button", { name: "Mit Passkey bestätigen" }).click();
  await page.waitForURL((url) => !url.pathname.startsWith("/login"));
  await go("/konto");
  await press("App einrichten");
  await look("app");
  const secret = await page.locator(".secret").textContent();
  const step = Math.floor(Date.now() / 30000);
  await page.fill("input[name=code]", code(secret, step - 1));
  await press("Einrichten", true);
  check(await arrive("Die App zählt ab jetzt als zweiter Faktor"), "an app is set up with its first code");
  await out();
  await byPassword();
  await look("beide-faktoren");
  await page.fill("input[name=code]", code(secret, step - 1));
  await press("Anmelden", true);
  check(await arrive("Der Code stimmt nicht oder wurde schon benutzt"), "the code that was used is refused");
  await page.fill("input[name=code]", code(secret, step));
  await press("Anmelden", true);
  await page.waitForURL((url) => !url.pathname.startsWith("/login")).catch(() => {});
  check(!where().startsWith("/login"), "the next code lets in");

  // Without script: said in words, and the other ways stay.
  await out();
  const plain = await visitor(house, { javaScriptEnabled: false });
  const still = await plain.newPage();
  await still.goto(`${base}/login`);
  check(!(await still.getByRole("button", { name: "Mit Passkey anmelden" }).isVisible()), "without script the door offers no passkey");
  await still.fill("input[name=konto]", login);
  await still.fill("input[name=kennwort]", password);
  await still.press("input[name=kennwort]", "Enter");
  await still.waitForURL((url) => url.pathname === "/login/schritt");
  check(await still.locator("main").innerText().then((text) => text.includes("Passkeys brauchen JavaScript")), "without script the step says what to take instead");
  await still.fill("input[name=code]", code(secret, step + 1));
  await still.getByRole("button", { name: "Anmelden", exact: true }).click();
  await still.waitForURL((url) => !url.pathname.startsWith("/login")).catch(() => {});
  check(!new URL(still.url()).pathname.startsWith("/login"), "and the code lets in without script");
  await plain.close();

  // Everything taken away again.
  await go("/login");
  await page.getByRole("button", { name: "Mit Passkey anmelden" }).click();
  await page.waitForURL((url) => !url.pathname.startsWith("/login"));
  await go("/konto");
  await look("konto-voll");
  await press(/^Entfernen ?: App/);
  check(await arrive("Die App zählt nicht mehr"), "the app is removed");
  await press(/^Entfernen ?: Diensthandy/);
  check(await arrive("Der Passkey ist entfernt"), "the passkey is removed");
  check(await has("Noch keiner eingerichtet"), "nothing is left");
});
