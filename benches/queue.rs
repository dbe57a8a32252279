//! The queue with years behind it: 6,000 cases and 500,000 alerts. What its pages cost over the wire, how long a storm of alerts
//! takes until it is a case, and how long it takes to close thousands at once. Reports figures and judges none.
//!
//! `cargo bench --workspace --bench queue -- [--cases N] [--alerts N]`

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use dashboard::session::{How, Limits, NewSession, Token, session_open};
use dashboard::user::{User, UserId, user_add};
use detect::alert::{AlertAct, AlertFilter, AlertId, AlertState, Disposition, alert_ids, alerts_bulk};
use detect::finding::{Entity, Finding};
use detect::incident::{CaseError, Change, Filed, IncidentFilter, IncidentId, State, finding_file, incident_change, incident_list};
use detect::playbook::Playbooks;
use detect::role::Role;
use detect::rule::Rule;
use detect::sigma::RuleSet;
use ingest::body::{Body, BodyId, BodyKind, Site, SiteId, body_add, site_add};
use ingest::db::{Db, DbError};
use ingest::frame::Seq;
use ingest::history::{NewHistory, history_add};
use ingest::rusqlite::params;
use ingest::scope::Scope;
use ingest::time::{Clock, Stopwatch, Timestamp};

#[derive(Debug, Parser)]
struct Args {
    #[arg(long, default_value_t = 6_000)]
    cases: usize,
    #[arg(long, default_value_t = 500_000)]
    alerts: usize,
    /// Alerts of one storm.
    #[arg(long, default_value_t = 10_000)]
    storm: usize,
    /// Alerts that are closed at once.
    #[arg(long, default_value_t = 5_000)]
    closed: usize,
    #[arg(long, default_value_t = 200)]
    requests: usize,
    /// Where the data lies meanwhile; a temporary folder below it.
    #[arg(long, default_value = "target")]
    under: PathBuf,
    #[arg(long, hide = true)]
    bench: bool,
}

const TOWNS: usize = 80;
/// Cases that nobody has closed yet, and those of them whose alerts are new.
const OPEN: usize = 300;
const NEW: usize = 60;
/// Findings in one transaction, as many as one batch of the journal brings in a storm.
const BATCH: usize = 500;
/// Records of one copied alert that are named as evidence.
const EVIDENCE: usize = 2;

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let dir = tempfile::Builder::new().prefix("queue").tempdir_in(&args.under).context("a folder to write in")?;
    let data = dir.path().join("data");
    std::fs::create_dir_all(&data)?;
    let now = Clock::system().now();
    let (largest, typical, cookie) = {
        let db = dashboard::node::database(&data)?;
        let house = House::build(&db, now)?;
        let watch = Stopwatch::start();
        let typical = house.fill(&args)?;
        say(&format!("{} cases and {} alerts stored in {:.0} s", args.cases, args.alerts, watch.elapsed().as_secs_f64()))?;
        say("| what | ms | target ms | |\n|---|---:|---:|---|")?;
        let storm = house.storm(args.storm)?;
        house.bulk(args.closed)?;
        (storm, typical, house.cookie)
    };
    let server = Server::start(dir.path())?;
    for (what, path, target) in [
        ("cases, open", "/vorfaelle".to_owned(), 100),
        ("cases, all", "/vorfaelle?stand=alle".to_owned(), 100),
        ("cases with a word", "/vorfaelle?stand=alle&wort=rathaus-7".to_owned(), 100),
        ("alerts, new", "/alarme".to_owned(), 100),
        ("alerts, closed", "/alarme?stand=closed".to_owned(), 100),
        ("alerts of a rule that fired rarely", "/alarme?stand=alle&regel=new_admin_account&tage=90".to_owned(), 100),
        ("start page", "/".to_owned(), 100),
        ("a case of 80 alerts", format!("/vorfall/{typical}"), 150),
        ("the storm's case", format!("/vorfall/{largest}"), 150),
    ] {
        server.times(what, &path, &cookie, args.requests, target)?;
    }
    Ok(())
}

fn say(line: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{line}").context("write to the terminal")
}

