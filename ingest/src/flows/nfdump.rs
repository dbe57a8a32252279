//! Filters as nfdump writes them (`src ip 10.0.0.0/8 and dst port 3389 and bytes > 1M`), translated into our query, which
//! is printed beside them: who knows the one learns the other. Written after nfdump's manual page, section FILTER.
//!
//! Not here: names of hosts (nobody asks a name server from here), counters of several flows (`flows > 10`), labels and
//! what the exporters' records do not hold. Each is refused by its name.

use std::net::{IpAddr, Ipv4Addr};

use crate::body::Prefix;
use crate::fields::{self, FieldId};
use crate::query::{Literal, Node, Pipeline, QUERY_BYTES_MAX, QUERY_DEPTH_MAX, QUERY_TERMS_MAX, Query, QueryError, Test};
use crate::time::Timestamp;

use super::value::FLAG_NAMES;

/// What a filter means, and behind a `|` the steps of our own language.
///
/// # Errors
/// What cannot be understood or is beyond a bound: where, in German, and what to write instead.
pub fn nfdump_parse(text: &str, now: Timestamp) -> Result<Pipeline, QueryError> {
    if text.len() > QUERY_BYTES_MAX {
        return fail(QUERY_BYTES_MAX, format!("Der Filter ist länger als {QUERY_BYTES_MAX} Zeichen. Bitte teilen Sie ihn."));
    }
    let (filter, steps) = text.split_at_checked(filter_end(text)).unwrap_or((text, ""));
    let mut pipeline = Pipeline { query: Query::of(filter_parse(filter)?), stages: Vec::new() };
    if !steps.is_empty() {
        // Blanks in the filter's place, so that errors point into the whole text.
        let aligned = format!("{}{steps}", " ".repeat(filter.len()));
        pipeline.stages = Pipeline::parse(&aligned, now).map_err(|error| QueryError { suggestion: None, ..error })?.stages;
    }
    Ok(pipeline)
}

/// Where the first single stroke stands; two are nfdump's OR.
fn filter_end(text: &str) -> usize {
    let mut rest = text.bytes().enumerate().peekable();
    while let Some((at, byte)) = rest.next() {
        if byte == b'|' && rest.next_if(|(_, next)| *next == b'|').is_none() {
            return at;
        }
    }
    text.len()
}

fn filter_parse(text: &str) -> Result<Node, QueryError> {
    let mut parsing = Parsing { text, words: words(text)?, next: 0, terms: 0 };
    if parsing.words.is_empty() {
        return Ok(Node::All);
    }
    let node = parsing.or(0)?;
    match parsing.peek() {
        None => Ok(node),
        Some(Word { at, text: ")" }) => fail(at, "Diese schließende Klammer hat keine öffnende. Bitte entfernen Sie sie."),
        Some(Word { at, text }) => fail(at, format!("Vor „{}“ fehlt „and“ oder „or“.", shown(text))),
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Word<'a> {
    at: usize,
    text: &'a str,
}

/// Words, brackets and signs; what stands behind `#` is a comment.
fn words(text: &str) -> Result<Vec<Word<'_>>, QueryError> {
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let length = |within: fn(char) -> bool| rest.find(|c| !within(c)).unwrap_or(rest.len());
        let first = rest.chars().next().unwrap_or(' ');
        let taken = match first {
            c if c.is_whitespace() || c == ',' => {
                at += c.len_utf8();
                continue;
            }
            '#' => {
                at += rest.find('\n').unwrap_or(rest.len());
                continue;
            }
            '(' | ')' | '[' | ']' => 1,
            '&' | '|' => rest.bytes().take_while(|byte| *byte == first as u8).count().min(2),
            '<' | '>' | '=' | '!' => length(|c| matches!(c, '<' | '>' | '=' | '!')).min(2),
            c if is_letter(c) => length(is_letter),
            c => return fail(at, format!("Das Zeichen „{c}“ kennt der Filter nicht.")),
        };
        words.push(Word { at, text: rest.get(..taken).unwrap_or_default() });
        at += taken.max(1);
    }
    Ok(words)
}

