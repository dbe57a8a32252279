//! The demo: a fresh data directory with real bodies and invented history, the whole server on it, and live packets to
//! its own sockets. Nothing outside depends on it, and it opens no port beyond loopback.

mod bodies;
pub mod mime;
mod past;
pub mod sink;
mod traffic;
mod warnings;

use std::net::IpAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use detect::flow::Sheet;
use detect::incident::{IncidentFilter, incident_json};
use detect::intel::{NewIndicator, Pattern, Tlp};
use detect::role::Role;
use detect::sigma::RuleSet;
use ingest::body::{body_add, contact_add, site_add};
use ingest::db::Db;
use ingest::listen::Listener;
use ingest::scope::Scope;
use ingest::time::{Clock, Stopwatch, Timestamp};
use tokio_util::sync::CancellationToken;

use self::bodies::DemoBody;
use self::past::Staff;
use self::sink::Sink;
use self::traffic::Targets;
use crate::cli::DemoArgs;
use crate::config::{self, Config};
use crate::node::{self, Node};
use crate::reveal::{NewReveal, Object, RevealError, reveal_ask, reveal_decide};
use crate::serve;
use crate::show;
use crate::user::{User, UserId, password_hash, user_add, user_list};
use crate::web::Settings;

/// The demo's password, the same for all its accounts; it guards nothing but invented data on loopback.
const PASSWORD: &str = "Wartburg-2026";
/// How long `--once` waits for the attack's incident before it calls it a failure.
const ONCE_PATIENCE: Duration = Duration::from_secs(90);

/// One login per role: login, name, role.
const LOGINS: [(&str, &str, Role); 7] = [
    ("lindner", "Maria Lindner", Role::Analyst),
    ("weise", "Thomas Weise", Role::Analyst),
    ("hartmann", "Sabine Hartmann", Role::Lead),
    ("soemmerda", "ISB Sömmerda", Role::Municipality),
    ("gremium", "Steuerungsgremium", Role::Steering),
    ("verwaltung", "Verwaltung", Role::Admin),
    ("revision", "Revision", Role::Auditor),
];
/// Whose account the municipality's login is.
const OWN_BODY: &str = "Stadtverwaltung Sömmerda";

/// Runs the demo until Strg+C, or with `--once` until its attack has become an incident.
///
/// # Errors
/// What kept it from starting; with `--once` an attack that became no incident.
pub fn run(args: &DemoArgs, data: Option<&Path>, clock: &Clock) -> Result<ExitCode> {
    let watch = Stopwatch::start();
    let temp = tempfile::Builder::new().prefix("wartburg-demo-").tempdir().context("Verzeichnis anlegen")?;
    let dir = data.map_or_else(|| temp.path().to_owned(), Path::to_owned);
    if dir.join("wartburg.db").exists() {
        bail!(
            "{} enthält schon Daten. Die Vorführung will ein leeres Verzeichnis: --data weglassen oder ein anderes nennen.",
            dir.display()
        );
    }
    std::fs::create_dir_all(&dir)?;
    say("Wartburg – Vorführung mit erfundenen Daten");
    say("  lege 82 Stellen und zwei Jahre Vorgeschichte an …");
    let runtime = serve::runtime()?;
    let sink = Sink::default();
    let mut config = configuration(args, runtime.block_on(sink.start(clock.clone()))?.port())?;
    config.web.theme_dir = args.theme_dir.clone();
    let bodies = prepare(&dir, &config, args.seed, clock.now())?;
    let node = Node::open(&dir, &config, clock)?;
    if args.pseudonyms {
        reveals(&node, clock.now())?;
    }
    let settings = Settings { demo: true, sink: Some(sink), demo_logins: logins(), ..Settings::default() };
    let code = runtime.block_on(async {
        // Played once, it ends by itself, and by a signal at once.
        let end = if args.once { None } else { Some(serve::End::listen()?) };
        let server = serve::start(&node, &config, settings).await?;
        greet(&server, &dir, watch);
        let (Some(syslog), Some(netflow)) = (server.intake[Listener::SyslogUdp], server.intake[Listener::NetflowUdp]) else {
            bail!("kein Empfang")
        };
        let stop = CancellationToken::new();
        let attacks: Arc<Mutex<Vec<(IpAddr, Timestamp)>>> = Arc::default();
        let play = {
            let (stop, clock, attacks, seed, once) = (stop.clone(), clock.clone(), attacks.clone(), args.seed, args.once);
            tokio::spawn(async move {
                let targets = Targets { syslog, netflow };
                let told = |source: IpAddr, body: &DemoBody| {
                    attacks.lock().unwrap_or_else(PoisonError::into_inner).push((source, clock.now()));
                    if !once {
                        say(&format!("{}  Angriff von {source} auf {} beginnt", show::clock(clock.now()), body.body.name));
                    }
                };
                traffic::play(&bodies, targets, &clock, seed, &stop, told).await;
            })
        };
        let code = match end {
            None => once(&node, &attacks).await,
            Some(end) => {
                end.wait(|| node.rules.wake()).await;
                Ok(ExitCode::SUCCESS)
            }
        };
        stop.cancel();
        let _ = play.await;
        server.stop().await;
        code
    });
    runtime.shutdown_timeout(serve::GRACE);
    node.close();
    code
}

