//! The ranking of the page, its course over time, and the ways. Pure: an overview in, a view out.

use ingest::events::Value as Datum;
use ingest::fields::{self, FieldId};
use ingest::flows::ask::{Amount, Overview, OverviewRow, Sums};

use super::super::value::{Value, Values};
use super::{Asked, SERIES};
use crate::chart::{self, Before, Brush, Caption, Flow, Ink, OverTime, Series, TimeBar, Unit};
use crate::show::{self, Markup};
use crate::terms::{condition, narrowed};
use crate::words::{t, tf};

pub(super) struct Top {
    pub(super) title: String,
    pub(super) label: &'static str,
    pub(super) rows: Vec<TopLine>,
    /// Whether something was sampled: then there are two columns more.
    pub(super) sampled: bool,
    /// How many there are besides.
    pub(super) note: String,
}

pub(super) struct TopLine {
    pub(super) value: Value,
    pub(super) text: String,
    /// The flows behind the row's numbers.
    pub(super) href: String,
    /// Width of the bar, the first row being 100.
    pub(super) width: String,
    pub(super) share: String,
    pub(super) bytes: String,
    pub(super) packets: String,
    pub(super) flows: String,
    pub(super) bytes_scaled: String,
    pub(super) packets_scaled: String,
    pub(super) change: String,
}

/// The services that people call by name.
const SERVICES: [(i64, &str); 24] = [
    (21, "ftp"),
    (22, "ssh"),
    (23, "telnet"),
    (25, "smtp"),
    (53, "dns"),
    (67, "dhcp"),
    (80, "http"),
    (88, "kerberos"),
    (110, "pop3"),
    (123, "ntp"),
    (143, "imap"),
    (161, "snmp"),
    (389, "ldap"),
    (443, "https"),
    (445, "smb"),
    (465, "smtps"),
    (500, "ike"),
    (514, "syslog"),
    (587, "submission"),
    (636, "ldaps"),
    (853, "dns-tls"),
    (993, "imaps"),
    (3_389, "rdp"),
    (5_985, "winrm"),
];

/// A value as people read it: a service with its name.
fn shown(field: FieldId, value: &Datum) -> String {
    match (field, value) {
        (_, Datum::Missing) => t("kein Wert").into(),
        (fields::SERVER_PORT | fields::DESTINATION_PORT | fields::SOURCE_PORT, Datum::Int(port)) => {
            match SERVICES.iter().find(|(known, _)| known == port) {
                Some((_, name)) => format!("{port} ({name})"),
                None => port.to_string(),
            }
        }
        (_, value) => value.text().into_owned(),
    }
}

pub(super) fn unit(amount: Amount) -> Unit<'static> {
    match amount {
        Amount::Bytes | Amount::BytesScaled => Unit::Bytes,
        Amount::Packets | Amount::PacketsScaled => Unit::Count(t("Pakete")),
        Amount::Flows => Unit::Count(t("Flüsse")),
    }
}

fn said(amount: Amount, sums: &Sums) -> String {
    match amount {
        Amount::Bytes | Amount::BytesScaled => show::bytes(sums.of(amount)),
        Amount::Packets | Amount::PacketsScaled => tf("{n} Pakete", &[("n", &show::num(sums.of(amount)))]),
        Amount::Flows => tf("{n} Flüsse", &[("n", &show::num(sums.of(amount)))]),
    }
}

/// `+12 %`, `neu`, `−40 %`
fn change(now: u64, before: u64) -> String {
    match (now, before) {
        (0, 0) => "–".into(),
        (_, 0) => t("neu").into(),
        (now, before) => {
            let part = (now as f64 - before as f64) / before as f64 * 100.0;
            let sign = if part >= 0.5 { "+" } else { "" };
            // More than hundredfold: the number alone says nothing.
            if part > 9_999.0 { "> +9.999\u{a0}%".into() } else { format!("{sign}{}\u{a0}%", show::decimal(part.round() + 0.0, 0)) }
        }
    }
}

