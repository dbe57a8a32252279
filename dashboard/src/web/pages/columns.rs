//! Which fields stand between a line's time and its message. They are chosen on the page and stand in its address, so that
//! a link shows the same to everybody.

use ingest::event::Event;
use ingest::fields::{self, FieldId};

use super::value::{Value, Values};
use crate::web::Ask;
use crate::words;

/// More of them leave no room for the message.
const COLUMNS_MAX: usize = 6;
/// What a line shows where nobody has chosen.
const USUAL: [FieldId; 2] = [fields::SITE, fields::HOST_NAME];
/// What is offered; any other field can stand in the address.
const OFFERED: [FieldId; 12] = [
    fields::SITE,
    fields::HOST_NAME,
    fields::SOURCE_IP,
    fields::DESTINATION_IP,
    fields::DESTINATION_PORT,
    fields::USER_NAME,
    fields::EVENT_ACTION,
    fields::EVENT_OUTCOME,
    fields::EVENT_CODE,
    fields::EVENT_MODULE,
    fields::PROCESS_NAME,
    fields::OBSERVER_IP,
];
/// Values of one field in one cell.
const VALUES_SHOWN: usize = 3;

/// A column as the table's head shows it.
pub(super) struct Column {
    pub(super) field: &'static str,
    pub(super) label: &'static str,
    /// How wide it begins.
    pub(super) class: &'static str,
}

/// The chosen fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Columns(Vec<FieldId>);

impl Columns {
    /// From the form (`spalte`, once each) or the address (`spalten`).
    pub(super) fn of(ask: &Ask) -> Self {
        let ticked: Vec<&str> = ask.query.all("spalte").flat_map(|names| names.split(',')).filter(|name| !name.is_empty()).collect();
        Self::parse(if ticked.is_empty() { ask.query("spalten").split(',').collect() } else { ticked })
    }

    fn parse(names: Vec<&str>) -> Self {
        let mut chosen: Vec<FieldId> = Vec::new();
        for field in names.into_iter().filter_map(|name| FieldId::find(name.trim())) {
            if chosen.len() < COLUMNS_MAX && !chosen.contains(&field) && field != fields::MESSAGE {
                chosen.push(field);
            }
        }
        Self(if chosen.is_empty() { USUAL.to_vec() } else { chosen })
    }

    /// As it stands in the address; nothing where it is the usual choice.
    pub(super) fn word(&self) -> String {
        if self.0 == USUAL { String::new() } else { self.0.iter().map(|field| field.name()).collect::<Vec<_>>().join(",") }
    }

    /// By which a grid remembers its widths.
    pub(super) fn grid(&self) -> String {
        format!("suche.{}", self.word())
    }

    pub(super) fn heads(&self) -> Vec<Column> {
        let class = |field: FieldId| match field {
            fields::SITE => "w-site",
            fields::DESTINATION_PORT | fields::EVENT_OUTCOME | fields::EVENT_CODE => "w-number",
            _ => "w-name",
        };
        self.0.iter().map(|field| Column { field: field.name(), label: words::field(*field), class: class(*field) }).collect()
    }

    /// (name, label, whether chosen): what is offered, and what was chosen beside it.
    pub(super) fn choices(&self) -> Vec<(&'static str, &'static str, bool)> {
        let others = self.0.iter().filter(|field| !OFFERED.contains(field));
        OFFERED.iter().chain(others).map(|field| (field.name(), words::field(*field), self.0.contains(field))).collect()
    }

    pub(super) fn cells(&self, event: &Event, site: &str, values: &Values<'_>) -> Vec<Value> {
        let cell = |field: &FieldId| {
            let mut found: Vec<String> = match *field {
                fields::SITE => vec![site.to_owned()],
                fields::OBSERVER_IP => vec![event.peer.to_string()],
                field => event.get_all(field).take(VALUES_SHOWN).map(|value| value.text().into_owned()).collect(),
            };
            match found.len() {
                0 => Value::plain(String::new()),
                1 => values.of(field.name(), &found.remove(0)),
                _ => Value::plain(found.join(", ")),
            }
        };
        self.0.iter().map(cell).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_known_fields_once_and_not_too_many() {
        for (given, expected) in [
            ("", ""),
            ("site,host.name", ""),
            ("host.name,site", "host.name,site"),
            ("source.ip, source.ip,gibt.es.nicht,message", "source.ip"),
            (
                "site,host.name,source.ip,destination.ip,user.name,event.action,event.code",
                "site,host.name,source.ip,destination.ip,user.name,event.action",
            ),
        ] {
            let columns = Columns::parse(given.split(',').collect());
            assert_eq!(columns.word(), expected, "{given}");
            assert_eq!(Columns::parse(columns.word().split(',').collect()), columns);
            assert!(columns.choices().iter().filter(|(.., on)| *on).count() == columns.heads().len());
        }
    }
}