/// Waits until the scripted attack's break-in is an incident with evidence.
async fn once(node: &Node, attacks: &Mutex<Vec<(IpAddr, Timestamp)>>) -> Result<ExitCode> {
    let watch = Stopwatch::start();
    while watch.elapsed() < ONCE_PATIENCE {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let first = attacks.lock().unwrap_or_else(PoisonError::into_inner).first().copied();
        let Some((source, began)) = first else { continue };
        let list = node.db.read(|connection| incident_json(connection, &IncidentFilter::new(Scope::All)))?;
        let broken_in = |rules: &[String]| rules.iter().any(|rule| rule == "ssh_bruteforce_success");
        if let Some(incident) = list.iter().find(|i| i.source_ip.contains(&source.to_string()) && broken_in(&i.rules)) {
            let secs = node.clock.now().since(began) / 1_000;
            say(&format!(
                "Vorfall {} „{}“ aus {} Ereignissen, {secs} s nach dem ersten Paket des Angriffs.",
                incident.number, incident.title, incident.events
            ));
            return Ok(ExitCode::SUCCESS);
        }
    }
    bail!("der Angriff wurde in {} s nicht zum Vorfall", ONCE_PATIENCE.as_secs())
}

fn configuration(args: &DemoArgs, smtp_port: u16) -> Result<Config> {
    let mut config = config::defaults();
    let free = Some("127.0.0.1:0".parse()?);
    for listener in [Listener::SyslogUdp, Listener::SyslogTcp, Listener::Http, Listener::NetflowUdp] {
        config.intake.addresses[listener] = free;
    }
    config.web.listen = Some(format!("127.0.0.1:{}", if args.once { 0 } else { args.port }).parse()?);
    config.web.base_url = format!("http://127.0.0.1:{}", args.port);
    config.mail.host = "127.0.0.1".to_owned();
    config.mail.port = smtp_port;
    config.mail.tls = "none".to_owned();
    config.pseudonymise.enabled = args.pseudonyms.then_some(true);
    Ok(config)
}

/// Fills an empty directory: bodies, accounts, the listed address, and the past.
fn prepare(dir: &Path, config: &Config, seed: u64, now: Timestamp) -> Result<Vec<DemoBody>> {
    let db = node::database(dir)?;
    let bodies = bodies::bodies(now);
    let people = accounts(&db, &bodies, now)?;
    indicator(&db, now)?;
    let playbooks = node::playbooks(dir)?;
    let rules = RuleSet::shipped().map_err(|errors| anyhow::anyhow!("Regeln: {errors:?}"))?;
    let sheet = Sheet::shipped()?;
    let detectors = sheet.iter().map(|(_, section)| section.rule.clone());
    let rules: Vec<_> = rules.rules().iter().map(|compiled| compiled.rule.clone()).chain(detectors).collect();
    let analysts = people.iter().filter(|(_, role)| *role == Role::Analyst).map(|(id, _)| id.clone()).collect();
    let lead = people.iter().find(|(_, role)| *role == Role::Lead).map(|(id, _)| id.clone()).unwrap_or_default();
    let staff = Staff { analysts, lead };
    past::incidents(&db, &rules, &playbooks, &bodies, &staff, seed, now)?;
    past::old_alerts_close(&db, &staff, now)?;
    let authors: Vec<String> =
        people.iter().filter(|(_, role)| matches!(role, Role::Analyst | Role::Lead)).map(|(id, _)| id.clone()).collect();
    warnings::warnings(&db, &dir.join("advisories"), &serve::publisher(config), &bodies, &authors, seed + 1, now)?;
    db.close();
    Ok(bodies)
}

