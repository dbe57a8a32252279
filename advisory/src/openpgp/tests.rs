//! OpenPGP: among ourselves, and against GnuPG, which is what the other side has. Where GnuPG is missing the tests that need
//! it say so and pass.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use ingest::body::{BodyId, ContactId};
use ingest::id::Ulid;
use lettre::message::Mailbox;
use pgp::composed::{ArmorOptions, EncryptionCaps, KeyType, SecretKeyParamsBuilder, SignedPublicKey, SubkeyParamsBuilder};
use pgp::packet::{KeyFlags, SignatureConfig, SignatureType, Subpacket, SubpacketData};
use pgp::types::{KeyDetails as _, Password, Tag};
use rand_core::OsRng;

use super::*;
use crate::letter::{Protection, letter_read};
use crate::mail::{Armour, Mail, Topic, message};
use crate::openpgp::contact::contact_key_add;
use crate::store::tests::Fixture;

/// A moment at which keys made just now are alive: rPGP and GnuPG ask the system's clock.
fn now() -> Timestamp {
    ingest::time::Clock::system().now()
}

fn key() -> OwnKey {
    OwnKey::generate("ThüringenCERT <cert@cert.example>", now().plus(-60_000)).unwrap()
}

fn as_contact(key: &OwnKey) -> ContactKey {
    ContactKey::parse("isb@x.example", &key.public().unwrap(), now()).unwrap()
}

fn mail(text: &str, sealed: bool) -> Mail {
    Mail {
        key: "k".into(),
        recipient: "isb@x.example".into(),
        subject: "[TLP:GREEN] TC-2026-000001 Grüße".into(),
        text: text.into(),
        headers: vec![],
        secret: None,
        sealed,
        topic: Topic::Incident,
        about: "i".into(),
        body: Some(BodyId(Ulid(1))),
        contact: Some(ContactId(Ulid(2))),
    }
}

fn sent(mail: &Mail, armour: Armour<'_>) -> Result<Vec<u8>, crate::mail::MessageError> {
    let from: Mailbox = "ThüringenCERT <cert@cert.example>".parse().unwrap();
    message(mail, &from, "<row@cert.example>", now(), armour).map(|message| message.formatted())
}

const TEXT: &str = "Guten Tag,\n\nFrom hier an: Umlaute äöü, Punkt\n.\nund Leerzeichen am Ende  \n-- \nThüringenCERT\n";

#[test]
fn what_we_sign_and_seal_we_know_again() {
    let (own, other) = (key(), key());
    let (us, them) = ([as_contact(&own)], [as_contact(&other)]);
    let letter = letter_read(&sent(&mail(TEXT, false), Armour { own: Some(&own), keys: &[] }).unwrap(), None);
    let Protection::Signed { part, signature } = &letter.protection else { panic!("{:?}", letter.protection) };
    assert_eq!(verify(part, signature, &us, now()), Signature::Good { fingerprint: own.fingerprint() });
    assert_eq!(verify(part, signature, &them, now()), Signature::UnknownKey);
    assert_eq!(verify(&part[1..], signature, &us, now()), Signature::Bad);
    // Made for another letter, and sent again.
    let days = |n: i64| now().plus(n * Timestamp::DAY);
    assert_eq!(verify(part, signature, &us, days(6)), Signature::Good { fingerprint: own.fingerprint() });
    assert_eq!(verify(part, signature, &us, days(8)), Signature::Bad);
    assert_eq!(verify(part, b"-----BEGIN PGP SIGNATURE-----\n\nAAAA\n-----END PGP SIGNATURE-----", &us, now()), Signature::Bad);
    assert!(letter.text.contains("Umlaute äöü") && letter.attachments.is_empty(), "{letter:?}");

    let raw = sent(&mail(TEXT, true), Armour { own: Some(&own), keys: &them }).unwrap();
    assert!(!String::from_utf8_lossy(&raw).contains("Umlaute"));
    let Protection::Encrypted { message } = letter_read(&raw, None).protection else { panic!("not encrypted") };
    for reader in [&other, &own] {
        let opened = reader.open(&message, &us, now()).unwrap();
        assert_eq!(opened.signature, Signature::Good { fingerprint: own.fingerprint() });
        assert!(letter_read(&opened.content, None).text.contains("Umlaute äöü"));
    }
    assert_eq!(key().open(&message, &[], now()), None, "not for a third");
}