/// The state of a country: its towns, its rules, its people.
struct House<'a> {
    db: &'a Db,
    now: Timestamp,
    rules: Vec<Arc<Rule>>,
    playbooks: Arc<Playbooks>,
    towns: Vec<(BodyId, SiteId)>,
    cookie: String,
}

impl<'a> House<'a> {
    fn build(db: &'a Db, now: Timestamp) -> anyhow::Result<Self> {
        let all = RuleSet::shipped().map_err(|errors| anyhow::anyhow!("{errors:?}"))?;
        let named = |name: &str| all.find(name).map(|compiled| compiled.rule.clone()).with_context(|| format!("no rule {name}"));
        // The last one is rare.
        let names = ["ssh_bruteforce", "ssh_bruteforce_success", "new_admin_account"];
        let rules = names.into_iter().map(named).collect::<anyhow::Result<Vec<_>>>()?;
        let towns: Vec<(BodyId, SiteId)> = (0..TOWNS).map(|_| (BodyId::new(now), SiteId::new(now))).collect();
        let (copy, token) = (towns.clone(), Token::new());
        let cookie = format!("wartburg={}", token.as_str());
        db.write(move |tx| {
            for (n, (id, site)) in copy.into_iter().enumerate() {
                let kind = BodyKind::Gemeinde;
                body_add(tx, &Body { id, name: format!("Stadt {n}"), kind, ags: None, kreis: "16068".into(), population: 9_000 }, now)?;
                let name = format!("rathaus-{n}");
                site_add(tx, &Site { id: site, name, body: Some(id), prefixes: vec![], certificates: vec![], tokens: vec![] })?;
            }
            Ok::<_, DbError>(())
        })?;
        let user =
            User { id: UserId::new(now), login: "lead".into(), name: "Frau L".into(), role: Role::Lead, body: None, disabled: false };
        let new = NewSession { user: user.id, how: How::PasswordAndCode, address: String::new(), browser: String::new() };
        db.write(move |tx| user_add(tx, &user, "x", now))?;
        db.write(move |tx| session_open(tx, &new, &token, Limits::default(), now))?;
        let playbooks = Playbooks::embedded().map_err(|errors| anyhow::anyhow!("{errors:?}"))?;
        Ok(Self { db, now, rules, playbooks: Arc::new(playbooks), towns, cookie })
    }

    fn finding(&self, rule: usize, town: usize, source: u32, host: &str, at: Timestamp) -> anyhow::Result<Finding> {
        let (body, site) = *self.towns.get(town % TOWNS).context("a town")?;
        let rule = self.rules.get(rule % self.rules.len()).context("a rule")?.clone();
        let address = Ipv4Addr::from_bits(u32::from(Ipv4Addr::new(10, 0, 0, 0)) + source);
        Ok(Finding {
            rule,
            site,
            body: Some(body),
            entity: Entity::Ip(address.into()),
            observables: BTreeMap::from([("source.ip", vec![address.to_string()]), ("host.name", vec![host.to_owned()])]),
            first: at,
            last: at,
            detected_at: at,
            evidence: vec![Seq(u64::from(source) + 1)],
            records: 12,
            reasons: vec![],
            explanation: None,
            shares: vec![],
        })
    }

    /// Years of cases, each of one host; the alerts besides the first of each are copied into it. Returns the number of an open one.
    fn fill(&self, args: &Args) -> anyhow::Result<String> {
        let more = args.alerts / args.cases.max(1);
        for from in (0..args.cases).step_by(BATCH) {
            let mut findings = vec![];
            for n in from..args.cases.min(from + BATCH) {
                let back = i64::try_from(args.cases - n)? * 3 * Timestamp::HOUR;
                // The rare rule is one in a thousand.
                let rule = if n % 1_000 == 999 { self.rules.len() - 1 } else { n % (self.rules.len() - 1) };
                findings.push((n, self.finding(rule, n, u32::try_from(n)?, &format!("host-{n}"), self.now.plus(-back))?));
            }
            let (playbooks, cases, now) = (self.playbooks.clone(), args.cases, self.now);
            self.db.write(move |tx| {
                for (n, finding) in &findings {
                    let Filed::Opened { alert, incident } = finding_file(tx, &playbooks, finding, finding.detected_at)? else { continue };
                    let left = cases - n;
                    let state = if left <= NEW {
                        AlertState::New
                    } else if left <= OPEN {
                        AlertState::Acknowledged
                    } else {
                        close(tx, incident, finding.detected_at.plus(Timestamp::HOUR))?;
                        AlertState::Closed
                    };
                    copy(tx, alert, finding, more.saturating_sub(1), state, now)?;
                }
                Ok::<_, CaseError>(())
            })?;
        }
        let filter = IncidentFilter { states: vec![State::New], ..IncidentFilter::new(Scope::All) };
        let open = self.db.read(|c| incident_list(c, &filter))?;
        Ok(open.get(OPEN / 10).context("an open case")?.number.clone())
    }

