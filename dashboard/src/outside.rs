//! What cases look like from outside: who we are in them, which values stay hidden, and what rules watch for. The pages,
//! the programs' interface and the command line write the same files by it.

use advisory::csaf::Publisher;
use detect::exchange::{Audience, Package, Sender};
use detect::incident::IncidentView;
use detect::rulebook::Rulebook;
use ingest::fields::FieldId;
use ingest::frame::Seq;
use ingest::pseudonym::{Pseudonyms, Sort, sort};

/// The publisher of our warnings is the sender of our cases; the name in the DNS is that of its address.
pub fn sender(publisher: &Publisher) -> Sender {
    let rest = publisher.namespace.split_once("://").map_or(publisher.namespace.as_str(), |(_, rest)| rest);
    let host = rest.split(['/', ':']).next().unwrap_or_default();
    Sender { name: publisher.name.clone(), domain: if host.is_empty() { "wartburg.invalid" } else { host }.to_owned() }
}

/// A case as it leaves: what the event store hides by now stays hidden in it.
pub fn package(view: &IncidentView, audience: Audience, book: &Rulebook, pseudonyms: &Pseudonyms) -> Package {
    let techniques = |rule: &str| book.set.find(rule).map(|compiled| compiled.rule.attack.clone()).unwrap_or_default();
    Package::of(view, audience, &techniques, &|field, value| hides(pseudonyms, field, value))
}

/// Whether the event store hides such a value by now.
pub(crate) fn hides(pseudonyms: &Pseudonyms, field: &str, value: &str) -> bool {
    let Some(plan) = pseudonyms.plan().filter(|plan| plan.on) else { return false };
    let Some(sort) = FieldId::find(field).and_then(sort) else { return false };
    match sort {
        Sort::User => plan.users,
        Sort::Mail => plan.mails,
        Sort::Address => value.parse().is_ok_and(|address| pseudonyms.is_hidden(address, Seq(u64::MAX))),
        // A device's name or hardware address is hidden in its lines only where it tells of a person, which nobody can tell here.
        Sort::Device => false,
        // What an address asks for and what a command was given may name somebody; the page itself does not.
        Sort::Content => plan.users && (value.contains(['?', '@']) || field.ends_with("command_line")),
    }
}

#[cfg(test)]
mod tests {
    use ingest::pseudonym::Wanted;
    use ingest::time::Timestamp;

    use super::*;

    #[test]
    fn what_the_store_hides_stays_hidden() {
        let dir = tempfile::tempdir().unwrap();
        let pseudonyms = Pseudonyms::open(dir.path()).unwrap();
        assert!(!hides(&pseudonyms, "user.name", "m.mueller"));
        let wanted = Wanted { enabled: Some(true), ..Wanted::default() };
        pseudonyms.begin(wanted, &[ingest::events::CLASS], &[], Seq(1), Timestamp(1)).unwrap();
        for (field, value, expected) in [
            ("user.name", "m.mueller", true),
            ("email.from.address", "m@example.org", true),
            ("source.ip", "10.1.2.3", true),
            ("source.ip", "203.0.113.9", false),
            ("host.name", "dc1", false),
            ("url.full", "https://bad.example/x", false),
            ("url.full", "https://bad.example/x?konto=m.mueller", true),
            ("threat.indicator.name", "bad.example", false),
            ("unknown.field", "x", false),
        ] {
            assert_eq!(hides(&pseudonyms, field, value), expected, "{field} {value}");
        }
    }

    #[test]
    fn who_we_are() {
        let of = |namespace: &str| {
            sender(&Publisher {
                name: "C".into(),
                namespace: namespace.into(),
                contact: String::new(),
                mail: String::new(),
                base_url: String::new(),
            })
            .domain
        };
        assert_eq!(of("https://cert.thueringen.example/csaf"), "cert.thueringen.example");
        assert_eq!(of("https://cert.example:8443"), "cert.example");
        assert_eq!(of(""), "wartburg.invalid");
    }
}
