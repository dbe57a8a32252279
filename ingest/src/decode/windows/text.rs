//! An event's rendered text, English or German, taken apart into its data: `Subject:   Account Name:  anna   …`. Carriers
//! that send the text only (Snare, NXLog's syslog) leave no names; these are what EventData calls them. The carriers
//! turn tabs and line ends into blanks each in its own way, so what separates is told by how much of it there is.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::words::{GERMAN, LABELS, SECTIONS, SENTENCES, SYSMON};

/// `Konto, für das die Anmeldung fehlgeschlagen ist` is the longest; prose is longer.
const LABEL_BYTES_MAX: usize = 64;

/// Its words: seven.
const LABEL_WORDS_MAX: usize = 8;

/// Gives each named value; prose has no labels and is passed over.
///
/// Names that somebody types at a logon stand before the address and the computer that Windows says he came from, and a
/// name may hold their labels: of those the last counts.
pub(super) fn each(text: &str, id: &str, mut take: impl FnMut(&str, &str)) {
    let mut found = Vec::with_capacity(32);
    read(text, id, |name, value| found.push((name, value)));
    let mut last = [None; LAST.len()];
    for (at, (name, _)) in found.iter().enumerate() {
        if let Some(place) = LAST.iter().position(|known| known == name).and_then(|place| last.get_mut(place)) {
            *place = Some(at);
        }
    }
    for (at, (name, value)) in found.into_iter().enumerate() {
        let place = LAST.iter().position(|known| *known == name).and_then(|place| last.get(place));
        if place.is_none_or(|last| *last == Some(at)) {
            take(name, value);
        }
    }
}

/// Data that stand behind the accounts, and the labels of the first ones as a text with single blanks has them.
const LAST: [&str; 6] = ["IpAddress", "IpPort", "WorkstationName", "Workstation", "SourceAddress", "SourcePort"];
const LAST_LABELS: [&str; 6] =
    ["Network Information", "Source Network Address", "Client Address", "Workstation Name", "Source Workstation", "Source Port"];

fn read<'t>(text: &'t str, id: &str, mut take: impl FnMut(&'t str, &'t str)) {
    let mut reader = Reader { section: "", id };
    if !text.contains("  ") && !text.contains(['\t', '\r', '\n']) {
        return reader.collapsed(text, &mut take);
    }
    let mut label = "";
    for (gap, chunk) in chunks(text) {
        // A value stands a tab or three behind its label; a line's end between them says that there is none.
        if gap == Gap::Line {
            label = "";
        }
        if let Some(name) = chunk.strip_suffix(':').filter(|name| name.len() <= LABEL_BYTES_MAX) {
            // `Unterstatus::` is Microsoft's own slip.
            let name = english(name.trim_end_matches(':'));
            label = if reader.enter(name) { "" } else { name };
            continue;
        }
        // `Label: value` with a single blank, as some labels are too long for a second tab.
        let (name, value) = match chunk.split_once(": ") {
            Some((name, value)) if label.is_empty() && name.len() <= LABEL_BYTES_MAX => (english(name.trim_end_matches(':')), value.trim()),
            _ => (label, chunk),
        };
        reader.give(name, value, &mut take);
        label = "";
    }
}

struct Reader<'t> {
    /// The part that the following lines belong to, by its English name.
    section: &'static str,
    id: &'t str,
}

