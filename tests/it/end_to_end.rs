//! The mandate, walked once through the built program: packets of an attack become an alert and a case, the recommendation
//! goes out over real SMTP (aiosmtpd) with a signature that GnuPG knows, the contact confirms by the link in the mail, the case
//! is contained, reported and closed, the figures change, and every step stands in the case's history, in this order. What
//! people do they do as their browsers would: with a session and the pages' own forms.

use std::io::Write as _;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use ingest::body::{Body, BodyId, BodyKind, Contact, ContactId, Site, SiteId, body_add, contact_add, site_add};
use ingest::db::{Db, DbError};
use ingest::id::Ulid;
use ingest::time::{Clock, Stopwatch, Timestamp};
use regex::Regex;
use serde_json::Value;

use crate::program::{PATIENCE, Server, Setup, lines_of, required, wait_for, wartburg};
use crate::real_clients::python;

const BODY: &str = "Stadtverwaltung Sömmerda";
const ISB: &str = "isb@soemmerda.example";
const PASSWORD: &str = "Rostbratwurst-mit-Senf-1521";
const ATTACKER: &str = "203.0.113.77";

#[test]
fn from_the_first_packet_to_the_closed_case() {
    let Some(python) = python("aiosmtpd") else { return };
    if !Command::new("gpg").arg("--version").output().is_ok_and(|output| output.status.success()) {
        assert!(!required(), "gpg is required here, but missing");
        return eprintln!("skipped: gpg is not installed");
    }
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    house(&data);
    for role in ["analyst", "lead"] {
        user_add(&data, role);
    }
    assert!(wartburg(&data, &["openpgp", "generate"]).status.success());
    let mails = MailServer::start(&python, dir.path());
    let config =
        format!("[mail]\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\nfrom = \"ThüringenCERT <cert@cert.example>\"\n", mails.port);
    let server = Server::start_as(&data, &Setup { config, ..Setup::default() });
    let (analyst, lead) = (Person::signed_in(&server, "analyst"), Person::signed_in(&server, "lead"));
    let before = figures(&analyst);
    assert_eq!(before, [0, 0, 0], "nothing has happened yet");

    // An attack: guessing over UDP, and the success over TCP.
    let number = attacked(&server, &analyst);
    let case = format!("/vorfall/{number}");

    // The analyst takes the case, and sends what the rule's playbook recommends.
    analyst.does(&case, "/uebernehmen", &[]);
    analyst.does(&case, "/stand", &[("nach", "triaged")]);
    analyst.does(&case, "/stand", &[("nach", "in_work")]);
    analyst.does(&case, "/empfehlung", &[]);

    // The mail: signed, to the contact, and of a case that is AMBER it says nothing.
    let mail = mails.next();
    assert_eq!(mail["to"], serde_json::json!([ISB]), "{mail}");
    assert_eq!(mail["kind"], "multipart/signed");
    signature_checked(&data, dir.path(), &mail);
    let text = mail["text"].as_str().unwrap();
    assert!(text.contains(&number) && text.contains("TLP:AMBER") && !text.contains(ATTACKER), "{text}");

    // A mail filter opens the link, and nothing happens. Then the contact reads it and answers.
    let link = found(r"https?://[^/\s]+(/empfehlung/[0-9a-f]{64})", text);
    let contact = Person::nobody(&server);
    for _ in 0..3 {
        let page = contact.page(&link);
        assert!(page.contains(BODY) && page.contains("Der Text ist vertraulich") && !page.contains(ATTACKER), "{page}");
    }
    assert!(!kinds(&analyst, &number).contains(&"recommendation.ack".to_owned()), "opening is no answer");
    for answer in
        [&[("wort", "gelesen")][..], &[("wort", "in-arbeit")], &[("wort", "erledigt"), ("wie", "Die Firewall weist die Adresse ab.")]]
    {
        assert_eq!(contact.post(&link, answer).0, 303, "{answer:?}");
    }
    assert!(contact.page(&link).contains("Ihre Antwort ist gespeichert"));
    let shown = analyst.page(&case);
    assert!(shown.contains("Erika Muster") && shown.contains("über den Link in der Mail: Die Firewall weist die Adresse ab."), "{shown}");

    // Contained. Then the duty: it holds, its form is filled, and it is noted how it was sent.
    analyst.does(&case, "/stand", &[("nach", "contained")]);
    reported(&server, &analyst, &case);

    analyst.does(&case, "/stand", &[("nach", "recovered")]);
    assert_eq!(analyst.form(&case, "/stand", &[("nach", "closed")]).0, 403, "closing takes a second pair of eyes");
    lead.does(&case, "/stand", &[("nach", "closed"), ("ergebnis", "true_positive")]);
    let (status, over) = contact.get(&link);
    assert!(status == 410 && over.contains("Der Vorfall ist abgeschlossen"), "{status} {over}");

    // The figures: time to the recommendation, time to containment, uptake.
    assert_eq!(figures(&analyst), [1, 1, 1]);
    let uptake = analyst.page("/kennzahl/umsetzungsquote.csv");
    assert!(uptake.contains(&number) && uptake.contains("fristgerecht"), "{uptake}");

    // Each step in the history, in the order in which it happened.
    let told = kinds(&analyst, &number);
    let story = [
        "incident.opened",
        "recommendation.drafted",
        "incident.assigned",
        "incident.triaged",
        "incident.in_work",
        "recommendation.sent",
        "recommendation.delivered",
        "recommendation.ack",
        "recommendation.in_work",
        "recommendation.done",
        "incident.contained",
        "duty.due",
        "duty.filled",
        "duty.sent",
        "duty.received",
        "incident.recovered",
        "incident.closed",
    ];
    let mut rest = told.iter();
    for step in story {
        assert!(rest.any(|kind| kind == step), "{step} is missing, or not where it belongs: {told:#?}");
    }
    assert!(server.terminate());
    let verified = wartburg(&data, &["verify"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
}

/// A body with a contact, and the site from which its logs come.
pub(crate) fn house(data: &Path) {
    std::fs::create_dir_all(data).unwrap();
    // The program adds its other tables when it opens it.
    let db = Db::open(&data.join("wartburg.db"), &[ingest::body::MIGRATIONS]).unwrap();
    db.write(|tx| {
        let id = BodyId(Ulid(1));
        let body = Body { id, name: BODY.into(), kind: BodyKind::Gemeinde, ags: None, kreis: "16068".into(), population: 0 };
        body_add(tx, &body, Timestamp(0))?;
        let (name, email) = ("Erika Muster".into(), ISB.into());
        contact_add(tx, &Contact { id: ContactId(Ulid(2)), body: id, name, email, role: "isb".into(), confirmed_at: None })?;
        let prefixes = vec!["127.0.0.0/8".parse().unwrap()];
        site_add(
            tx,
            &Site { id: SiteId(Ulid(3)), name: "rathaus".into(), body: Some(id), prefixes, certificates: vec![], tokens: vec![] },
        )?;
        Ok::<_, DbError>(())
    })
    .unwrap();
    db.close();
}

/// An account as the manual says it: the password comes by standard input.
pub(crate) fn user_add(data: &Path, role: &str) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wartburg"));
    let command = command.arg("--data").arg(data).args(["user", "add", role, "--role", role]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    writeln!(child.stdin.take().unwrap(), "{PASSWORD}").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{role}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Ten failed log-ins as packets, and a success; the number of the case that became of it, once both are in it.
fn attacked(server: &Server, analyst: &Person) -> String {
    let line = |word: &str| {
        format!("<86>1 {} web sshd 1 - - {word} password for root from {ATTACKER} port 22 ssh2", Clock::system().now().rfc3339())
    };
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    for _ in 0..12 {
        udp.send_to(line("Failed").as_bytes(), server.syslog_udp).unwrap();
    }
    let cases = until("a case of the attack", || {
        let cases = analyst.json("/api/v1/incidents")["incidents"].as_array().unwrap().clone();
        (!cases.is_empty()).then_some(cases)
    });
    let number = cases[0]["number"].as_str().unwrap().to_owned();
    let mut tcp = std::net::TcpStream::connect(server.syslog_tcp).unwrap();
    writeln!(tcp, "{}", line("Accepted")).unwrap();
    until("the success in the same case", || {
        let alerts = analyst.json(&format!("/api/v1/incidents/{number}/alerts"));
        let rules: Vec<&str> = alerts["alerts"].as_array().unwrap().iter().filter_map(|alert| alert["rule_name"].as_str()).collect();
        ["ssh_bruteforce", "ssh_bruteforce_success"].iter().all(|rule| rules.contains(rule)).then_some(())
    });
    let cases = analyst.json("/api/v1/incidents")["incidents"].as_array().unwrap().len();
    assert_eq!(cases, 1, "one attack, one case");
    number
}

/// The clocks of duties start within a minute. This one is the body's, and it says on the phone what it did.
fn reported(server: &Server, analyst: &Person, case: &str) {
    let path = format!("{case}/pflicht/dsgvo_art33");
    until("the clock of the duty", || (analyst.get(&path).0 == 200).then_some(()));
    analyst.does(&path, "", &[("tat", "gilt")]);
    let form = analyst.page(&path);
    let fields: Vec<(String, String)> = Regex::new(r#"name="(f-[a-z_]+)""#)
        .unwrap()
        .captures_iter(&form)
        .map(|field| (field[1].to_owned(), "Konto root, Protokolle des Webservers".to_owned()))
        .collect();
    assert!(!fields.is_empty(), "{form}");
    let fields: Vec<(&str, &str)> =
        fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).chain([("tat", "speichern")]).collect();
    analyst.does(&path, "", &fields);
    let data: Value = serde_json::from_str(&analyst.page(&format!("{path}/formular.json"))).unwrap();
    assert!(data.to_string().contains("Protokolle des Webservers"), "{data}");
    let url = format!("http://{}{path}/formular.pdf", server.pages);
    let mut paper = analyst.agent.get(url).header("cookie", &analyst.cookie).call().unwrap();
    assert!(paper.body_mut().read_to_vec().unwrap().starts_with(b"%PDF-"));
    analyst.does(&path, "", &[("tat", "gemeldet"), ("weg", "Online-Meldeformular"), ("zeichen", "4711")]);
    analyst.does(&path, "", &[("tat", "bestaetigt"), ("zeichen", "4711")]);
}

/// How many cases stand behind the figures that this case changes.
fn figures(person: &Person) -> [usize; 3] {
    ["zeit-bis-empfehlung", "eindaemmungszeit", "umsetzungsquote"]
        .map(|key| person.page(&format!("/kennzahl/{key}.csv")).lines().skip(1).filter(|line| line.contains("TC-")).count())
}

/// What the case's history tells, as the interface for programs gives it, by the time at which each was written down.
fn kinds(person: &Person, number: &str) -> Vec<String> {
    let told = person.json(&format!("/api/v1/incidents/{number}/history"));
    let mut events: Vec<&Value> = told["history"].as_array().unwrap().iter().collect();
    events.sort_by_key(|event| (event["recorded_at"].as_str().unwrap().to_owned(), event["id"].as_str().unwrap().to_owned()));
    events.into_iter().map(|event| event["kind"].as_str().unwrap().to_owned()).collect()
}

/// The signature holds by GnuPG's word, with the house's key and no other, and not of a mail in which a byte is another.
fn signature_checked(data: &Path, dir: &Path, mail: &Value) {
    let raw = std::fs::read(mail["file"].as_str().unwrap()).unwrap();
    let text = String::from_utf8(raw).unwrap();
    let line = format!("\r\n--{}", mail["boundary"].as_str().unwrap());
    // RFC 3156: signed is what stands between the boundaries, without the line's end before the second.
    let parts: Vec<&str> = text.split(&line).collect();
    let [_, part, signature, _] = parts.as_slice() else { panic!("{text}") };
    let part = part.strip_prefix("\r\n").unwrap();
    let armored = signature.split_once("\r\n\r\n").unwrap().1;
    let home = dir.join("gnupg");
    std::fs::create_dir(&home).unwrap();
    std::fs::set_permissions(&home, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let file = |name: &str, content: &[u8]| {
        let path = dir.join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let gpg = |args: &[&str], files: &[&PathBuf]| {
        let mut command = Command::new("gpg");
        let output = command.arg("--homedir").arg(&home).args(["--batch", "--status-fd", "1"]).args(args).args(files).output().unwrap();
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    };
    let public = wartburg(data, &["openpgp", "export"]).stdout;
    let told = gpg(&["--import"], &[&file("cert.asc", &public)]);
    let fingerprint = found(r"IMPORT_OK \d+ ([0-9A-F]{40})", &told);
    let signature = file("mail.asc", armored.as_bytes());
    let good = gpg(&["--verify"], &[&signature, &file("mail.part", part.as_bytes())]);
    assert!(good.contains("GOODSIG") && good.contains(&format!("VALIDSIG {fingerprint}")), "{good}");
    let other = part.replacen("Vorfall", "vorfall", 1);
    assert_ne!(other, part);
    let bad = gpg(&["--verify"], &[&signature, &file("mail.other", other.as_bytes())]);
    assert!(bad.contains("BADSIG") && !bad.contains("GOODSIG"), "{bad}");
}

/// The body's mail server. It ends with our end of its input.
struct MailServer {
    child: Child,
    lines: Receiver<String>,
    port: u64,
}

impl MailServer {
    fn start(python: &Path, dir: &Path) -> Self {
        let folder = dir.join("mails");
        std::fs::create_dir(&folder).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/mail_server.py");
        let mut child = Command::new(python).arg(script).arg(folder).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = lines_of(child.stdout.take().unwrap());
        let port = serde_json::from_str::<Value>(&wait_for(&lines, "port")).unwrap()["port"].as_u64().unwrap();
        Self { child, lines, port }
    }

    fn next(&self) -> Value {
        serde_json::from_str(&self.lines.recv_timeout(PATIENCE).expect("a mail arrives")).unwrap()
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Somebody with a browser: what he gets and sends, with his cookie and what stands in the pages' forms.
pub(crate) struct Person {
    agent: ureq::Agent,
    base: String,
    cookie: String,
}

impl Person {
    fn nobody(server: &Server) -> Self {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0).build().into();
        Self { agent, base: format!("http://{}", server.pages), cookie: String::new() }
    }

    pub(crate) fn signed_in(server: &Server, login: &str) -> Self {
        let mut person = Self::nobody(server);
        let form = [("konto", login), ("kennwort", PASSWORD)];
        let answer = person.agent.post(format!("{}/login", person.base)).send_form(form).unwrap();
        assert_eq!(answer.status().as_u16(), 303, "{login} signs in");
        let cookie = answer.headers()["set-cookie"].to_str().unwrap();
        person.cookie = cookie.split(';').next().unwrap().to_owned();
        person
    }

    fn get(&self, path: &str) -> (u16, String) {
        let mut answer = self.agent.get(format!("{}{path}", self.base)).header("cookie", &self.cookie).call().unwrap();
        (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
    }

    pub(crate) fn page(&self, path: &str) -> String {
        let (status, text) = self.get(path);
        assert_eq!(status, 200, "{path}: {text}");
        text
    }

    fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.page(path)).unwrap()
    }

    fn post(&self, path: &str, fields: &[(&str, &str)]) -> (u16, String) {
        let request = self.agent.post(format!("{}{path}", self.base)).header("cookie", &self.cookie);
        let mut answer = request.send_form(fields.iter().copied()).unwrap();
        (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
    }

    /// Sends a form of a page with what stands hidden in it: its token, the version that it was opened in, what it is about.
    pub(crate) fn form(&self, page: &str, action: &str, fields: &[(&str, &str)]) -> (u16, String) {
        let (text, path) = (self.page(page), format!("{page}{action}"));
        let form = found(&format!(r#"(?s)<form[^>]*action="{}"[^>]*>(.*?)</form>"#, regex::escape(&path)), &text);
        let hidden = Regex::new(r#"<input type="hidden" name="([^"]+)" value="([^"]*)""#).unwrap();
        let hidden: Vec<(&str, &str)> =
            hidden.captures_iter(&form).map(|input| input.extract()).map(|(_, [name, value])| (name, value)).collect();
        self.post(&path, &[hidden.as_slice(), fields].concat())
    }

    /// As `form`, and it is done.
    pub(crate) fn does(&self, page: &str, action: &str, fields: &[(&str, &str)]) {
        let (status, text) = self.form(page, action, fields);
        assert_eq!(status, 303, "{page}{action} {fields:?}: {text}");
    }
}

pub(crate) fn found(pattern: &str, text: &str) -> String {
    Regex::new(pattern).unwrap().captures(text).unwrap_or_else(|| panic!("no {pattern} in {text}"))[1].to_owned()
}

/// What comes in the end.
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let watch = Stopwatch::start();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(watch.elapsed() < PATIENCE, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}
