//! The value menu: what can be done with a value that a page shows. Every value is a handle: filter by it, leave it out,
//! see everything that has it, see its flows. What a viewer's role does not let him ask is not offered; where nothing is
//! left, the value is text.

use std::net::IpAddr;

use super::evidence::term;
use super::range::Range;
use crate::show;
use crate::web::Ask;
use crate::web::frame::may;
use crate::words::{self, de};

pub(super) use crate::terms::with;

/// A value with its menu, as `ui::value` shows it.
pub(in crate::web) struct Value {
    pub(in crate::web) text: String,
    /// (what it does, where that leads)
    pub(in crate::web) links: Vec<(&'static str, String)>,
    /// As it can be pasted anywhere: nothing invisible, nothing that a terminal would obey.
    pub(in crate::web) copy: String,
}

impl Value {
    /// Without anything to do with it.
    pub(in crate::web) fn plain(text: String) -> Self {
        Self { copy: show::safe(&text), text, links: vec![] }
    }
}

/// What can be done with a value, in the order in which it is offered.
pub(super) const WAYS: [&str; 4] =
    [de("Nur dieser Wert"), de("Ohne diesen Wert"), de("Alle Ereignisse mit diesem Wert"), de("Datenflüsse dieser Adresse")];

/// What the menus of one page start from: its query and its time.
pub(super) struct Values<'a> {
    /// `/suche` or `/fluesse`, where filtering leads.
    path: &'static str,
    query: &'a str,
    range: &'a Range,
    /// What else the page's own links carry on.
    more: Vec<(&'a str, &'a str)>,
    may_search: bool,
    may_flows: bool,
}

impl<'a> Values<'a> {
    pub(super) fn new(ask: &Ask, path: &'static str, query: &'a str, range: &'a Range, more: Vec<(&'a str, &'a str)>) -> Self {
        let role = ask.viewer.as_ref().map(|viewer| viewer.role);
        Self { path, query, range, more, may_search: may(role, "/suche"), may_flows: may(role, "/fluesse") }
    }

    /// Of somebody who may see everything.
    #[cfg(test)]
    pub(super) fn for_tests(path: &'static str, query: &'a str, range: &'a Range) -> Self {
        Self { path, query, range, more: vec![], may_search: true, may_flows: true }
    }

    pub(super) fn of(&self, field: &str, value: &str) -> Value {
        let one = term(field, value);
        let own = |query: &str| self.range.link(self.path, &[&[("q", query)], self.more.as_slice()].concat());
        let mut links = vec![];
        let [only, without, all, flows] = WAYS.map(words::t);
        if self.may_search {
            links.push((only, own(&with(self.query, &one))));
            links.push((without, own(&with(self.query, &format!("NOT {one}")))));
        }
        if self.may_search && (!self.query.is_empty() || self.path != "/suche") {
            links.push((all, self.range.link("/suche", &[("q", &pivot(field, value))])));
        }
        if self.may_flows && self.path != "/fluesse" && value.parse::<IpAddr>().is_ok() {
            let either = format!("{} OR {}", term("source.ip", value), term("destination.ip", value));
            links.push((flows, self.range.link("/fluesse", &[("q", &either)])));
        }
        Value { links, ..Value::plain(value.to_owned()) }
    }
}

/// An address is asked for on both sides: who was attacked once attacks the next time.
fn pivot(field: &str, value: &str) -> String {
    let address = matches!(field, "source.ip" | "destination.ip") && value.parse::<IpAddr>().is_ok();
    if address { format!("{} OR {}", term("source.ip", value), term("destination.ip", value)) } else { term(field, value) }
}

#[cfg(test)]
mod tests {
    use detect::role::Role;
    use expect_test::expect;
    use ingest::time::Timestamp;

    use super::*;

    #[test]
    fn what_each_value_offers() {
        let range = Range {
            from: Timestamp(0),
            to: Timestamp(1),
            words: vec![("zeit", "1h".into()), ("von", String::new()), ("bis", String::new())],
            body: None,
            choices: vec![],
        };
        let may = |role| crate::web::frame::may(Some(role), "/suche");
        let mut table = String::new();
        for (role, path, query, field, value) in [
            (Role::Analyst, "/suche", "", "user.name", "root"),
            (Role::Analyst, "/suche", "a OR b", "user.name", "x\" OR *:*"),
            (Role::Analyst, "/suche", "a", "source.ip", "192.0.2.7"),
            (Role::Analyst, "/fluesse", "", "source.ip", "192.0.2.7"),
            (Role::Municipality, "/suche", "", "source.ip", "192.0.2.7"),
        ] {
            let values = Values { path, query, range: &range, more: vec![], may_search: may(role), may_flows: may(role) };
            table += &format!("{} {path} {query:?} {field}={value}\n", role.as_str());
            for (label, href) in values.of(field, value).links {
                table += &format!("  {label}: {href}\n");
            }
        }
        expect![[r#"
            analyst /suche "" user.name=root
              Nur dieser Wert: /suche?q=user.name%3A%22root%22&zeit=1h
              Ohne diesen Wert: /suche?q=NOT%20user.name%3A%22root%22&zeit=1h
            analyst /suche "a OR b" user.name=x" OR *:*
              Nur dieser Wert: /suche?q=%28a%20OR%20b%29%20AND%20user.name%3A%22x%5C%22%20OR%20%2A%3A%2A%22&zeit=1h
              Ohne diesen Wert: /suche?q=%28a%20OR%20b%29%20AND%20NOT%20user.name%3A%22x%5C%22%20OR%20%2A%3A%2A%22&zeit=1h
              Alle Ereignisse mit diesem Wert: /suche?q=user.name%3A%22x%5C%22%20OR%20%2A%3A%2A%22&zeit=1h
            analyst /suche "a" source.ip=192.0.2.7
              Nur dieser Wert: /suche?q=a%20AND%20source.ip%3A%22192.0.2.7%22&zeit=1h
              Ohne diesen Wert: /suche?q=a%20AND%20NOT%20source.ip%3A%22192.0.2.7%22&zeit=1h
              Alle Ereignisse mit diesem Wert: /suche?q=source.ip%3A%22192.0.2.7%22%20OR%20destination.ip%3A%22192.0.2.7%22&zeit=1h
              Datenflüsse dieser Adresse: /fluesse?q=source.ip%3A%22192.0.2.7%22%20OR%20destination.ip%3A%22192.0.2.7%22&zeit=1h
            analyst /fluesse "" source.ip=192.0.2.7
              Nur dieser Wert: /fluesse?q=source.ip%3A%22192.0.2.7%22&zeit=1h
              Ohne diesen Wert: /fluesse?q=NOT%20source.ip%3A%22192.0.2.7%22&zeit=1h
              Alle Ereignisse mit diesem Wert: /suche?q=source.ip%3A%22192.0.2.7%22%20OR%20destination.ip%3A%22192.0.2.7%22&zeit=1h
            municipality /suche "" source.ip=192.0.2.7
        "#]]
        .assert_eq(&table);
        assert_eq!(Value::plain("a\u{1b}[31m\u{202E}b".into()).copy, "a␛[31m⟨202E⟩b");
    }
}