impl Reader<'_> {
    fn enter(&mut self, name: &str) -> bool {
        let found = SECTIONS.iter().find(|known| **known == name);
        if let Some(section) = found {
            self.section = section;
        }
        found.is_some()
    }

    fn give<'t>(&self, label: &'t str, value: &'t str, take: &mut impl FnMut(&'t str, &'t str)) {
        if value.is_empty() {
            return;
        }
        match data_name(self.section, label, self.id) {
            Some(data) => take(data, value),
            // Sysmon's text has the data's own names: `Image: C:\…`.
            None if is_data_name(label) && self.section.is_empty() => take(label, value),
            None => {}
        }
    }

    /// A text whose blanks a carrier has made one each: a value ends where the next known label begins.
    fn collapsed<'t>(&mut self, text: &'t str, take: &mut impl FnMut(&'t str, &'t str)) {
        let mut pending: Option<(&'static str, usize)> = None;
        let mut hits = Vec::with_capacity(32);
        for (at, _) in text.match_indices(": ").chain(text.ends_with(':').then(|| (text.len() - 1, ":"))) {
            hits.extend(text.get(..at).and_then(known_at_end).map(|(start, name)| (at, start, name)));
        }
        let place = |name: &str| LAST_LABELS.iter().position(|known| *known == name);
        let mut last = [0; LAST_LABELS.len()];
        for (at, _, name) in &hits {
            if let Some(last) = place(name).and_then(|place| last.get_mut(place)) {
                *last = *at;
            }
        }
        for (at, start, name) in hits {
            // A label that comes again is a part of the value before it.
            if place(name).and_then(|place| last.get(place)).is_some_and(|last| *last != at) {
                continue;
            }
            if let Some((label, from)) = pending.take() {
                self.give(label, text.get(from..start).unwrap_or_default().trim(), take);
            }
            if !self.enter(name) {
                pending = Some((name, (at + 2).min(text.len())));
            }
        }
        if let Some((label, from)) = pending {
            let rest = text.get(from..).unwrap_or_default();
            self.give(label, rest.split(". ").next().unwrap_or(rest).trim(), take);
        }
    }
}

/// The longest known label that ends a text, where it begins, by its English name.
fn known_at_end(text: &str) -> Option<(usize, &'static str)> {
    let text = text.trim_end_matches(':');
    let from = text.len().saturating_sub(LABEL_BYTES_MAX);
    let tail = text.get(text.ceil_char_boundary(from)..)?;
    // A label begins behind a blank, or the text with it; the longest is meant.
    let whole = (from == 0).then_some(0);
    let starts = tail.rmatch_indices(' ').map(|(at, _)| at + 1).chain(whole).take(LABEL_WORDS_MAX);
    let known = starts.filter_map(|start| KNOWN.get(tail.get(start..)?).map(|english| (text.len() - tail.len() + start, *english)));
    known.last()
}

type Index = HashMap<&'static str, &'static str, foldhash::fast::RandomState>;

/// All labels and parts in both languages, and their English names.
static KNOWN: LazyLock<Index> = LazyLock::new(|| {
    let english = SECTIONS.iter().chain(LABELS).map(|name| (*name, *name));
    english.chain(GERMAN.iter().copied()).collect()
});
static ENGLISH: LazyLock<Index> = LazyLock::new(|| GERMAN.iter().rev().copied().collect());

#[derive(Clone, Copy, PartialEq, Eq)]
enum Gap {
    Tab,
    Line,
}

/// The pieces between runs of blanks, and what lies before each.
fn chunks(text: &str) -> impl Iterator<Item = (Gap, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (chunk, gap, behind) = loop {
            if rest.is_empty() {
                return None;
            }
            let trimmed = rest.trim_start_matches([' ', '\t', '\r', '\n']);
            let gap = rest.get(..rest.len() - trimmed.len()).unwrap_or_default();
            let end = chunk_end(trimmed);
            let (chunk, behind) = trimmed.split_at_checked(end)?;
            rest = behind;
            if !chunk.is_empty() {
                break (chunk, gap, behind);
            }
        };
        rest = behind;
        let mixed = gap.contains(' ') && gap.contains('\t');
        let line = gap.contains(['\r', '\n']) || mixed || gap.len() >= 4 && !gap.contains('\t');
        Some((if line { Gap::Line } else { Gap::Tab }, chunk))
    })
}

fn chunk_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\t' | b'\r' | b'\n' => return at,
            b' ' if matches!(bytes.get(at + 1), Some(b' ' | b'\t' | b'\r' | b'\n')) => return at,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn is_data_name(label: &str) -> bool {
    (2..=40).contains(&label.len())
        && label.starts_with(|char: char| char.is_ascii_uppercase())
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && SYSMON.contains(&label)
}