fn is_letter(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '.' | ':' | '/' | '-' | '_')
}

/// Which end of a flow is meant.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Side {
    Source,
    Destination,
    Both,
    Either,
}

/// A field at each end.
type Ends = (FieldId, FieldId);

const ADDRESSES: Ends = (fields::SOURCE_IP, fields::DESTINATION_IP);
const PORTS: Ends = (fields::SOURCE_PORT, fields::DESTINATION_PORT);
const ROUTES: Ends = (fields::SOURCE_AS_NUMBER, fields::DESTINATION_AS_NUMBER);
const MASKS: Ends = (fields::FLOW_SRC_MASK, fields::FLOW_DST_MASK);
const MACS: Ends = (fields::SOURCE_MAC, fields::DESTINATION_MAC);
const NAT_ADDRESSES: Ends = (fields::SOURCE_NAT_IP, fields::DESTINATION_NAT_IP);
const NAT_PORTS: Ends = (fields::SOURCE_NAT_PORT, fields::DESTINATION_NAT_PORT);
const INTERFACES: Ends = (fields::OBSERVER_INGRESS_INTERFACE_ID, fields::OBSERVER_EGRESS_INTERFACE_ID);
const VLANS: Ends = (fields::NETWORK_VLAN_ID, fields::OBSERVER_EGRESS_VLAN_ID);
const VRFS: Ends = (fields::FLOW_IN_VRF, fields::FLOW_OUT_VRF);

/// Numbers of the flow as a whole.
const NUMBERS: [(&str, FieldId); 9] = [
    ("packets", fields::NETWORK_PACKETS),
    ("bytes", fields::NETWORK_BYTES),
    ("pps", fields::FLOW_PPS),
    ("bps", fields::FLOW_BPS),
    ("bpp", fields::FLOW_BPP),
    ("tos", fields::FLOW_TOS),
    ("icmp-type", fields::FLOW_ICMP_TYPE),
    ("icmp-code", fields::FLOW_ICMP_CODE),
    ("mpls", fields::FLOW_MPLS_LABEL),
];

/// What nfdump has and we have not, with what to do instead.
const REFUSED: [(&str, &str); 5] = [
    ("flows", "„flows“ zählt zusammengefasste Flüsse. Bitte zählen Sie mit „| count by source.ip“."),
    ("flowlabel", "Die IPv6-Flussmarke fragen Sie in der Anfragesprache: flow.flow_label:…"),
    ("count", "„count“ gibt es hier nicht. Bitte zählen Sie mit „| count“."),
    ("geo", "Länder stehen nicht in den Flüssen."),
    ("ident", "„ident“ gibt es hier nicht. Den Standort fragen Sie in der Anfragesprache: site:…"),
];

const EXAMPLE: &str = "zum Beispiel „src ip 10.0.0.0/8“, „dst port 443“, „bytes > 1M“, „proto tcp“ oder „flags S“";

struct Parsing<'a> {
    text: &'a str,
    words: Vec<Word<'a>>,
    next: usize,
    terms: usize,
}

