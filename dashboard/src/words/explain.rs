//! Why a rule fired or did not, in words: for pages and for the command line alike.

use detect::explanation::{Asked, Because, Counted, Explanation, Found, How, Line, Part, RuleVersion, Verdict};

use super::{t, tf, tn};
use crate::show;

/// A heading with what is to be said below it.
#[derive(Debug, PartialEq)]
pub(crate) struct Told {
    pub head: String,
    pub lines: Vec<ToldLine>,
}

/// A field, what was asked of it, and what stood there.
#[derive(Debug, PartialEq)]
pub(crate) struct ToldLine {
    pub field: String,
    pub asked: String,
    /// Before the mark, marked, behind it.
    pub values: Vec<(String, String, String)>,
    /// What is to be said of the values, such as that there are none.
    pub note: String,
}

/// The selections that decided that the rule fired.
pub(crate) fn explained(explanation: &Explanation) -> Vec<Told> {
    match &explanation.because {
        Because::Record { parts, .. } => parts.iter().map(|one| part(one, true)).collect(),
        Because::Count(_) => Vec::new(),
    }
}

/// Why it did not, or would.
pub(crate) fn verdict(verdict: &Verdict) -> Vec<Told> {
    let source: Vec<String> = verdict.logsource.iter().map(|(key, word)| format!("{key} {word}")).collect();
    let source = Told {
        head: tf("Der Datensatz ist nicht von der Quelle, für die die Regel gilt ({source}).", &[("source", &source.join(", "))]),
        lines: Vec::new(),
    };
    // A record of another source may hold all the same.
    let formulas = verdict.matched || !verdict.of_source && verdict.parts.iter().all(|one| one.held);
    (!verdict.of_source).then_some(source).into_iter().chain(verdict.parts.iter().map(|one| part(one, formulas))).collect()
}

fn part(part: &Part, fired: bool) -> Told {
    let name: [(&str, &dyn std::fmt::Display); 1] = [("name", &part.selection)];
    let head = match (part.held, fired, part.of_filter) {
        (true, true, false) => tf("Auswahl „{name}“ trifft zu", &name),
        (true, true, true) => tf("Filter: „{name}“ trifft zu", &name),
        (false, true, false) => tf("Ausnahme „{name}“ trifft nicht zu", &name),
        (false, true, true) => tf("Filter: Ausnahme „{name}“ trifft nicht zu", &name),
        (false, false, false) => tf("Auswahl „{name}“ trifft nicht zu", &name),
        (false, false, true) => tf("Ein Filter verlangt „{name}“, und das trifft nicht zu", &name),
        (true, false, false) => tf("Ausnahme „{name}“ trifft zu und schließt den Treffer aus", &name),
        (true, false, true) => tf("Ein Filter hält die Regel hier still: „{name}“ trifft zu", &name),
    };
    let fits = part.fits.map_or_else(String::new, |(held, all)| {
        format!(", {}", tf("{held} von {all} Bedingungen sind erfüllt", &[("held", &held), ("all", &all)]))
    });
    let mut lines: Vec<ToldLine> = part.lines.iter().map(line).collect();
    if part.more > 0 {
        let note = tn("und eine weitere Zeile", "und {n} weitere Zeilen", part.more as u64);
        lines.push(ToldLine { field: String::new(), asked: note, values: Vec::new(), note: String::new() });
    }
    Told { head: format!("{head}{fits}"), lines }
}

fn line(line: &Line) -> ToldLine {
    let mut asked: Vec<String> = line.asked.iter().map(asked_words).collect();
    if line.asked_more > 0 {
        asked.push(tn("ein weiterer Wert", "{n} weitere Werte", line.asked_more as u64));
    }
    let asked = asked.join(&format!(" {} ", if line.held { t("und|Aufzählung") } else { t("oder|Aufzählung") }));
    let asked = if line.negated { tf("nicht so: {asked}", &[("asked", &asked)]) } else { asked };
    let hidden = line.found.iter().any(|found| found.hidden);
    let note = match line.found.is_empty() {
        // That something is missing says itself.
        true if line.asked.iter().any(|asked| matches!(asked.how, How::Missing | How::Present)) && line.held => "",
        true if line.field.is_empty() => t("im Datensatz steht nichts davon"),
        true => t("das Feld fehlt"),
        false if hidden => t("der Wert ist verborgen"),
        false => "",
    };
    ToldLine {
        field: if line.field.is_empty() { t("irgendwo im Text").to_owned() } else { line.field.clone() },
        asked: if line.held { asked } else { tf("verlangt: {asked}", &[("asked", &asked)]) },
        values: line.found.iter().filter(|found| !found.hidden).map(value).collect(),
        note: note.to_owned(),
    }
}