fn data_name(section: &str, label: &str, id: &str) -> Option<&'static str> {
    // Of a logoff the text calls subject what the data call target.
    let subject = matches!(section, "Subject" | "Creator Subject") && !matches!(id, "4634" | "4647");
    let member = section == "Member";
    let account = matches!(id, "4768" | "4769" | "4770" | "4771" | "4776");
    Some(match label {
        "Account Name" if subject => "SubjectUserName",
        "Account Domain" if subject => "SubjectDomainName",
        "Security ID" if subject => "SubjectUserSid",
        "Logon ID" if subject => "SubjectLogonId",
        "Account Name" if member => "MemberName",
        "Security ID" if member => "MemberSid",
        // What a service is called in the System log.
        "Service File Name" if id == "7045" => "ImagePath",
        "Service Account" if id == "7045" => "AccountName",
        "Service Start Type" if id == "7045" => "StartType",
        "Account Name" | "Group Name" | "Logon Account" => "TargetUserName",
        "Account Domain" | "Group Domain" | "Supplied Realm Name" => "TargetDomainName",
        "Caller Computer Name" if id == "4740" => "TargetDomainName",
        "Security ID" if matches!(id, "4624" | "4625" | "4634" | "4647" | "4688") => "TargetUserSid",
        "Security ID" | "User ID" => "TargetSid",
        "Logon ID" => "TargetLogonId",
        "Logon GUID" => "LogonGuid",
        "Source Workstation" => "Workstation",
        "Logon Type" => "LogonType",
        "Workstation Name" => "WorkstationName",
        "Source Address" if matches!(id, "5140" | "5145") => "IpAddress",
        "Source Port" if matches!(id, "5140" | "5145") => "IpPort",
        "Source Address" => "SourceAddress",
        "Source Port" if section == "Network Information" && matches!(id, "5152" | "5154" | "5155" | "5156" | "5157" | "5158" | "5159") => {
            "SourcePort"
        }
        "Source Network Address" | "Network Address" | "Client Address" => "IpAddress",
        "Source Port" | "Port" | "Client Port" => "IpPort",
        "Destination Address" => "DestAddress",
        "Destination Port" => "DestPort",
        "Failure Reason" => "FailureReason",
        "Status" | "Error Code" | "Result Code" | "Failure Code" => "Status",
        "Sub Status" => "SubStatus",
        "Authentication Package" if id == "4776" => "PackageName",
        "Authentication Package" => "AuthenticationPackageName",
        "Logon Process" => "LogonProcessName",
        "Package Name (NTLM only)" => "LmPackageName",
        "Key Length" => "KeyLength",
        "Transited Services" if !account => "TransmittedServices",
        "New Process Name" => "NewProcessName",
        "New Process ID" => "NewProcessId",
        "Creator Process Name" => "ParentProcessName",
        "Creator Process ID" => "ProcessId",
        "Process Command Line" => "CommandLine",
        "Token Elevation Type" => "TokenElevationType",
        "Mandatory Label" => "MandatoryLabel",
        "Caller Process Name" | "Process Name" => "ProcessName",
        "Caller Process ID" | "Process ID" => "ProcessId",
        "Application Name" => "Application",
        "Direction" => "Direction",
        "Protocol" => "Protocol",
        "Service Name" => "ServiceName",
        "Service ID" => "ServiceSid",
        "Service File Name" => "ServiceFileName",
        "Service Type" => "ServiceType",
        "Service Start Type" => "ServiceStartType",
        "Service Account" => "ServiceAccount",
        "Task Name" => "TaskName",
        "Task Content" => "TaskContent",
        "Share Name" => "ShareName",
        "Share Path" => "ShareLocalPath",
        "Relative Target Name" => "RelativeTargetName",
        "Object Server" => "ObjectServer",
        "Object Type" => "ObjectType",
        "Object Name" => "ObjectName",
        "Object Value Name" => "ObjectValueName",
        "Handle ID" => "HandleId",
        "Accesses" => "AccessList",
        "Access Mask" => "AccessMask",
        "Target Server Name" => "TargetServerName",
        "Privileges" => "PrivilegeList",
        "Caller Computer Name" => "CallerComputerName",
        "SAM Account Name" => "SamAccountName",
        "Old Account Name" => "OldTargetUserName",
        "New Account Name" => "NewTargetUserName",
        "Subcategory" => "SubcategoryGuid",
        "Changes" => "AuditPolicyChanges",
        "Ticket Options" => "TicketOptions",
        "Ticket Encryption Type" => "TicketEncryptionType",
        "Pre-Authentication Type" => "PreAuthType",
        "Layer Name" => "LayerName",
        "Elevated Token" => "ElevatedToken",
        "Impersonation Level" => "ImpersonationLevel",
        "User Principal Name" => "UserPrincipalName",
        "Old Value" => "OldValue",
        "New Value" => "NewValue",
        "Operation Type" => "OperationType",
        _ => return None,
    })
}