impl<'a> Parsing<'a> {
    fn peek(&self) -> Option<Word<'a>> {
        self.words.get(self.next).copied()
    }

    fn at(&self) -> usize {
        self.peek().map_or(self.text.trim_end().len(), |word| word.at)
    }

    fn is(&self, ahead: usize, known: &[&str]) -> bool {
        self.words.get(self.next + ahead).is_some_and(|word| known.iter().any(|known| word.text.eq_ignore_ascii_case(known)))
    }

    fn eat(&mut self, known: &[&str]) -> bool {
        let found = self.is(0, known);
        self.next += usize::from(found);
        found
    }

    fn or(&mut self, depth: usize) -> Result<Node, QueryError> {
        let mut nodes = vec![self.and(depth)?];
        while self.eat(&["or", "||"]) {
            nodes.push(self.and(depth)?);
        }
        Ok(any(nodes))
    }

    fn and(&mut self, depth: usize) -> Result<Node, QueryError> {
        let mut nodes = vec![self.unary(depth)?];
        while self.eat(&["and", "&&"]) {
            nodes.push(self.unary(depth)?);
        }
        Ok(all(nodes))
    }

    fn unary(&mut self, depth: usize) -> Result<Node, QueryError> {
        if depth > QUERY_DEPTH_MAX {
            return fail(self.at(), format!("Mehr als {QUERY_DEPTH_MAX} Ebenen von Klammern und not. Bitte vereinfachen Sie den Filter."));
        }
        let at = self.at();
        if self.eat(&["not", "!"]) {
            return Ok(Node::Not(Box::new(self.unary(depth + 1)?)));
        }
        if self.eat(&["("]) {
            let node = self.or(depth + 1)?;
            return if self.eat(&[")"]) {
                Ok(node)
            } else {
                fail(at, "Diese Klammer wird nicht geschlossen. Bitte ergänzen Sie „)“.")
            };
        }
        self.condition()
    }

    fn condition(&mut self) -> Result<Node, QueryError> {
        self.terms += 1;
        if self.terms > QUERY_TERMS_MAX {
            return fail(self.at(), format!("Mehr als {QUERY_TERMS_MAX} Bedingungen. Bitte nehmen Sie eine Liste: ip in [ … ]."));
        }
        let side = self.side();
        let Some(word) = self.peek() else { return fail(self.at(), format!("Hier fehlt eine Bedingung, {EXAMPLE}.")) };
        self.next += 1;
        let name = word.text.to_ascii_lowercase();
        if let Some(node) = self.ended(&name, side)? {
            return Ok(node);
        }
        if side != Side::Either {
            return fail(
                word.at,
                format!(
                    "Nach „src“, „dst“, „in“ und „out“ steht etwas, das jede Seite hat: ip, net, port, as, mask, mac, if oder vlan; „{}“ ist das nicht.",
                    shown(word.text)
                ),
            );
        }
        if let Some((_, field)) = NUMBERS.iter().find(|(known, _)| *known == name) {
            return self.numbers(*field, 1);
        }
        match name.as_str() {
            "any" => Ok(Node::All),
            "ipv4" | "inet" => Ok(equals(fields::NETWORK_TYPE, "ipv4")),
            "ipv6" | "inet6" => Ok(equals(fields::NETWORK_TYPE, "ipv6")),
            "proto" | "protocol" => self.protocol(),
            "tcp" | "udp" | "icmp" | "icmp6" | "gre" | "esp" | "ah" | "sctp" | "igmp" | "ospf" => Ok(protocol_node(&name)),
            "flags" => self.flags(),
            // nfdump asks in milliseconds, ECS has nanoseconds.
            "duration" => self.numbers(fields::EVENT_DURATION, super::value::NANOS_PER_MILLI),
            "next" | "nexthop" | "next-hop" => {
                self.eat(&["ip"]);
                self.values(&|parsing| parsing.address(fields::FLOW_NEXT_HOP))
            }
            "router" | "exporter" => {
                self.eat(&["ip"]);
                self.values(&|parsing| parsing.address(fields::OBSERVER_IP))
            }
            "sampling" => self.numbers(fields::FLOW_SAMPLING, 1),
            _ => Err(self.unknown(word)),
        }
    }

    /// `src`, `dst`, `src and dst`, `src or dst`, `in`, `out`.
    fn side(&mut self) -> Side {
        const SOURCE: &[&str] = &["src", "in", "ingress"];
        const DESTINATION: &[&str] = &["dst", "out", "egress"];
        let first = if self.eat(SOURCE) {
            Side::Source
        } else if self.eat(DESTINATION) {
            Side::Destination
        } else {
            return Side::Either;
        };
        let other = if first == Side::Source { DESTINATION } else { SOURCE };
        if self.is(1, other) && self.is(0, &["and", "&&"]) {
            self.next += 2;
            return Side::Both;
        }
        if self.is(1, other) && self.is(0, &["or", "||"]) {
            self.next += 2;
            return Side::Either;
        }
        // `in src mac`: the mac at the source's side, as we keep one for each.
        if self.is(1, &["mac"]) && (self.is(0, SOURCE) || self.is(0, DESTINATION)) {
            let second = if self.is(0, SOURCE) { Side::Source } else { Side::Destination };
            self.next += 1;
            return second;
        }
        first
    }

    /// What each end of a flow has; `None` where the word is nothing of that kind.
    fn ended(&mut self, name: &str, side: Side) -> Result<Option<Node>, QueryError> {
        let numbered = match name {
            "port" => Some(PORTS),
            "as" => Some(ROUTES),
            "mask" => Some(MASKS),
            "if" => Some(INTERFACES),
            "vlan" => Some(VLANS),
            "vrf" => Some(VRFS),
            "xport" | "nport" => Some(NAT_PORTS),
            _ => None,
        };
        if let Some(ends) = numbered {
            let start = self.next;
            return self.at_ends(ends, side, start, |parsing, field| parsing.numbers(field, 1)).map(Some);
        }
        let start = self.next;
        let addressed = match name {
            "ip" | "host" | "net" => ADDRESSES,
            "xip" | "nip" => NAT_ADDRESSES,
            "mac" => return self.at_ends(MACS, side, start, |parsing, field| parsing.values(&|parsing| parsing.mac(field))).map(Some),
            _ => return Ok(None),
        };
        self.at_ends(addressed, side, start, |parsing, field| parsing.values(&|parsing| parsing.address(field))).map(Some)
    }

    /// The same condition on one end or both: it is read again for the second.
    fn at_ends(
        &mut self,
        (source, destination): Ends,
        side: Side,
        start: usize,
        read: impl Fn(&mut Self, FieldId) -> Result<Node, QueryError>,
    ) -> Result<Node, QueryError> {
        match side {
            Side::Source => read(self, source),
            Side::Destination => read(self, destination),
            Side::Both | Side::Either => {
                let first = read(self, source)?;
                self.next = start;
                let second = read(self, destination)?;
                Ok(if side == Side::Both { all(vec![first, second]) } else { any(vec![first, second]) })
            }
        }
    }

    /// One value, or `in [ … ]`.
    fn values(&mut self, one: &dyn Fn(&mut Self) -> Result<Node, QueryError>) -> Result<Node, QueryError> {
        if !self.eat(&["in"]) {
            let negated = self.eat(&["!="]);
            if !negated {
                self.eat(&["=", "=="]);
            }
            let node = one(self)?;
            return Ok(if negated { Node::Not(Box::new(node)) } else { node });
        }
        let at = self.at();
        if !self.eat(&["["]) {
            return fail(at, "Nach „in“ steht eine Liste in eckigen Klammern, zum Beispiel port in [ 80 443 ].");
        }
        let mut nodes = Vec::new();
        while !self.eat(&["]"]) {
            if self.peek().is_none() {
                return fail(at, "Diese Liste wird nicht geschlossen. Bitte ergänzen Sie „]“.");
            }
            self.terms += 1;
            if self.terms > QUERY_TERMS_MAX {
                return fail(self.at(), format!("Mehr als {QUERY_TERMS_MAX} Werte. Bitte nehmen Sie Netze statt einzelner Adressen."));
            }
            nodes.push(one(self)?);
        }
        if nodes.is_empty() { fail(at, "Die Liste ist leer. Bitte nennen Sie mindestens einen Wert.") } else { Ok(any(nodes)) }
    }

    fn address(&mut self, field: FieldId) -> Result<Node, QueryError> {
        const EXAMPLES: &str = "zum Beispiel 10.20.30.40, 10.0.0.0/8 oder 2001:db8::/32";
        let Some(word) = self.peek() else { return fail(self.at(), format!("Hier fehlt eine Adresse, {EXAMPLES}.")) };
        self.next += 1;
        if let Ok(address) = word.text.parse::<IpAddr>() {
            // `net 10.0.0.0 255.0.0.0`
            let mask = self.peek().and_then(|next| next.text.parse::<Ipv4Addr>().ok()).filter(|_| self.was(word, "net"));
            let Some(mask) = mask else { return Ok(Node::Field(field, Test::Equals(Literal::address(address.to_canonical())))) };
            if mask.to_bits().leading_ones() + mask.to_bits().trailing_zeros().min(32 - mask.to_bits().leading_ones()) != 32 {
                return fail(self.at(), "Diese Netzmaske hat Lücken. Bitte schreiben Sie das Netz als 10.0.0.0/8.");
            }
            self.next += 1;
            return Ok(prefix_node(field, &format!("{address}/{}", mask.to_bits().leading_ones())).unwrap_or(Node::All));
        }
        if let Some(node) = prefix_node(field, word.text) {
            return Ok(node);
        }
        // `10.20/16`, as networks are abbreviated.
        if let Some((base, bits)) = word.text.split_once('/')
            && base.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        {
            let missing = 3usize.saturating_sub(base.matches('.').count());
            if let Some(node) = prefix_node(field, &format!("{base}{}/{bits}", ".0".repeat(missing))) {
                return Ok(node);
            }
        }
        let said = if word.text.chars().any(char::is_alphabetic) && !word.text.contains(':') {
            format!("„{}“ ist ein Name. Bitte nennen Sie die Adresse, {EXAMPLES}.", shown(word.text))
        } else {
            format!("„{}“ ist keine Adresse und kein Netz, {EXAMPLES}.", shown(word.text))
        };
        fail(word.at, said)
    }

    /// Whether the word before this one is `name`.
    fn was(&self, word: Word<'_>, name: &str) -> bool {
        let place = self.words.iter().position(|known| known.at == word.at).and_then(|place| place.checked_sub(1));
        place.and_then(|place| self.words.get(place)).is_some_and(|before| before.text.eq_ignore_ascii_case(name))
    }

    fn mac(&mut self, field: FieldId) -> Result<Node, QueryError> {
        let at = self.at();
        let word = self.peek().map(|word| word.text).unwrap_or_default();
        self.next += 1;
        let octets: Vec<u8> =
            word.split([':', '-']).filter(|part| part.len() <= 2).filter_map(|part| u8::from_str_radix(part, 16).ok()).collect();
        match <[u8; 6]>::try_from(octets) {
            Ok(octets) if word.split([':', '-']).count() == 6 => Ok(equals(field, &super::value::mac_text(octets))),
            _ => fail(at, "Eine Hardwareadresse hat die Form 00:11:22:aa:bb:cc."),
        }
    }

    /// A comparison with a number, or a list of numbers; a unit of the field is `factor` of ours.
    fn numbers(&mut self, field: FieldId, factor: i64) -> Result<Node, QueryError> {
        if self.is(0, &["in"]) && self.is(1, &["["]) {
            return self.values(&|parsing| {
                let at = parsing.at();
                let number = parsing.number()?;
                number_node(field, "=", number, factor).ok_or_else(|| beyond(at))
            });
        }
        let sign = self.sign();
        let at = self.at();
        let number = self.number()?;
        let (negated, sign) = if sign == "!=" { (true, "=") } else { (false, sign) };
        let node = number_node(field, sign, number, factor).ok_or_else(|| beyond(at))?;
        Ok(if negated { Node::Not(Box::new(node)) } else { node })
    }

    fn sign(&mut self) -> &'static str {
        const SIGNS: [(&[&str], &str); 6] = [
            (&["=", "==", "eq"], "="),
            (&[">=", "=>", "ge"], ">="),
            (&["<=", "=<", "le"], "<="),
            (&[">", "gt"], ">"),
            (&["<", "lt"], "<"),
            (&["!=", "ne"], "!="),
        ];
        SIGNS.into_iter().find(|(known, _)| self.eat(known)).map_or("=", |(_, sign)| sign)
    }

    /// `443`, `1M`: k, M, G and T are thousands, as nfdump has them.
    fn number(&mut self) -> Result<i64, QueryError> {
        let at = self.at();
        let word = self.peek().map(|word| word.text).unwrap_or_default();
        self.next += 1;
        let digits = word.trim_end_matches(|c: char| !c.is_ascii_digit());
        let factor = match word.get(digits.len()..).unwrap_or_default().to_ascii_lowercase().as_str() {
            "" => Some(1i64),
            "k" => Some(1_000),
            "m" => Some(1_000_000),
            "g" => Some(1_000_000_000),
            "t" => Some(1_000_000_000_000),
            _ => None,
        };
        let number = digits.parse::<i64>().ok().filter(|_| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()));
        match number.zip(factor) {
            Some((number, factor)) => number.checked_mul(factor).ok_or_else(|| beyond(at)),
            None if word.is_empty() => fail(at, "Hier fehlt eine Zahl, zum Beispiel 443, 64k oder 1M."),
            None => fail(at, format!("„{}“ ist keine Zahl, zum Beispiel 443, 64k oder 1M.", shown(word))),
        }
    }

    fn protocol(&mut self) -> Result<Node, QueryError> {
        self.values(&|parsing| {
            let at = parsing.at();
            let word = parsing.peek().map(|word| word.text.to_ascii_lowercase()).unwrap_or_default();
            parsing.next += 1;
            if let Ok(number) = word.parse::<u8>() {
                return number_node(fields::NETWORK_IANA_NUMBER, "=", number.into(), 1).ok_or_else(|| beyond(at));
            }
            let known = (0..=u8::MAX).filter_map(crate::flow::protocol_name).any(|name| name == protocol_name(&word));
            if known {
                return Ok(protocol_node(&word));
            }
            fail(at, format!("Das Protokoll „{}“ ist nicht bekannt. Zum Beispiel tcp, udp, icmp, icmp6 oder eine Nummer.", shown(&word)))
        })
    }

    /// All of these flags are set; `X` are all six.
    fn flags(&mut self) -> Result<Node, QueryError> {
        self.eat(&["=", "=="]);
        let at = self.at();
        let word = self.peek().map(|word| word.text.to_ascii_uppercase()).unwrap_or_default();
        self.next += 1;
        if let Ok(bits) = word.parse::<u8>() {
            return Ok(all(FLAG_NAMES
                .iter()
                .enumerate()
                .filter(|(bit, _)| bits >> bit & 1 == 1)
                .map(|(_, name)| equals(fields::FLOW_TCP_FLAGS, name))
                .collect()));
        }
        let mut nodes = Vec::new();
        for letter in word.chars() {
            let names: &[&str] = match letter {
                'F' => &["FIN"],
                'S' => &["SYN"],
                'R' => &["RST"],
                'P' => &["PSH"],
                'A' => &["ACK"],
                'U' => &["URG"],
                'E' => &["ECE"],
                'C' => &["CWR"],
                'X' => &["FIN", "SYN", "RST", "PSH", "ACK", "URG"],
                _ => {
                    return fail(
                        at,
                        "TCP-Flags sind die Buchstaben A, S, F, R, P, U, E, C oder X für alle, zum Beispiel flags S oder flags SA.",
                    );
                }
            };
            for name in names {
                let node = equals(fields::FLOW_TCP_FLAGS, name);
                if !nodes.contains(&node) {
                    nodes.push(node);
                }
            }
        }
        if nodes.is_empty() { fail(at, "Nach „flags“ fehlen die Buchstaben, zum Beispiel flags S.") } else { Ok(all(nodes)) }
    }

    fn unknown(&self, word: Word<'_>) -> QueryError {
        if let Some((_, said)) = REFUSED.iter().find(|(known, _)| word.text.eq_ignore_ascii_case(known)) {
            return error(word.at, *said);
        }
        if word.text.contains(':') && word.text.parse::<IpAddr>().is_err() {
            let said = "Das ist die Anfragesprache, kein nfdump-Filter. Bitte schalten Sie um, oder schreiben Sie zum Beispiel „src ip 10.0.0.0/8“.";
            return error(word.at, said);
        }
        if matches!(word.text.to_ascii_lowercase().as_str(), "and" | "or" | "&&" | "||" | ")") {
            return error(word.at, format!("Vor „{}“ fehlt eine Bedingung, {EXAMPLE}.", word.text));
        }
        error(word.at, format!("„{}“ kennt der Filter nicht. Möglich ist {EXAMPLE}.", shown(word.text)))
    }
}