#[test]
fn what_may_only_go_encrypted_does_not_go_without() {
    let own = key();
    let sealed =
        |keys: &[ContactKey]| sent(&mail(TEXT, true), Armour { own: Some(&own), keys }).map(|_| ()).map_err(|error| error.to_string());
    assert_eq!(sealed(&[]), Err("no valid OpenPGP key of the recipient is on file any more".into()));
    assert_eq!(sealed(&[as_contact(&key())]), Ok(()));
    assert!(sent(&mail(TEXT, true), Armour::default()).is_err(), "nor where we have no key ourselves");
}

#[test]
fn a_key_file_is_written_once_and_read_again() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    assert!(OwnKey::load(dir.path()).unwrap().is_none());
    let own = key();
    own.save(dir.path()).unwrap();
    assert!(matches!(own.save(dir.path()), Err(PgpError::Io { .. })), "no key is written over");
    assert_eq!(std::fs::metadata(dir.path().join("openpgp.key")).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(OwnKey::load(dir.path()).unwrap().unwrap().fingerprint(), own.fingerprint());
    assert!(!format!("{own:?}").contains("PRIVATE"));
    std::fs::write(dir.path().join("openpgp.key"), "kaputt").unwrap();
    assert!(matches!(OwnKey::load(dir.path()), Err(PgpError::NoKey(_))));
}

#[test]
fn a_contacts_file_holds_keys_that_can_be_used() {
    let fixture = Fixture::new();
    let add =
        |armored: String| fixture.db.write(move |tx| contact_key_add(tx, ContactId(Ulid(2)), "ISB@x.example", &armored, "anna", now()));
    let public = key().public().unwrap();
    let fingerprint = add(public.clone()).unwrap();
    assert_eq!(add(public.clone()).unwrap(), fingerprint, "the same again");
    assert!(matches!(add("x".into()), Err(PgpError::NoKey(_))));
    assert!(matches!(add(public.replace("PUBLIC", "PRIVATE")), Err(PgpError::NoKey(_))));
    let found = fixture.db.read(|c| contact_keys(c, "isb@X.example")).unwrap();
    assert_eq!(found.iter().map(|key| key.fingerprint.as_str()).collect::<Vec<_>>(), [fingerprint.as_str()]);
    for _ in 1..5 {
        add(key().public().unwrap()).unwrap();
    }
    assert!(add(key().public().unwrap()).unwrap_err().to_string().contains("enough keys"));
    assert!(fixture.db.write(move |tx| contact_key_remove(tx, "isb@x.example", &fingerprint)).unwrap());
}

/// A signature of a key's own, to be made at a moment.
fn word_of(key: &OwnKey, kind: SignatureType, at: Timestamp, more: Vec<SubpacketData>) -> SignatureConfig {
    let primary = &key.secret().primary_key;
    let mut config = SignatureConfig::from_key(OsRng, primary, kind).unwrap();
    let first = [SubpacketData::SignatureCreationTime(seconds(at)), SubpacketData::IssuerKeyId(primary.legacy_key_id())];
    config.hashed_subpackets = first.into_iter().chain(more).map(|data| Subpacket::regular(data).unwrap()).collect();
    config
}

fn seconds(at: Timestamp) -> pgp::types::Timestamp {
    pgp::types::Timestamp::from_secs(u32::try_from(at.0 / 1_000).unwrap())
}

fn contact_of(key: &SignedPublicKey) -> ContactKey {
    ContactKey::parse("isb@x.example", &key.to_armored_string(ArmorOptions::default()).unwrap(), now()).unwrap()
}

/// Somebody puts another's signing subkey under his own key: what the other signs must not be his.
#[test]
fn a_subkey_signs_only_for_the_key_that_it_names_itself() {
    let mut sub = SubkeyParamsBuilder::default();
    sub.key_type(KeyType::Ed25519Legacy).can_sign(true).created_at(seconds(now().plus(-60_000)));
    let mut opens = SubkeyParamsBuilder::default();
    opens.key_type(KeyType::ECDH(pgp::crypto::ecc_curve::ECCCurve::Curve25519Legacy)).can_encrypt(EncryptionCaps::All);
    let mut params = SecretKeyParamsBuilder::default();
    params.key_type(KeyType::Ed25519Legacy).can_certify(true).can_sign(false).primary_user_id("ISB <isb@x.example>".into());
    params.created_at(seconds(now().plus(-60_000))).subkeys(vec![sub.build().unwrap(), opens.build().unwrap()]);
    let other =
        OwnKey::import(&params.build().unwrap().generate(OsRng).unwrap().to_armored_string(ArmorOptions::default()).unwrap()).unwrap();
    let signature = other.sign(b"text").unwrap();
    let judged = |key: &SignedPublicKey| verify(b"text", signature.as_bytes(), &[contact_of(key)], now());
    assert_eq!(judged(&other.secret().to_public_key()), Signature::Good { fingerprint: other.fingerprint() });

    let thief = key();
    let mut stolen = other.secret().to_public_key().public_subkeys.remove(0);
    let mut flags = KeyFlags::default();
    flags.set_sign(true);
    let binding = word_of(&thief, SignatureType::SubkeyBinding, now(), vec![SubpacketData::KeyFlags(flags)]);
    let primary = &thief.secret().primary_key;
    stolen.signatures = vec![binding.sign_subkey_binding(primary, primary.public_key(), &Password::empty(), &stolen.key).unwrap()];
    let mut public = thief.secret().to_public_key();
    public.public_subkeys.push(stolen);
    assert_eq!(judged(&public), Signature::Bad);
}