fn value(found: &Found) -> (String, String, String) {
    let (before, marked, behind) = found.marked();
    let front = if found.from > 0 { "…" } else { "" };
    let back = if found.from + found.text.len() < found.of { "…" } else { "" };
    (format!("{front}{before}"), marked.to_owned(), format!("{behind}{back}"))
}

fn asked_words(asked: &Asked) -> String {
    let text: [(&str, &dyn std::fmt::Display); 1] = [("text", &asked.text)];
    match asked.how {
        How::Anything => t("irgendein Wert").to_owned(),
        How::Is => tf("ist „{text}“", &text),
        How::Contains => tf("enthält „{text}“", &text),
        How::StartsWith => tf("beginnt mit „{text}“", &text),
        How::EndsWith => tf("endet mit „{text}“", &text),
        How::Like => tf("ist wie „{text}“", &text),
        How::Regex => tf("passt auf den Ausdruck „{text}“", &text),
        How::Network => tf("liegt im Netz {text}", &text),
        How::Below => tf("ist kleiner als {text}", &text),
        How::AtMost => tf("ist höchstens {text}", &text),
        How::Above => tf("ist größer als {text}", &text),
        How::AtLeast => tf("ist mindestens {text}", &text),
        How::TimePart => tf("hat als Teil der Zeit {text}", &text),
        How::SameAs => tf("ist gleich dem Feld {text}", &text),
        How::ContainsField => tf("enthält, was im Feld {text} steht", &text),
        How::StartsWithField => tf("beginnt mit dem, was im Feld {text} steht", &text),
        How::EndsWithField => tf("endet mit dem, was im Feld {text} steht", &text),
        How::Present => t("ist vorhanden").to_owned(),
        How::Missing => t("fehlt").to_owned(),
    }
}

/// What a correlation counted, line by line.
pub(crate) fn counted(of: &Counted) -> Vec<(&'static str, String)> {
    let fields = of.fields.join(", ");
    let what = match of.kind.as_str() {
        "event_count" => t("Ereignisse").to_owned(),
        "value_count" if of.fields == ["organization.id"] => t("verschiedene Stellen").to_owned(),
        "value_count" if fields.is_empty() => t("verschiedene Werte").to_owned(),
        "value_count" => tf("verschiedene Werte von {fields}", &[("fields", &fields)]),
        "value_sum" => tf("Summe von {fields}", &[("fields", &fields)]),
        "value_avg" => tf("Mittel von {fields}", &[("fields", &fields)]),
        "value_median" => tf("Median von {fields}", &[("fields", &fields)]),
        "value_percentile" => tf("Perzentil von {fields}", &[("fields", &fields)]),
        "temporal_ordered" => t("Regeln in dieser Reihenfolge").to_owned(),
        _ => t("verschiedene Regeln").to_owned(),
    };
    let limits: Vec<String> = of.limits.iter().map(|(word, number)| limit(word, number)).collect();
    let span = show::duration(of.timespan_millis);
    let mut all = vec![(t("Gezählt"), tf("{what} binnen {span}", &[("what", &what), ("span", &span)]))];
    if let Some(reached) = &of.reached {
        let limits = if limits.is_empty() { String::new() } else { format!(" ({})", limits.join(", ")) };
        all.push((t("Erreicht"), format!("{reached}{limits}")));
    }
    if !of.group.is_empty() {
        let group: Vec<String> = of.group.iter().map(|(name, value)| format!("{name} = {value}")).collect();
        all.push((t("Je|Gruppe"), group.join(", ")));
    }
    if !of.values.is_empty() {
        all.push((t("Werte"), of.values.join(", ")));
    }
    all.push((t("Regeln"), of.rules.join(", ")));
    all.push((t("Von, bis"), format!("{} – {}", show::precise(of.first), show::precise(of.last))));
    all
}

fn limit(word: &str, number: &str) -> String {
    let number: [(&str, &dyn std::fmt::Display); 1] = [("n", &number)];
    match word {
        "gte" => tf("ab {n}", &number),
        "gt" => tf("über {n}", &number),
        "lte" => tf("höchstens {n}", &number),
        "lt" => tf("unter {n}", &number),
        "neq" => tf("nicht {n}", &number),
        _ => tf("genau {n}", &number),
    }
}

/// `Fassung 3f9a…, geändert 2026-01-02, Regelsatz 7`
pub(crate) fn version(of: &RuleVersion) -> String {
    let mut words = tf("Fassung {content}", &[("content", &of.content)]);
    if let Some(modified) = &of.modified {
        words = format!("{words}, {}", tf("geändert {date}", &[("date", modified)]));
    }
    if of.book > 0 {
        words = format!("{words}, {}", tf("Regelsatz {number}", &[("number", &of.book)]));
    }
    words
}