fn protocol_name(word: &str) -> &str {
    match word {
        "icmp6" | "icmpv6" => "ipv6-icmp",
        word => word,
    }
}

fn protocol_node(word: &str) -> Node {
    equals(fields::NETWORK_TRANSPORT, protocol_name(word))
}

fn equals(field: FieldId, value: &str) -> Node {
    Node::Field(field, Test::Equals(Literal::new(value.to_owned())))
}

fn prefix_node(field: FieldId, text: &str) -> Option<Node> {
    let prefix: Prefix = text.contains('/').then(|| text.parse().ok()).flatten()?;
    Some(Node::Field(field, Test::Prefix(prefix, Literal::new(text.to_owned()))))
}

/// `None` where no number can be meant.
fn number_node(field: FieldId, sign: &str, number: i64, factor: i64) -> Option<Node> {
    let first = number.checked_mul(factor)?;
    // A unit of nfdump's is many of ours: equal is whoever lies within it.
    let last = first.checked_add(factor - 1)?;
    let test = match sign {
        ">=" => Test::Ints(first, i64::MAX),
        "<=" => Test::Ints(i64::MIN, last),
        ">" => Test::Ints(last.checked_add(1)?, i64::MAX),
        "<" => Test::Ints(i64::MIN, first.checked_sub(1)?),
        _ if factor > 1 => Test::Ints(first, last),
        _ => Test::Equals(Literal { int: Some(number), ..Literal::new(number.to_string()) }),
    };
    Some(Node::Field(field, test))
}