pub(super) fn compared(found: &Overview, asked: &Asked<'_>) -> String {
    let (now, before) = (found.total.of(asked.amount.2), found.before.of(asked.amount.2));
    if before == 0 {
        return t("Im gleich langen Zeitraum davor gab es nichts.").into();
    }
    tf(
        "Im gleich langen Zeitraum davor: {amount} ({change}).",
        &[("amount", &said(asked.amount.2, &found.before)), ("change", &change(now, before))],
    )
}

/// Why this is not all; empty where it is.
pub(super) fn part(found: &Overview, lines_partial: bool) -> String {
    let mut said: Vec<String> = vec![];
    if found.ended_early || lines_partial {
        said.push(
            t("Die Zeit für diese Frage war um: Die Zahlen sind eine Untergrenze. Grenzen Sie den Zeitraum oder den Filter ein.").into(),
        );
    }
    if found.incomplete {
        said.push(t("Es sind zu viele verschiedene Werte, um alle zu zählen. Grenzen Sie den Zeitraum oder den Filter ein.").into());
    }
    said.join(" ")
}

/// The query that finds a row's flows.
fn behind(asked: &Asked<'_>, values: &[Datum]) -> String {
    let terms = asked.grouping.2.iter().zip(values).map(|(field, value)| condition(*field, value));
    terms.fold(asked.text.clone(), |query, term| narrowed(&query, &term))
}

fn name(asked: &Asked<'_>, row: &OverviewRow) -> String {
    let parts: Vec<String> = asked.grouping.2.iter().zip(&row.values).map(|(field, value)| shown(*field, value)).collect();
    parts.join(" → ")
}

pub(super) fn top(found: &Overview, asked: &Asked<'_>, values: &Values<'_>) -> Top {
    let amount = asked.amount.2;
    let (total, most) = (found.total.of(amount).max(1), found.rows.first().map_or(1, |row| row.sums.of(amount).max(1)));
    let line = |row: &OverviewRow| {
        let value = row.sums.of(amount);
        let single = match (asked.grouping.2, row.values.as_slice()) {
            ([field], [datum]) if *datum != Datum::Missing => {
                Value { text: shown(*field, datum), ..values.of(field.name(), &datum.text()) }
            }
            // A pair is two values; its row narrows to both.
            _ => Value::plain(String::new()),
        };
        TopLine {
            value: single,
            text: name(asked, row),
            href: asked.link(&behind(asked, &row.values)),
            width: format!("{:.1}", value as f64 / most as f64 * 100.0),
            share: format!("{}\u{a0}%", show::decimal(value as f64 / total as f64 * 100.0, 1)),
            bytes: show::bytes(row.sums.bytes),
            packets: show::num(row.sums.packets),
            flows: show::num(row.sums.flows),
            bytes_scaled: show::bytes(row.sums.bytes_scaled),
            packets_scaled: show::num(row.sums.packets_scaled),
            change: change(value, row.before.of(amount)),
        }
    };
    let left = found.groups.saturating_sub(found.rows.len());
    let pairs: [(&str, &dyn std::fmt::Display); 3] =
        [("n", &found.rows.len()), ("field", &t(asked.grouping.1)), ("amount", &t(asked.amount.1))];
    Top {
        title: tf("Die {n} größten nach {field}, in {amount}", &pairs),
        label: t(asked.grouping.1),
        rows: found.rows.iter().map(line).collect(),
        sampled: found.total.is_sampled(),
        note: if left > 0 { tf("Dazu {n} weitere, die kleiner sind.", &[("n", &show::num(left as u64))]) } else { String::new() },
    }
}