    /// Many addresses against one machine each of five towns. Returns the number of the largest case.
    fn storm(&self, n: usize) -> anyhow::Result<String> {
        let start = self.now;
        let mut findings = vec![];
        for n in 0..n {
            findings.push(self.finding(0, n % 5, 1_000_000 + u32::try_from(n)?, "firewall", start.plus(i64::try_from(n)?))?);
        }
        let counted = |db: &Db| {
            db.read(|c| incident_list(c, &IncidentFilter { states: vec![State::New], limit: 500, ..IncidentFilter::new(Scope::All) }))
        };
        let before = counted(self.db)?.len();
        let watch = Stopwatch::start();
        for part in findings.chunks(BATCH) {
            let (part, playbooks) = (part.to_vec(), self.playbooks.clone());
            self.db.write(move |tx| {
                for finding in &part {
                    finding_file(tx, &playbooks, finding, finding.detected_at)?;
                }
                Ok::<_, DbError>(())
            })?;
        }
        let took = watch.elapsed();
        let cases = counted(self.db)?;
        row(&format!("a storm of {n} alerts filed"), took, 2_000, &format!("{} cases", cases.len() - before))?;
        Ok(cases.iter().max_by_key(|case| case.alerts).context("a case")?.number.clone())
    }

    fn bulk(&self, n: usize) -> anyhow::Result<()> {
        let filter = AlertFilter { states: vec![AlertState::New], ..AlertFilter::new(Scope::All) };
        let watch = Stopwatch::start();
        let (mut ids, _) = self.db.read(|c| alert_ids(c, &filter))?;
        row("all of a filter found", watch.elapsed(), 2_000, &format!("{} alerts", ids.len()))?;
        ids.truncate(n);
        let now = self.now.plus(Timestamp::MINUTE);
        let act = AlertAct::Close(Disposition::FalsePositive);
        let watch = Stopwatch::start();
        let done = self.db.write(move |tx| alerts_bulk(tx, &ids, &act, "anna", Role::Analyst, now))?;
        row(&format!("{n} alerts closed at once"), watch.elapsed(), 2_000, &format!("{} done", done.done))
    }
}

fn close(tx: &ingest::rusqlite::Transaction<'_>, case: IncidentId, at: Timestamp) -> Result<(), CaseError> {
    let disposition = Disposition::TruePositive;
    let version = incident_change(tx, case, 1, &Change::Move { to: State::Triaged, at: None }, "anna", Role::Lead, at)?;
    incident_change(tx, case, version, &Change::Close { disposition, at: None }, "anna", Role::Lead, at)?;
    Ok(())
}