/// A name that is taken back is no word about how long the key holds, however new it is.
#[test]
fn a_name_taken_back_does_not_make_a_key_last_longer() {
    let own = key();
    let (primary, mut public) = (&own.secret().primary_key, own.secret().to_public_key());
    let user = public.details.users.remove(0);
    let mut flags = KeyFlags::default();
    flags.set_sign(true);
    let day = SubpacketData::KeyExpirationTime(pgp::types::Duration::from_secs(24 * 3_600));
    let sign = |config: SignatureConfig| {
        config.sign_certification(primary, primary.public_key(), &Password::empty(), Tag::UserId, &user.id).unwrap()
    };
    let holds = sign(word_of(&own, SignatureType::CertPositive, now().plus(-50_000), vec![SubpacketData::KeyFlags(flags), day]));
    let taken_back = sign(word_of(&own, SignatureType::CertRevocation, now().plus(-10_000), vec![]));
    public.details.users = vec![pgp::types::SignedUser::new(user.id.clone(), vec![holds, taken_back])];
    let contact = contact_of(&public);
    assert!(!contact.dead(now()) && contact.dead(now().plus(2 * Timestamp::DAY)));
    assert!(contact.expires_at().unwrap() < now().plus(Timestamp::DAY));
}

/// GnuPG with a home of its own; `None` where it is not installed, which is said.
struct Gpg(tempfile::TempDir);

impl Gpg {
    fn new() -> Option<Self> {
        if Command::new("gpg").arg("--version").output().is_err() {
            assert!(std::env::var_os("WARTBURG_CORPORA_REQUIRED").is_none(), "gpg is missing (Debian: gnupg)");
            eprintln!("skipped: gpg is not installed (Debian: gnupg)");
            return None;
        }
        Some(Self(tempfile::tempdir().unwrap()))
    }

    fn home(&self) -> &Path {
        self.0.path()
    }

    fn file(&self, name: &str, content: &[u8]) -> String {
        let path = self.home().join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    }

    /// (whether it succeeded, what it wrote, what it said)
    fn run(&self, args: &[&str], input: &[u8]) -> (bool, Vec<u8>, String) {
        let mut child = Command::new("gpg")
            .args([
                "--batch",
                "--yes",
                "--no-tty",
                "--pinentry-mode",
                "loopback",
                "--passphrase",
                "",
                "--trust-model",
                "always",
                "--status-fd",
                "2",
            ])
            .args(args)
            .env("GNUPGHOME", self.home())
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let done = child.wait_with_output().unwrap();
        (done.status.success(), done.stdout, String::from_utf8_lossy(&done.stderr).into_owned())
    }

    fn generate(&self, expires: &str) -> String {
        let (good, _, said) = self.run(&["--quick-generate-key", "ISB <isb@x.example>", "ed25519", "sign,cert", expires], b"");
        assert!(good, "{said}");
        let fingerprint = said.lines().find_map(|line| line.strip_prefix("[GNUPG:] KEY_CREATED P ")).unwrap().to_owned();
        assert!(self.run(&["--quick-add-key", &fingerprint, "cv25519", "encr", expires], b"").0);
        fingerprint
    }

    fn export(&self) -> String {
        String::from_utf8(self.run(&["--armor", "--export", "isb@x.example"], b"").1).unwrap()
    }
}

impl Drop for Gpg {
    fn drop(&mut self) {
        // The agent that gpg started in this home ends with it.
        let _ = Command::new("gpgconf").args(["--kill", "all"]).env("GNUPGHOME", self.home()).output();
    }
}