pub(super) fn over_time(found: &Overview, asked: &Asked<'_>) -> Markup {
    let amount = asked.amount.2;
    let names: Vec<String> = found.rows.iter().take(SERIES).map(|row| name(asked, row)).collect();
    let mut series: Vec<Series<'_>> = Ink::NAMED.into_iter().zip(&names).map(|(ink, name)| Series { ink, name }).collect();
    let rest = found.rows.len() > SERIES;
    if rest {
        series.push(Series { ink: Ink::Quiet, name: t("Übrige") });
    }
    let ends = found.bars.iter().skip(1).copied().chain([asked.range.to]);
    let bar = |((at, end), values): ((&ingest::time::Timestamp, ingest::time::Timestamp), &Vec<u64>)| TimeBar {
        at: *at,
        values: values.iter().take(series.len()).map(|value| *value as f64).collect(),
        href: asked.over(&at.rfc3339(), &end.rfc3339()),
    };
    let bars: Vec<TimeBar> = found.bars.iter().zip(ends).zip(&found.curves).map(bar).collect();
    let before: Vec<f64> = found.curve_before.iter().map(|value| *value as f64).collect();
    let carried = asked.range.carried();
    let more = asked.more();
    let pairs: Vec<(&str, &str)> =
        [("q", asked.text.as_str())].into_iter().chain(more).chain(carried.iter().map(|(name, value)| (*name, value.as_str()))).collect();
    let desc = tf(
        "Balken je gleich langem Abschnitt, gestapelt nach {field}; der Strich darüber ist der Zeitraum davor.",
        &[("field", &t(asked.grouping.1))],
    );
    chart::over_time(OverTime {
        caption: Caption { id: "fluss-zeit", title: t("Datenverkehr über die Zeit"), desc: &desc },
        unit: unit(amount),
        series: &series,
        bars: &bars,
        until: asked.range.to,
        before: (found.before.flows > 0).then_some(Before { name: t("Zeitraum davor"), values: &before }),
        brush: Some(Brush { path: "/fluesse", pairs: &pairs }),
    })
}

pub(super) fn ways(found: &Overview, asked: &Asked<'_>) -> Markup {
    const FIELDS: [FieldId; 3] = [fields::CLIENT_IP, fields::SERVER_PORT, fields::SERVER_IP];
    let amount = asked.amount.2;
    let flow = |path: &ingest::flows::ask::Path| {
        let [client, port, server] = &path.values;
        let query =
            FIELDS.iter().zip(&path.values).fold(asked.text.clone(), |query, (field, value)| narrowed(&query, &condition(*field, value)));
        Flow {
            path: [shown(FIELDS[0], client), shown(FIELDS[1], port), shown(FIELDS[2], server)],
            value: path.sums.of(amount) as f64,
            href: asked.link(&query),
        }
    };
    let flows: Vec<Flow> = found.paths.iter().map(flow).collect();
    let desc = t("Beide Richtungen einer Verbindung zusammen; wer fragt, sagt das Gerät, sonst Flags und Ports.");
    chart::sankey(
        Caption { id: "fluss-wege", title: t("Wege vom Client über den Dienst zum Server"), desc },
        [t("Client"), t("Dienst"), t("Server")],
        unit(amount),
        &flows,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_told_in_few_words() {
        let of = |now, before| change(now, before).replace('\u{a0}', " ");
        assert_eq!(
            [of(112, 100), of(60, 100), of(5, 0), of(0, 0), of(0, 9), of(100, 100)],
            ["+12 %", "−40 %", "neu", "–", "−100 %", "0 %"]
        );
        assert_eq!(of(u64::MAX, 1), "> +9.999 %");
    }

    #[test]
    fn services_have_their_names() {
        assert_eq!(shown(fields::SERVER_PORT, &Datum::Int(443)), "443 (https)");
        assert_eq!(shown(fields::SERVER_PORT, &Datum::Int(4_444)), "4444");
        assert_eq!(shown(fields::NETWORK_BYTES, &Datum::Int(443)), "443");
    }
}