/// The English name of a German label or part; any other as it is.
fn english(name: &str) -> &str {
    ENGLISH.get(name).copied().unwrap_or(name)
}

/// The number of a security event, told from its first sentence (Microsoft's list of events to monitor, in both languages).
pub(super) fn event_of(text: &str) -> Option<&'static str> {
    let text = text.trim_start();
    SENTENCES.iter().find(|(sentence, _)| text.starts_with(sentence)).map(|(_, id)| *id)
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    fn check(id: &str, text: &str, expected: Expect) {
        let mut out = Vec::new();
        super::each(text, id, |name, value| out.push(format!("{name}={value}")));
        expected.assert_eq(&out.join(" | "));
    }

    #[test]
    fn a_text_becomes_data() {
        check(
            "4625",
            "An account failed to log on.    Subject:   Security ID:  S-1-0-0   Account Name:  -   Account Domain:     Logon ID:  0x0    \
             Logon Type:   3    Account For Which Logon Failed:   Security ID:  S-1-0-0   Account Name:  anna   Account Domain:  KREIS    \
             Network Information:   Workstation Name: PC-7   Source Network Address: 203.0.113.9   Source Port:  4711",
            expect![
                "SubjectUserSid=S-1-0-0 | SubjectUserName=- | SubjectLogonId=0x0 | LogonType=3 | TargetUserSid=S-1-0-0 | TargetUserName=anna | TargetDomainName=KREIS | WorkstationName=PC-7 | IpAddress=203.0.113.9 | IpPort=4711"
            ],
        );
        check("4608", "Windows is starting up.    This event is logged when LSASS.EXE starts.", expect![""]);
        check("", "", expect![""]);
        check(
            "4688",
            "A new process has been created.    Process Information:   New Process Name: Registry   Creator Process Name:    Process Command Line:     Token Elevation Type indicates the type of token.",
            expect!["NewProcessName=Registry"],
        );
    }

    #[test]
    fn tabs_and_line_ends_and_none_of_them_say_the_same_in_german() {
        let lines = "Fehler beim Anmelden eines Kontos.\r\n\r\nAntragsteller:\r\n\tSicherheits-ID:\t\tS-1-0-0\r\n\tKontoname:\t\t-\r\n\tKontodomäne:\t\t\r\n\tAnmelde-ID:\t\t0x0\r\n\r\nAnmeldetyp:\t\t\t3\r\n\r\nKonto, für das die Anmeldung fehlgeschlagen ist:\r\n\tSicherheits-ID:\t\tS-1-0-0\r\n\tKontoname:\t\tanna\r\n\tKontodomäne:\t\tKREIS\r\n\r\nFehlerinformationen:\r\n\tFehlerursache:\t\tUnbekannter Benutzername oder ungültiges Kennwort.\r\n\tStatus:\t\t\t0xC000006D\r\n\tUnterstatus::\t\t0xC000006A\r\n\r\nNetzwerkinformationen:\r\n\tArbeitsstationsname:\tPC-7\r\n\tQuellnetzwerkadresse:\t203.0.113.9\r\n\tQuellport:\t\t4711";
        let blanks = lines.replace(['\t', '\r', '\n'], " ");
        let collapsed = blanks.split_whitespace().collect::<Vec<_>>().join(" ");
        for text in [lines, &blanks, &collapsed] {
            check(
                "4625",
                text,
                expect![
                    "SubjectUserSid=S-1-0-0 | SubjectUserName=- | SubjectLogonId=0x0 | LogonType=3 | TargetUserSid=S-1-0-0 | TargetUserName=anna | TargetDomainName=KREIS | FailureReason=Unbekannter Benutzername oder ungültiges Kennwort. | Status=0xC000006D | SubStatus=0xC000006A | WorkstationName=PC-7 | IpAddress=203.0.113.9 | IpPort=4711"
                ],
            );
        }
    }

    #[test]
    fn every_german_label_has_an_english_one_that_is_known() {
        for (german, english) in super::GERMAN {
            let known = super::SECTIONS.contains(english) || super::LABELS.contains(english);
            assert!(known, "{german}: {english}");
        }
    }
}
