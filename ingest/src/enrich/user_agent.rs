//! What a browser's word of itself says: the program, the system, and a class of it (browser, mobile, bot, library,
//! scanner). One pass over the text by one automaton; the table's order decides between several hits. It believes what
//! it reads: anybody can call himself anything, so this sorts, and proves nothing.

use std::sync::{LazyLock, Mutex, PoisonError};

use aho_corasick::AhoCorasick;

use super::recent::Recent;

/// Longer ones are attacks or blobs; their beginning says what they are.
const TEXT_BYTES_MAX: usize = 1_024;
/// A busy web server sees some thousand a day.
const RECENT: usize = 4_096;

/// What is known of one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Agent {
    pub name: Option<&'static str>,
    pub os: Option<&'static str>,
    pub class: Option<&'static str>,
}

#[derive(Clone, Copy)]
enum Says {
    /// The program and its class.
    Is(&'static str, &'static str),
    /// Its class, by a word that many programs have.
    Class(&'static str),
    /// A browser, unless the system is one of a phone.
    Browser(&'static str),
    System(&'static str),
    Mobile,
}

use Says::{Browser, Class, Is, Mobile, System};

/// Names are those of ua-parser, which other tools show too. The first row that is found wins, for the program and for
/// the system apart: browsers name those that they want to be taken for, and bots name browsers.
const TABLE: &[(&str, Says)] = &[
    ("sqlmap", Is("sqlmap", "scanner")),
    ("nmap scripting engine", Is("Nmap", "scanner")),
    ("nikto", Is("Nikto", "scanner")),
    ("nuclei", Is("Nuclei", "scanner")),
    ("masscan", Is("masscan", "scanner")),
    ("zgrab", Is("ZGrab", "scanner")),
    ("wpscan", Is("WPScan", "scanner")),
    ("dirbuster", Is("DirBuster", "scanner")),
    ("gobuster", Is("Gobuster", "scanner")),
    ("feroxbuster", Is("feroxbuster", "scanner")),
    ("fuzz faster u fool", Is("ffuf", "scanner")),
    ("wfuzz", Is("Wfuzz", "scanner")),
    ("acunetix", Is("Acunetix", "scanner")),
    ("netsparker", Is("Netsparker", "scanner")),
    ("nessus", Is("Nessus", "scanner")),
    ("openvas", Is("OpenVAS", "scanner")),
    ("qualys", Is("Qualys", "scanner")),
    ("whatweb", Is("WhatWeb", "scanner")),
    ("arachni", Is("Arachni", "scanner")),
    ("projectdiscovery", Is("httpx", "scanner")),
    ("l9explore", Is("LeakIX", "scanner")),
    ("l9tcpid", Is("LeakIX", "scanner")),
    ("censysinspect", Is("Censys", "scanner")),
    ("expanse, a palo alto", Is("Expanse", "scanner")),
    ("internetmeasurement", Is("InternetMeasurement", "scanner")),
    ("shodan", Is("Shodan", "scanner")),
    ("googlebot", Is("Googlebot", "bot")),
    ("bingbot", Is("bingbot", "bot")),
    ("yandexbot", Is("YandexBot", "bot")),
    ("baiduspider", Is("Baiduspider", "bot")),
    ("duckduckbot", Is("DuckDuckBot", "bot")),
    ("applebot", Is("Applebot", "bot")),
    ("ahrefsbot", Is("AhrefsBot", "bot")),
    ("semrushbot", Is("SemrushBot", "bot")),
    ("mj12bot", Is("MJ12bot", "bot")),
    ("dotbot", Is("DotBot", "bot")),
    ("petalbot", Is("PetalBot", "bot")),
    ("gptbot", Is("GPTBot", "bot")),
    ("oai-searchbot", Is("OAI-SearchBot", "bot")),
    ("chatgpt-user", Is("ChatGPT-User", "bot")),
    ("claudebot", Is("ClaudeBot", "bot")),
    ("perplexitybot", Is("PerplexityBot", "bot")),
    ("ccbot", Is("CCBot", "bot")),
    ("bytespider", Is("Bytespider", "bot")),
    ("amazonbot", Is("Amazonbot", "bot")),
    ("facebookexternalhit", Is("FacebookBot", "bot")),
    ("twitterbot", Is("Twitterbot", "bot")),
    ("uptimerobot", Is("UptimeRobot", "bot")),
    ("bot/", Class("bot")),
    ("bot;", Class("bot")),
    ("crawler", Class("bot")),
    ("spider", Class("bot")),
    ("(+http", Class("bot")),
    ("; +http", Class("bot")),
    ("python-requests", Is("Python Requests", "library")),
    ("python-urllib", Is("Python-urllib", "library")),
    ("python-httpx", Is("Python HTTPX", "library")),
    ("aiohttp", Is("aiohttp", "library")),
    ("go-http-client", Is("Go-http-client", "library")),
    ("okhttp", Is("okhttp", "library")),
    ("apache-httpclient", Is("Apache-HttpClient", "library")),
    ("java/", Is("Java", "library")),
    ("libwww-perl", Is("libwww-perl", "library")),
    ("node-fetch", Is("node-fetch", "library")),
    ("axios/", Is("axios", "library")),
    ("guzzlehttp", Is("GuzzleHttp", "library")),
    ("postmanruntime", Is("PostmanRuntime", "library")),
    ("restsharp", Is("RestSharp", "library")),
    ("powershell/", Is("PowerShell", "library")),
    ("microsoft bits/", Is("Microsoft BITS", "library")),
    ("certutil", Is("CertUtil", "library")),
    ("microsoft-cryptoapi", Is("Microsoft-CryptoAPI", "library")),
    ("microsoft-delivery-optimization", Is("Delivery Optimization", "library")),
    ("windows-update-agent", Is("Windows-Update-Agent", "library")),
    ("winhttp", Is("WinHTTP", "library")),
    ("debian apt", Is("Debian APT", "library")),
    ("libdnf", Is("libdnf", "library")),
    ("wget/", Is("Wget", "library")),
    ("curl/", Is("curl", "library")),
    ("headlesschrome", Is("HeadlessChrome", "library")),
    ("phantomjs", Is("PhantomJS", "library")),
    ("edg/", Browser("Edge")),
    ("edge/", Browser("Edge")),
    ("edga/", Browser("Edge Mobile")),
    ("edgios/", Browser("Edge Mobile")),
    ("opr/", Browser("Opera")),
    ("opera", Browser("Opera")),
    ("samsungbrowser/", Browser("Samsung Internet")),
    ("vivaldi/", Browser("Vivaldi")),
    ("yabrowser/", Browser("Yandex Browser")),
    ("fxios/", Browser("Firefox iOS")),
    ("firefox/", Browser("Firefox")),
    ("thunderbird/", Browser("Thunderbird")),
    ("crios/", Browser("Chrome Mobile iOS")),
    ("chromium/", Browser("Chromium")),
    ("chrome/", Browser("Chrome")),
    ("msie ", Browser("IE")),
    ("trident/", Browser("IE")),
    ("safari/", Browser("Safari")),
    ("windows phone", System("Windows Phone")),
    ("windows", System("Windows")),
    ("android", System("Android")),
    ("iphone", System("iOS")),
    ("ipad", System("iOS")),
    ("cfnetwork", System("Mac OS X")),
    ("mac os x", System("Mac OS X")),
    ("cros ", System("Chrome OS")),
    ("freebsd", System("FreeBSD")),
    ("linux", System("Linux")),
    (" mobile", Mobile),
    ("/mobile", Mobile),
];

static AUTOMATON: LazyLock<Option<AhoCorasick>> =
    LazyLock::new(|| AhoCorasick::builder().ascii_case_insensitive(true).build(TABLE.iter().map(|(word, _)| word)).ok());

/// Reads one, without remembering it.
pub fn classify(text: &str) -> Agent {
    let mut end = text.len().min(TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let (mut program, mut system, mut mobile) = (usize::MAX, usize::MAX, false);
    let Some(automaton) = AUTOMATON.as_ref() else { return Agent::default() };
    for found in automaton.find_overlapping_iter(text.get(..end).unwrap_or_default()) {
        let row = found.pattern().as_usize();
        match TABLE.get(row) {
            Some((_, Is(..) | Class(_) | Browser(_))) => program = program.min(row),
            Some((_, System(_))) => system = system.min(row),
            Some((_, Mobile)) => mobile = true,
            None => {}
        }
    }
    let os = TABLE.get(system).and_then(|(_, says)| if let System(name) = says { Some(*name) } else { None });
    mobile |= matches!(os, Some("Android" | "iOS" | "Windows Phone"));
    match TABLE.get(program).map(|(_, says)| *says) {
        Some(Is(name, class)) => Agent { name: Some(name), os, class: Some(class) },
        Some(Class(class)) => Agent { name: None, os, class: Some(class) },
        Some(Browser(name)) => Agent { name: Some(name), os, class: Some(if mobile { "mobile" } else { "browser" }) },
        _ => Agent { name: None, os, class: None },
    }
}

/// Those read lately.
pub(super) struct Agents(Mutex<Recent<Box<str>, Agent>>);

impl Default for Agents {
    fn default() -> Self {
        Self(Mutex::new(Recent::new(RECENT)))
    }
}

impl Agents {
    pub(super) fn get(&self, text: &str) -> Agent {
        // A long one is read each time: remembered, it would cost more memory than it saves time.
        if text.len() > TEXT_BYTES_MAX {
            return classify(text);
        }
        let recent = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = recent().get(text) {
            return known;
        }
        let agent = classify(text);
        recent().put(text.into(), agent);
        agent
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn agents() {
        let shown: String = [
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36 Edg/126.0.0.0",
            "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0",
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Safari/605.1.15",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
            "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36",
            "Mozilla/5.0 (Windows NT 6.1; WOW64; Trident/7.0; rv:11.0) like Gecko",
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            "Mozilla/5.0 (compatible; SomeNewBot/0.1; +https://bot.example)",
            "curl/8.5.0",
            "python-requests/2.31.0",
            "Mozilla/5.0 (Windows NT; Windows NT 10.0; de-DE) WindowsPowerShell/5.1.19041.4522",
            "Microsoft BITS/7.8",
            "sqlmap/1.8#stable (https://sqlmap.org)",
            "Mozilla/5.00 (Nikto/2.5.0) (Evasions:None) (Test:Port Check)",
            "Mozilla/5.0 (compatible; Nmap Scripting Engine; https://nmap.org/book/nse.html)",
            "Mozilla/5.0 zgrab/0.x",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/126.0.0.0 Safari/537.36",
            "-",
            "",
        ]
        .iter()
        .map(|text| {
            let Agent { name, os, class } = classify(text);
            format!("{} | {} | {} <- {:.60}\n", class.unwrap_or("-"), name.unwrap_or("-"), os.unwrap_or("-"), text)
        })
        .collect();
        expect![[r#"
            browser | Chrome | Windows <- Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36
            browser | Edge | Windows <- Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36
            browser | Firefox | Linux <- Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:127.0) Gecko/2010
            browser | Safari | Mac OS X <- Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/
            mobile | Safari | iOS <- Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Apple
            mobile | Chrome | Android <- Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 
            browser | IE | Windows <- Mozilla/5.0 (Windows NT 6.1; WOW64; Trident/7.0; rv:11.0) li
            bot | Googlebot | - <- Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.c
            bot | - | - <- Mozilla/5.0 (compatible; SomeNewBot/0.1; +https://bot.exampl
            library | curl | - <- curl/8.5.0
            library | Python Requests | - <- python-requests/2.31.0
            library | PowerShell | Windows <- Mozilla/5.0 (Windows NT; Windows NT 10.0; de-DE) WindowsPowe
            library | Microsoft BITS | - <- Microsoft BITS/7.8
            scanner | sqlmap | - <- sqlmap/1.8#stable (https://sqlmap.org)
            scanner | Nikto | - <- Mozilla/5.00 (Nikto/2.5.0) (Evasions:None) (Test:Port Check)
            scanner | Nmap | - <- Mozilla/5.0 (compatible; Nmap Scripting Engine; https://nmap
            scanner | ZGrab | - <- Mozilla/5.0 zgrab/0.x
            library | HeadlessChrome | Linux <- Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, l
            - | - | - <- -
            - | - | - <- 
        "#]]
        .assert_eq(&shown);
    }

    #[test]
    fn a_remembered_one_says_the_same_and_a_long_one_costs_little() {
        let agents = Agents::default();
        let long = format!("{}ü Googlebot", "x".repeat(TEXT_BYTES_MAX - 1));
        for text in ["curl/8", "curl/8", "ü", long.as_str()] {
            assert_eq!(agents.get(text), classify(text), "{text}");
        }
        assert_eq!(classify(&long), Agent::default(), "only the beginning is read");
    }
}
