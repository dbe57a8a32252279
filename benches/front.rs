//! How long the front takes to let somebody in, and what a page costs before it has anything of its own:
//! `cargo bench --bench front`. A whole process (the demo) over loopback; medians and 95th percentiles, for machines are
//! noisy. What argon2 alone costs, and a file that needs no session, stand beside as measures.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use ingest::time::Stopwatch;

const LOGINS: usize = 40;
const PAGES: usize = 400;
const PASSWORD: &str = "Wartburg-2026";

/// Signed in, a page that is not there: session, authorisation, navigation with its counts and the layout, nothing else.
const BARE: &str = "/gibt-es-nicht";
const OTHERS: [&str; 9] = ["/", "/vorfaelle", "/alarme", "/suche", "/fluesse", "/regeln", "/meldungen", "/kennzahlen", "/quellen"];

fn main() -> anyhow::Result<()> {
    let demo = Demo::start()?;
    let out = &mut std::io::stdout();
    writeln!(out, "| what | median ms | 95 % ms | n |\n|---|---:|---:|---:|")?;
    row(out, "argon2 alone, as passwords are kept", argon2_alone()?)?;
    let mut cookie = String::new();
    let sign_in = || {
        cookie = demo.sign_in()?;
        Ok(())
    };
    row(out, "log-in: the form sent until the answer", times(LOGINS, sign_in)?)?;
    let file = demo.style_sheet(&cookie)?;
    let file = times(PAGES, || demo.get(&file, &cookie).map(drop))?;
    let bare = times(PAGES, || demo.get(BARE, &cookie).map(drop))?;
    let overhead = median(&bare).saturating_sub(median(&file));
    row(out, "a file, without session", file)?;
    row(out, "a page without contents", bare)?;
    for path in OTHERS {
        row(out, path, times(PAGES / 8, || demo.get(path, &cookie).map(drop))?)?;
    }
    writeln!(out, "\na page's own overhead: {:.2} ms (a page without contents less a file; medians)", millis(overhead))?;
    Ok(())
}

fn argon2_alone() -> anyhow::Result<Vec<Duration>> {
    times(LOGINS, || {
        std::hint::black_box(dashboard::user::password_hash(PASSWORD)?);
        Ok(())
    })
}

/// The demo, and one connection to it that is kept.
struct Demo {
    child: Child,
    base: String,
    agent: ureq::Agent,
}

impl Demo {
    fn start() -> anyhow::Result<Self> {
        let mut child = Command::new(env!("CARGO_BIN_EXE_wartburg"))
            .args(["demo", "--port", "0"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("starting the demo")?;
        let mut lines = BufReader::new(child.stderr.take().context("the demo's output")?).lines();
        let base = loop {
            let line = lines.next().context("the demo ended before it was ready")??;
            if let Some(at) = line.find("http://").filter(|_| line.contains("Oberfläche")) {
                break line[at..].trim().to_owned();
            }
        };
        // What it says later is read on, so that it never waits for us.
        std::thread::spawn(move || lines.count());
        let agent = ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0).build().into();
        Ok(Self { child, base, agent })
    }

    /// Returns the session's cookie.
    fn sign_in(&self) -> anyhow::Result<String> {
        let form = [("konto", "lindner"), ("kennwort", PASSWORD)];
        let answer = self.agent.post(format!("{}/login", self.base)).header("sec-fetch-site", "same-origin").send_form(form)?;
        let cookies = answer.headers().get_all("set-cookie").iter().filter_map(|cookie| cookie.to_str().ok());
        let session = cookies.map(|cookie| cookie.split(';').next().unwrap_or_default()).find(|cookie| cookie.contains("wartburg="));
        Ok(session.context("no session: is it still the demo's password?")?.to_owned())
    }

    fn get(&self, path: &str, cookie: &str) -> anyhow::Result<String> {
        let mut answer = self.agent.get(format!("{}{path}", self.base)).header("cookie", cookie).call()?;
        anyhow::ensure!(answer.status().as_u16() < 300 || path == BARE, "{path}: status {}", answer.status());
        Ok(answer.body_mut().read_to_string()?)
    }

    fn style_sheet(&self, cookie: &str) -> anyhow::Result<String> {
        let page = self.get("/", cookie)?;
        let at = page.find("/assets/").context("a page without a style sheet")?;
        Ok(page[at..].split('"').next().unwrap_or_default().to_owned())
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // Asked to end as a person would, so that it takes its directory with it.
        let asked = Command::new("kill").arg("-INT").arg(self.child.id().to_string()).status().is_ok_and(|status| status.success());
        if !asked {
            self.child.kill().ok();
        }
        self.child.wait().ok();
    }
}

fn times(n: usize, mut work: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<Vec<Duration>> {
    work()?;
    let times = (0..n).map(|_| {
        let watch = Stopwatch::start();
        work().map(|()| watch.elapsed())
    });
    let mut times = times.collect::<anyhow::Result<Vec<_>>>()?;
    times.sort_unstable();
    Ok(times)
}

fn row(out: &mut impl std::io::Write, what: &str, times: Vec<Duration>) -> anyhow::Result<()> {
    let late = times.get(times.len() * 95 / 100).copied().unwrap_or_default();
    writeln!(out, "| {what} | {:.2} | {:.2} | {} |", millis(median(&times)), millis(late), times.len())?;
    Ok(())
}

fn median(sorted: &[Duration]) -> Duration {
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