/// Alerts like one that is stored, a minute apart, each with its evidence and with the events of its life.
fn copy(
    tx: &ingest::rusqlite::Transaction<'_>,
    like: AlertId,
    finding: &Finding,
    n: usize,
    state: AlertState,
    now: Timestamp,
) -> Result<(), DbError> {
    let verdict = (state == AlertState::Closed).then_some(Disposition::TruePositive.as_str());
    let mut insert = tx.prepare_cached(
        "INSERT INTO alert (id, rule, rule_name, title, level, rsit, playbook, site, body, entity, anchor, first, last, detected_at,
             created_at, records, seq_last, observables, state, disposition, actor, incident, grouped, reasons)
         SELECT ?1, rule, rule_name, title, level, rsit, playbook, site, body, entity || '-' || ?2, ?3, ?3, ?3, ?3,
             ?3, records, seq_last, observables, ?4, ?5, actor, incident, grouped, reasons FROM alert WHERE id = ?6",
    )?;
    let mut proof = tx.prepare_cached("INSERT INTO alert_evidence (alert, seq) VALUES (?1, ?2)")?;
    for n in 0..i64::try_from(n).unwrap_or(0) {
        let at = finding.first.plus(n * Timestamp::MINUTE).min(now);
        let id = AlertId::new(at);
        insert.execute(params![id, n, at.0, state.as_str(), verdict, like])?;
        for seq in 0..EVIDENCE {
            proof.execute(params![id, at.0 + i64::try_from(seq).unwrap_or(0)])?;
        }
        if state != AlertState::New {
            let kind = if verdict.is_some() { "alert.closed" } else { "alert.acked" };
            let data = serde_json::json!({ "disposition": verdict, "rule": finding.rule.id });
            let (subject, actor) = (id.to_string(), "anna".to_owned());
            history_add(tx, at, &NewHistory { event_time: at, kind, subject, body: finding.body, actor, data, corrects: None })?;
        }
    }
    Ok(())
}

fn row(what: &str, took: Duration, target: u64, more: &str) -> anyhow::Result<()> {
    say(&format!("| {what} | {:.0} | {target} | {more} |", millis(took)))
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

struct Server {
    child: Child,
    pages: String,
    agent: ureq::Agent,
}

impl Server {
    fn start(dir: &Path) -> anyhow::Result<Self> {
        let config = dir.join("wartburg.toml");
        let off = ["syslog_udp", "syslog_tcp", "relp", "http", "netflow_udp"].map(|name| format!("{name} = \"127.0.0.1:0\"\n")).concat();
        std::fs::write(&config, format!("[intake]\n{off}[web]\nlisten = \"127.0.0.1:0\"\n"))?;
        let mut child = Command::new(env!("CARGO_BIN_EXE_wartburg"))
            .args(["--data".as_ref(), dir.join("data").as_os_str(), "--config".as_ref(), config.as_os_str(), "serve".as_ref()])
            .env("RUST_LOG", "info")
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("start wartburg")?;
        let mut said = BufReader::new(child.stderr.take().context("its standard error")?).lines();
        let serving = said.by_ref().map_while(Result::ok).find(|line| line.contains("serving")).context("it did not begin to serve")?;
        // What else it says is read and dropped, so that its pipe never fills.
        std::thread::spawn(move || said.count());
        let behind = serving.split("pages").nth(1).map(|rest| rest.trim_start_matches(|c: char| !c.is_ascii_digit()));
        let address = behind.and_then(|rest| rest.split(|c: char| !c.is_ascii_digit() && c != '.' && c != ':').next());
        let pages = address.map(str::to_owned).with_context(|| format!("no address of the pages in {serving}"))?;
        let agent = ureq::Agent::config_builder().max_redirects(0).build().into();
        Ok(Self { child, pages, agent })
    }

    fn get(&self, path: &str, cookie: &str) -> anyhow::Result<usize> {
        let mut answer = self.agent.get(format!("http://{}{path}", self.pages)).header("cookie", cookie).call()?;
        anyhow::ensure!(answer.status().as_u16() == 200, "{path}: status {}", answer.status());
        Ok(answer.body_mut().read_to_string()?.len())
    }

    fn times(&self, what: &str, path: &str, cookie: &str, n: usize, target: u64) -> anyhow::Result<()> {
        let bytes = self.get(path, cookie)?;
        let mut times = vec![];
        for _ in 0..n {
            let watch = Stopwatch::start();
            self.get(path, cookie)?;
            times.push(watch.elapsed());
        }
        times.sort_unstable();
        let at = |percent: usize| times.get(times.len() * percent / 100).copied().unwrap_or_default();
        row(&format!("{what}, p95"), at(95), target, &format!("median {:.0} ms, {} kB", millis(at(50)), bytes / 1_000))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
