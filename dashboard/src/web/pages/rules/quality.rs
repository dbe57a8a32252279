//! A rule's verdicts in words, as a bar, and as links: every number opens to the alerts behind it.

use advisory::kpi::CASES_MIN;
use detect::alert::{Disposition, RuleRecord};
use ingest::time::Timestamp;

use super::QUALITY_DAYS;
use crate::show::{self, Markup, link};
use crate::words::{self, t, tf};

pub(super) struct Quality {
    pub(super) alerts: String,
    pub(super) alerts_href: String,
    pub(super) text: String,
    /// Verdicts with their number and the alerts that got them; none without any.
    pub(super) verdicts: Vec<(&'static str, String, String)>,
    /// Widths in per cent of those judged: true, harmless, false. Empty below the least number of cases.
    pub(super) bars: Vec<(&'static str, String, String)>,
    /// Right among right and wrong, with n.
    pub(super) precision: String,
    pub(super) last: Markup,
    /// How long the middle one waited.
    pub(super) triage: String,
    /// The last seven days and the seven before.
    pub(super) trend: String,
}

impl Quality {
    pub(super) fn new(rule: &str, record: &RuleRecord, now: Timestamp) -> Self {
        let of = record.quality;
        let judged = of.judged();
        let percent = |count: u64| count as f64 / judged.max(1) as f64;
        let text = match judged {
            0 => t("noch keiner bewertet").to_owned(),
            n if n < CASES_MIN as u64 => tf(
                "{right} von {n} zutreffend, {wrong} Fehlalarm; zu wenige Fälle für Anteile",
                &[("right", &of.true_positive), ("n", &n), ("wrong", &of.false_positive)],
            ),
            n => tf(
                "{right} zutreffend, {benign} erlaubt, {wrong} Fehlalarm (n\u{a0}=\u{a0}{n})",
                &[
                    ("right", &show::percent(percent(of.true_positive))),
                    ("benign", &show::percent(percent(of.benign))),
                    ("wrong", &show::percent(percent(of.false_positive))),
                    ("n", &show::num(n)),
                ],
            ),
        };
        let mut bars = vec![];
        let mut x = 0.0;
        for (class, count) in [("f-act", of.true_positive), ("rest", of.benign), ("f-high", of.false_positive)] {
            let width = percent(count) * 100.0;
            bars.push((class, format!("{x:.1}"), format!("{width:.1}")));
            x += width;
        }
        if judged < CASES_MIN as u64 {
            bars.clear();
        }
        let counts = [
            (Disposition::TruePositive, of.true_positive),
            (Disposition::Benign, of.benign),
            (Disposition::FalsePositive, of.false_positive),
        ];
        let verdict = |(disposition, count): (Disposition, u64)| {
            (words::disposition(disposition), show::num(count), alerts_href(rule, Some(disposition)))
        };
        let decided = of.true_positive + of.false_positive;
        let precision = match of.precision().filter(|_| decided >= CASES_MIN as u64) {
            Some(share) => tf("{share} (n\u{a0}=\u{a0}{n})", &[("share", &show::percent(share)), ("n", &show::num(decided))]),
            None => String::new(),
        };
        let week = |back: usize| record.weeks.len().checked_sub(back).and_then(|place| record.weeks.get(place)).copied().unwrap_or(0);
        Self {
            alerts: show::num(of.alerts),
            alerts_href: if of.alerts > 0 { alerts_href(rule, None) } else { String::new() },
            text,
            verdicts: counts.into_iter().filter(|(_, count)| *count > 0).map(verdict).collect(),
            bars,
            precision,
            last: record.last.map(|at| show::time(at, now)).unwrap_or_default(),
            triage: record.triage.map(show::duration).unwrap_or_default(),
            trend: tf("{new} in 7 Tagen, davor {old}", &[("new", &show::num(week(1))), ("old", &show::num(week(2)))]),
        }
    }
}

/// The rule's alerts of the time that quality looks at, or those with one verdict.
pub(super) fn alerts_href(rule: &str, disposition: Option<Disposition>) -> String {
    let days = QUALITY_DAYS.to_string();
    let mut pairs = vec![("stand", "alle"), ("regel", rule), ("tage", &days)];
    if let Some(disposition) = disposition {
        pairs.push(("urteil", disposition.as_str()));
    }
    link("/alarme", &pairs)
}

#[cfg(test)]
mod tests {
    use detect::alert::RuleQuality;
    use expect_test::expect;

    use super::*;

    #[test]
    fn verdicts_in_words() {
        let quality = |true_positive, benign, false_positive| {
            let quality = RuleQuality { alerts: 50, true_positive, benign, false_positive };
            let quality = Quality::new("r", &RuleRecord { quality, ..RuleRecord::default() }, Timestamp(0));
            format!("{} {:?} {:?}\n", quality.text, quality.bars, quality.precision).replace('\u{a0}', " ").replace("\\u{a0}", " ")
        };
        expect![[r#"
            noch keiner bewertet [] ""
            4 von 9 zutreffend, 3 Fehlalarm; zu wenige Fälle für Anteile [] ""
            75 % zutreffend, 5 % erlaubt, 20 % Fehlalarm (n = 20) [("f-act", "0.0", "75.0"), ("rest", "75.0", "5.0"), ("f-high", "80.0", "20.0")] "79 % (n = 19)"
        "#]]
        .assert_eq(&[quality(0, 0, 0), quality(4, 2, 3), quality(15, 1, 4)].concat());
    }
}