/// Bodies with contacts and sites, and one account per role; returns the accounts' ids.
fn accounts(db: &Db, bodies: &[DemoBody], now: Timestamp) -> Result<Vec<(String, Role)>> {
    let hash = password_hash(PASSWORD)?;
    let bodies = bodies.to_vec();
    let people = db.write(move |tx| {
        for body in &bodies {
            body_add(tx, &body.body, now.plus(-800 * Timestamp::DAY))?;
            for contact in &body.contacts {
                contact_add(tx, contact)?;
            }
            site_add(tx, &body.site)?;
        }
        let own = bodies.iter().find(|body| body.body.name == OWN_BODY).map(|body| body.body.id);
        let mut people = Vec::new();
        for (login, name, role) in LOGINS {
            let body = own.filter(|_| role == Role::Municipality);
            let user = User { id: UserId::new(now), login: login.to_owned(), name: name.to_owned(), role, body, disabled: false };
            people.push((user.id.to_string(), role));
            user_add(tx, &user, &hash, now)?;
        }
        Ok::<_, anyhow::Error>(people)
    })?;
    Ok(people)
}

/// What the door shows: role, login, password.
fn logins() -> Vec<(Role, String, String)> {
    LOGINS.iter().map(|(login, _, role)| (*role, (*login).to_owned(), PASSWORD.to_owned())).collect()
}

/// Two requests to reveal: one that waits, one that was allowed.
fn reveals(node: &Node, now: Timestamp) -> Result<()> {
    let users = node.db.read(user_list)?;
    let of = |role| users.iter().find(|user| user.role == role).map(|user| user.id).unwrap_or_default();
    let (analyst, lead) = (of(Role::Analyst), of(Role::Lead));
    let new = |reason: &str, name: &str| {
        let objects = node.pseudonyms.tokens(name).into_iter().map(|value| Object { value, seq: 0 }).collect();
        NewReveal { reason: reason.to_owned(), incident: String::new(), objects }
    };
    let open = new("Das Konto meldet sich nachts aus dem Ausland an; wir müssen die Person anrufen.", "anna.mueller");
    let done = new("Anmeldungen kurz nach einer Phishing-Mail: Die Stelle braucht den Namen.", "bernd.schulze");
    node.db
        .write(move |tx| {
            let earlier = now.plus(-3 * Timestamp::HOUR);
            let id = reveal_ask(tx, analyst, Role::Analyst, &done, earlier)?;
            reveal_decide(
                tx,
                id,
                (lead, Role::Lead),
                true,
                "Der Vorfall ist belegt, der Name nötig.",
                earlier.plus(20 * Timestamp::MINUTE),
            )?;
            reveal_ask(tx, analyst, Role::Analyst, &open, now.plus(-25 * Timestamp::MINUTE)).map(drop)
        })
        .map_err(|error: RevealError| error.into())
}

fn indicator(db: &Db, now: Timestamp) -> Result<()> {
    let pattern = Pattern::Address(IpAddr::V4(traffic::C2));
    let listed = NewIndicator { pattern, list: "Demo-C2-Liste".to_owned(), tlp: Tlp::Green, confidence: 90, valid_until: None };
    db.write(move |tx| detect::intel::indicator_add(tx, &listed, now))?;
    Ok(())
}

fn greet(server: &serve::Server, dir: &Path, watch: Stopwatch) {
    say(&format!("  bereit nach {:.0} s", watch.elapsed().as_secs_f64()));
    say("");
    say(&format!("  Oberfläche   http://{}", server.web));
    for (login, name, role) in LOGINS {
        say(&format!("               {login:<12} {PASSWORD}   {} ({name})", crate::access::role_label(role)));
    }
    let intake = server.intake;
    if let (Some(udp), Some(tcp), Some(http), Some(netflow)) =
        (intake[Listener::SyslogUdp], intake[Listener::SyslogTcp], intake[Listener::Http], intake[Listener::NetflowUdp])
    {
        say(&format!("  Empfang      Syslog UDP {udp}, TCP {tcp}, NDJSON http://{http}/v1/ingest, NetFlow {netflow}"));
    }
    say(&format!("  Daten        {} (verschwinden am Ende)", dir.display()));
    say("");
    say("  Alle drei Minuten beginnt ein Angriff. Der erste geht bei drei weiteren Stellen weiter: Daraus wird ein Vorfall des Landes.");
    say("  Ende mit Strg+C.");
    say("");
}

#[expect(clippy::print_stderr, reason = "the demo speaks to the person who started it")]
fn say(line: &str) {
    eprintln!("{line}");
}