#[test]
fn gnupg_believes_our_signature() {
    let Some(gpg) = Gpg::new() else { return };
    let own = key();
    assert!(gpg.run(&["--import"], own.public().unwrap().as_bytes()).0);
    let letter = letter_read(&sent(&mail(TEXT, false), Armour { own: Some(&own), keys: &[] }).unwrap(), None);
    let Protection::Signed { part, signature } = &letter.protection else { panic!() };
    let (part_file, signature_file) = (gpg.file("part", part), gpg.file("part.asc", signature));
    let (good, _, said) = gpg.run(&["--verify", &signature_file, &part_file], b"");
    assert!(good && said.contains(&format!("VALIDSIG {}", own.fingerprint())), "{said}");
    let changed = gpg.file("changed", &[part.as_slice(), b" "].concat());
    assert!(!gpg.run(&["--verify", &signature_file, &changed], b"").0, "a changed part is not believed");
}

#[test]
fn gnupg_opens_what_we_seal_and_we_open_and_check_what_it_makes() {
    let Some(gpg) = Gpg::new() else { return };
    let own = key();
    let theirs = gpg.generate("0");
    assert!(gpg.run(&["--import"], own.public().unwrap().as_bytes()).0);
    let contact = ContactKey::parse("isb@x.example", &gpg.export(), now()).unwrap();
    assert_eq!(contact.fingerprint, theirs);
    let raw = sent(&mail(TEXT, true), Armour { own: Some(&own), keys: std::slice::from_ref(&contact) }).unwrap();
    let Protection::Encrypted { message } = letter_read(&raw, None).protection else { panic!() };
    let (good, text, said) = gpg.run(&["--decrypt"], &message);
    assert!(good && said.contains("GOODSIG"), "{said}");
    assert!(letter_read(&text, None).text.contains("Umlaute äöü"));

    // Their way to us: encrypted and signed in one, and signed alone.
    let inner = b"Content-Type: text/plain; charset=utf-8\r\n\r\nGeheim\r\n";
    let (good, armored, said) = gpg.run(&["--armor", "--sign", "--encrypt", "-r", "cert@cert.example", "-u", &theirs], inner);
    assert!(good, "{said}");
    let opened = own.open(&armored, std::slice::from_ref(&contact), now()).unwrap();
    assert_eq!((opened.content.as_slice(), &opened.signature), (inner.as_slice(), &Signature::Good { fingerprint: theirs.clone() }));
    assert_eq!(own.open(&armored, &[], now()).unwrap().signature, Signature::UnknownKey);
    let (good, signature, _) = gpg.run(&["--armor", "--detach-sign", "-u", &theirs], inner);
    assert!(good);
    assert_eq!(verify(inner, &signature, std::slice::from_ref(&contact), now()), Signature::Good { fingerprint: theirs });
    assert_eq!(verify(b"anderes", &signature, &[contact], now()), Signature::Bad);
}

#[test]
fn a_key_whose_time_is_over_or_that_was_revoked_is_not_used() {
    let Some(gpg) = Gpg::new() else { return };
    let fingerprint = gpg.generate("1d");
    let public = gpg.export();
    let contact = ContactKey::parse("isb@x.example", &public, now()).unwrap();
    let later = now().plus(2 * Timestamp::DAY);
    assert!(contact.usable(now()) && !contact.usable(later) && contact.dead(later));
    assert!(contact.expires_at().unwrap() < later);
    assert!(matches!(ContactKey::parse("isb@x.example", &public, later), Err(PgpError::Dead)));
    let (_, signature, _) = gpg.run(&["--armor", "--detach-sign", "-u", &fingerprint], b"x");
    assert_eq!(verify(b"x", &signature, std::slice::from_ref(&contact), later), Signature::ExpiredKey);
    // GnuPG leaves a revocation beside every key it makes; the colon in front keeps it from being used by mistake.
    let revocation = std::fs::read_to_string(gpg.home().join(format!("openpgp-revocs.d/{fingerprint}.rev"))).unwrap();
    let start = revocation.find(":-----BEGIN").unwrap() + 1;
    assert!(gpg.run(&["--import"], &revocation.as_bytes()[start..]).0);
    assert!(matches!(ContactKey::parse("isb@x.example", &gpg.export(), now()), Err(PgpError::Dead)));
}

#[test]
fn a_passphrase_and_rsa_are_refused_for_the_own_key() {
    let Some(gpg) = Gpg::new() else { return };
    assert!(gpg.run(&["--quick-generate-key", "rsa@x.example", "rsa2048", "sign,cert", "0"], b"").0);
    let rsa = gpg.run(&["--armor", "--export-secret-keys", "rsa@x.example"], b"").1;
    assert!(matches!(OwnKey::import(&String::from_utf8(rsa).unwrap()), Err(PgpError::Algorithm)));
    let fingerprint = gpg.generate("0");
    let secret = gpg.run(&["--armor", "--export-secret-keys", &fingerprint], b"").1;
    assert_eq!(OwnKey::import(&String::from_utf8(secret).unwrap()).unwrap().fingerprint(), fingerprint);
}