fn all(nodes: Vec<Node>) -> Node {
    flat(nodes, |node| if let Node::And(inner) = node { Ok(inner) } else { Err(node) }, Node::And)
}

fn any(nodes: Vec<Node>) -> Node {
    flat(nodes, |node| if let Node::Or(inner) = node { Ok(inner) } else { Err(node) }, Node::Or)
}

/// One node of several, with inner ones of the same kind spread out.
fn flat(nodes: Vec<Node>, inner: impl Fn(Node) -> Result<Vec<Node>, Node>, wrap: impl Fn(Vec<Node>) -> Node) -> Node {
    let mut spread: Vec<Node> = Vec::with_capacity(nodes.len());
    for node in nodes {
        match inner(node) {
            Ok(nodes) => spread.extend(nodes),
            Err(node) => spread.push(node),
        }
    }
    match spread.pop() {
        None => Node::All,
        Some(only) if spread.is_empty() => only,
        Some(last) => {
            spread.push(last);
            wrap(spread)
        }
    }
}

fn error(at: usize, message: impl Into<String>) -> QueryError {
    QueryError { at, message: message.into(), suggestion: None }
}

fn fail<T>(at: usize, message: impl Into<String>) -> Result<T, QueryError> {
    Err(error(at, message))
}

fn beyond(at: usize) -> QueryError {
    error(at, "Diese Zahl ist zu groß.")
}

/// A word as an error shows it.
fn shown(word: &str) -> String {
    const CHARS_MAX: usize = 40;
    if word.chars().count() > CHARS_MAX { format!("{}…", word.chars().take(CHARS_MAX).collect::<String>()) } else { word.to_owned() }
}

#[cfg(test)]
#[path = "nfdump_tests.rs"]
mod tests;
