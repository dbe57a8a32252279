//! What a file says wrong is named, what it leaves out has a default, and the example is accepted.

use detect::role::Role;
use expect_test::{Expect, expect};
use ingest::listen::Listener;
use ingest::pseudonym::Addresses as HiddenAddresses;

use super::keys::example;
use super::read::{defaults, parse};
use super::*;

fn check(text: &str, expected: Expect) {
    let errors = parse("w.toml", text).err().unwrap_or_default();
    expected.assert_eq(&errors.iter().map(|error| format!("{}\n", error.0)).collect::<String>());
}

#[test]
fn errors_name_file_line_key_value_and_an_example() {
    check(
        "[intake]\nsyslog_udp = \"514\"\n",
        expect![[r#"
        w.toml, Zeile 2: intake.syslog_udp: „514“ ist keine Adresse mit Port. Zum Beispiel: "0.0.0.0:514"
    "#]],
    );
    check(
        "[intake]\nsyslog_upd = \"0.0.0.0:514\"\n[mail]\nport = 99999\ntls = \"ssl\"",
        expect![[r#"
        w.toml, Zeile 2: unbekannter Schlüssel „intake.syslog_upd“. Gemeint ist vielleicht „intake.syslog_udp“.
        w.toml, Zeile 4: mail.port: 99999 liegt nicht zwischen 1 und 65535. Zum Beispiel: 587
        w.toml, Zeile 5: mail.tls: „ssl“ ist keines von: none, starttls, implicit. Zum Beispiel: "starttls"
    "#]],
    );
    check(
        "[[sites]]\nprefixes = [\"10.0.0.0/40\"]\n",
        expect![[r#"
        w.toml, Zeile 2: sites[].prefixes: die Liste enthält „10.0.0.0/40“, das ist kein Netz. Zum Beispiel: ["10.20.0.0/16"]
        w.toml, Zeile 1: sites[].name: fehlt. Zum Beispiel: "rathaus-soemmerda"
    "#]],
    );
    check(
        "time.zone = \"Berlin\"\nweb.base_url = 7\n",
        expect![[r#"
        w.toml, Zeile 1: time.zone: „Berlin“ ist keine Zeitzone. Zum Beispiel: "Europe/Berlin"
        w.toml, Zeile 2: web.base_url: 7 ist kein Text in Anführungszeichen. Zum Beispiel: "https://wartburg.thueringen.example"
    "#]],
    );
}

#[test]
fn broken_toml_says_where() {
    let errors = parse("w.toml", "a = 1\nb = = 2\n").unwrap_err();
    assert!(errors[0].0.starts_with("w.toml, Zeile 2: kein gültiges TOML: "), "{errors:?}");
}

#[test]
fn a_missing_secret_is_named() {
    let errors = parse("w.toml", "[mail]\npassword_file = \"/nonexistent/x\"\n").unwrap_err();
    assert!(errors[0].0.contains("mail.password_file: „/nonexistent/x“ kann nicht gelesen werden"), "{errors:?}");
}

#[test]
fn every_default_and_the_example_are_accepted() {
    let config = defaults();
    assert_eq!(config.zone, chrono_tz::Europe::Berlin);
    assert_eq!(config.intake.udp_receive_buffer_bytes, 8 << 20);
    assert_eq!(config.mail.tls, "starttls");
    assert_eq!((config.journal_keep_days, config.disk), (30, Thresholds::default()));
    let secrets = |line: &str| line.contains("_file");
    let open: String = example()
        .lines()
        .filter(|line| !secrets(line))
        .map(|line| line.strip_prefix('#').unwrap_or(line))
        .filter(|line| !line.starts_with(' '))
        .map(|line| format!("{line}\n"))
        .collect();
    let config = parse("example", &open).unwrap();
    assert_eq!(
        config.sites,
        [SiteConfig {
            name: "rathaus-soemmerda".into(),
            body: Some("Stadtverwaltung Sömmerda".into()),
            prefixes: vec!["10.20.0.0/16".parse().unwrap()],
            certificates: vec!["collector.soemmerda.example".into()],
            tokens: vec![],
            rate: Some(50_000),
            priority: Priority::High,
            zone: Some(chrono_tz::UTC),
        }]
    );
}

#[test]
fn what_is_not_said_of_pseudonyms_stays_as_it_was() {
    assert_eq!(defaults().pseudonymise, Wanted::default());
    let config = parse("", "[pseudonymise]\nenabled = \"ja\"\naddresses = \"all\"\n").unwrap();
    let wanted = Wanted { enabled: Some(true), addresses: Some(HiddenAddresses::All), ..Wanted::default() };
    assert_eq!(config.pseudonymise, wanted);
}

#[test]
fn a_provider_and_its_groups() {
    let config = parse(
        "",
        "[oidc]
issuer = \"https://idp.example/realms/x\"
only = \"ja\"
emergency_accounts = [\" Notfall\"]
[[oidc.groups]]
group = \"cert\"
role = \"analyst\"
[[oidc.groups]]
group = \"isb-*\"
role = \"municipality\"
body = \"*\"",
    )
    .unwrap();
    assert_eq!(config.oidc.scopes, ["openid", "profile"]);
    assert_eq!(config.oidc.emergency, ["notfall"]);
    let rows: Vec<_> = config.oidc.groups.iter().map(|row| (row.group.as_str(), row.role, row.body.as_deref())).collect();
    assert_eq!(rows, [("cert", Some(Role::Analyst), None), ("isb-*", Some(Role::Municipality), Some("*"))]);
    assert_eq!(defaults().oidc.issuer, "");
    check(
        "[oidc]\nissuer = \"http://idp.example\"",
        expect![[r#"
        w.toml, Zeile 2: oidc.issuer: „http://idp.example“ ist keine Adresse mit https:// (http nur auf diesem Rechner). Zum Beispiel: "https://anmeldung.thueringen.example/realms/verwaltung"
    "#]],
    );
    check(
        "[[oidc.groups]]\nrole = \"analyst\"",
        expect![[r#"
        w.toml, Zeile 1: oidc.groups[].group: fehlt. Zum Beispiel: "wartburg-analyse"
    "#]],
    );
    check(
        "[[oidc.groups]]\ngroup = \"a\"\nrole = \"chef\"",
        expect![[r#"
        w.toml, Zeile 3: oidc.groups[].role: „chef“ ist keines von: analyst, lead, municipality, provider, steering, auditor, admin. Zum Beispiel: "municipality"
        w.toml, Zeile 1: oidc.groups[].role: fehlt. Zum Beispiel: "analyst"
    "#]],
    );
    check(
        "[[oidc.groups]]\ngroup = \"a\"\nrole = \"municipality\"",
        expect![[r#"
        w.toml, Zeile 1: oidc.groups[].body: fehlt für diese Rolle. Zum Beispiel: "16068051"
    "#]],
    );
    check(
        "[[oidc.groups]]\ngroup = \"a\"\nrole = \"municipality\"\nbody = \"*\"",
        expect![[r#"
        w.toml, Zeile 1: oidc.groups[].body: „*“, aber in der Gruppe steht keines. Zum Beispiel: "16068051"
    "#]],
    );
    check(
        "[[oidc.groups]]\ngroup = \"a*b*\"\nrole = \"analyst\"",
        expect![[r#"
        w.toml, Zeile 1: oidc.groups[].group: hat mehr als ein *. Zum Beispiel: "wartburg-isb-*"
    "#]],
    );
    check(
        "[[oidc.groups]]\ngruppe = \"a\"",
        expect![[r#"
        w.toml, Zeile 2: unbekannter Schlüssel „oidc.groups[].gruppe“. Gemeint ist vielleicht „oidc.groups[].group“.
        w.toml, Zeile 1: oidc.groups[].group: fehlt. Zum Beispiel: "wartburg-analyse"
    "#]],
    );
}

#[test]
fn what_exporters_sample_and_do_not_say() {
    let config = parse("", "[[flows.sampling]]\nexporters = [\"10.20.0.1/32\"]\ndomain = 7\nrate = 1000\n").unwrap();
    let exporters = vec!["10.20.0.1/32".parse().unwrap()];
    assert_eq!(config.flows.sampling, [SamplingRule { exporters, domain: Some(7), rate: 1_000 }]);
    assert_eq!(defaults().flows.loss, LossLimit { percent: 1, minutes: 15 });
    check(
        "[[flows.sampling]]\nexporters = []\nrate = 0\n[[flows.sampling]]\n",
        expect![[r#"
            w.toml, Zeile 3: flows.sampling[].rate: 0 liegt nicht zwischen 1 und 16777216. Zum Beispiel: 1000
            w.toml, Zeile 1: flows.sampling[].exporters: fehlt. Zum Beispiel: ["10.20.0.1/32"]
            w.toml, Zeile 1: flows.sampling[].rate: fehlt. Zum Beispiel: 1000
            w.toml, Zeile 1: flows.sampling[].exporters: fehlt. Zum Beispiel: ["10.20.0.1/32"]
            w.toml, Zeile 1: flows.sampling[].rate: fehlt. Zum Beispiel: 1000
        "#]],
    );
}

#[test]
fn a_listener_can_be_switched_off() {
    assert_eq!(parse("", "[intake]\nsyslog_udp = \"aus\"").unwrap().intake.addresses[Listener::SyslogUdp], None);
}

#[test]
fn feeds_of_indicators_are_whole_and_each_once() {
    let config = parse(
        "w.toml",
        "[[indicators.feeds]]\nname = \"A\"\nurl = \"https://a.example/x\"\nformat = \"misp-feed\"\n[[indicators.feeds]]\nname = \"B\"\nurl = \"https://b.example/\"\nuser = \"u\"\nvalid_days = 30\n",
    )
    .unwrap();
    let [first, second] = config.feeds.as_slice() else { panic!("two feeds") };
    let (first, second) = (first.feed(), second.feed());
    assert_eq!((first.kind, first.every_minutes, first.credentials), (FeedKind::MispFeed, 60, Credentials::None));
    assert_eq!((second.kind, second.defaults.valid_days), (FeedKind::Document(Format::Auto), Some(30)));
    assert_eq!(second.credentials, Credentials::Basic { user: "u".into(), password: String::new() });
    let token = |format: &str, token: &str| {
        FeedConfig { format: format.into(), token: Some(token.into()), ..FeedConfig::default() }.feed().credentials
    };
    assert_eq!(token("text", "abc"), Credentials::Header("Bearer abc".into()));
    assert_eq!(token("misp-feed", "abc"), Credentials::Header("abc".into()));
    assert_eq!(token("taxii", "Token abc"), Credentials::Header("Token abc".into()));
    check(
        "[[indicators.feeds]]\nname = \"A\"\nurl = \"http://a.example/x\"\n[[indicators.feeds]]\nname = \"A\"\nurl = \"https://a.example/x\"\nformat = \"json\"\n",
        expect![[r#"
            w.toml, Zeile 3: indicators.feeds[].url: „http://a.example/x“ ist keine Adresse mit https:// (http nur auf diesem Rechner). Zum Beispiel: "https://urlhaus.abuse.ch/downloads/csv_online/"
            w.toml, Zeile 1: indicators.feeds[].url: fehlt. Zum Beispiel: "https://urlhaus.abuse.ch/downloads/csv_online/"
            w.toml, Zeile 7: indicators.feeds[].format: „json“ ist keines von: auto, text, misp, stix, warnliste, misp-feed, taxii. Zum Beispiel: "text"
            w.toml, Zeile 1: indicators.feeds[].name: „A“ ist schon vergeben. Zum Beispiel: "URLhaus"
        "#]],
    );
}
