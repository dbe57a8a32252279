//! Answering a query from one segment's dictionaries, postings and columns, as far as they can: what surely matches
//! and what may (`docs::Sure`). Nothing here reads a stored line; `search` does that for what stays open.

use std::net::{IpAddr, Ipv6Addr};

use tantivy::columnar::StrColumn;
use tantivy::postings::TermInfo;
use tantivy::schema::{Field, IndexRecordOption, Term};
use tantivy::{DocSet, SegmentReader, TERMINATED, u64_to_i64};

use super::bound::Deadline;
use super::docs::{Docs, Sure};
use super::form::{self, Fit};
use super::schema::{self, DEFECT, FORM, LINE, ODD, SITE, TIME, VENDOR};
use crate::body::{SiteId, SiteTable};
use crate::event::ValueRef;
use crate::fields::{self, FieldId, Kind, Storage};
use crate::query::{Node, Pat, Test, TextPattern, covers};
use crate::scope::Scope;

/// Terms of one dictionary looked through for one wildcard; beyond it the lines decide, within their own bound.
const DICTIONARY_TERMS_MAX: usize = 2_000_000;

/// The documents `lo..hi` of a segment, being asked.
pub(super) struct Segment<'a> {
    pub(super) reader: &'a SegmentReader,
    pub(super) sites: &'a SiteTable,
    pub(super) deadline: &'a Deadline,
    pub(super) lo: u32,
    pub(super) hi: u32,
}

type Answer<T> = tantivy::Result<T>;

impl Segment<'_> {
    /// The documents that a caller may see.
    pub(super) fn visible(&self, scope: &Scope) -> Answer<Docs> {
        match scope {
            Scope::All => Ok(Docs::all(self.lo, self.hi)),
            Scope::Bodies(_) => self.sites(&|site| scope.site_allowed(site, self.sites)),
        }
    }

    /// Leaves out what was deleted and is not yet merged away.
    pub(super) fn without_deleted(&self, docs: &mut Docs) {
        if let Some(alive) = self.reader.alive_bitset() {
            let mut kept = Docs::none(self.lo, self.hi);
            docs.iter().filter(|doc| alive.is_alive(*doc)).for_each(|doc| kept.insert(doc));
            *docs = kept;
        }
    }

    /// Evaluates a node; the answer need only hold for the documents in `within`.
    ///
    /// # Errors
    /// Damage; or the search's time is over.
    pub(super) fn eval(&self, node: &Node, within: &Docs) -> Answer<Sure> {
        self.deadline.check()?;
        match node {
            Node::All => Ok(Sure::all(self.lo, self.hi)),
            Node::And(nodes) => self.and(nodes, within),
            Node::Or(nodes) => {
                let mut any = Sure::none(self.lo, self.hi);
                for node in nodes {
                    any.or(&self.eval(node, within)?);
                }
                Ok(any)
            }
            Node::Not(node) => Ok(self.eval(node, within)?.not()),
            Node::Text(pattern) => {
                let mut sure = self.words(pattern)?;
                if !pattern.is_one_word() {
                    self.forms_decide(pattern, &mut sure)?;
                }
                sure.possible.or(&self.odd(LINE)?);
                Ok(sure)
            }
            Node::Field(field, test) => self.field(*field, test, within),
            Node::Time(test) => self.times(test.bounds()),
            Node::Defect(None) => self.walked(DEFECT, None, &mut |_| true),
            Node::Defect(Some(defect)) => Ok(Sure::exactly(self.term(DEFECT, defect.name())?)),
        }
    }

    /// What is inverted goes first and narrows what the columns are read for.
    fn and(&self, nodes: &[Node], within: &Docs) -> Answer<Sure> {
        let mut every = Sure::all(self.lo, self.hi);
        let mut within = within.clone();
        let (cheap, dear): (Vec<&Node>, Vec<&Node>) = nodes.iter().partition(|node| is_cheap(node));
        for node in cheap.into_iter().chain(dear) {
            every.and(&self.eval(node, &within)?);
            within.and(&every.possible);
            if within.is_empty() {
                break;
            }
        }
        Ok(every)
    }

    /// The documents of a stretch of time, both ends included; they are sorted newest first.
    fn times(&self, (first, last): (i64, i64)) -> Answer<Sure> {
        let column = self.reader.fast_fields().i64(TIME)?;
        let older = |bound: i64| {
            let (mut low, mut high) = (self.lo, self.hi);
            while low < high {
                let middle = low + (high - low) / 2;
                if column.first(middle).unwrap_or(i64::MIN) >= bound { low = middle + 1 } else { high = middle }
            }
            low
        };
        let newest = last.checked_add(1).map_or(self.lo, older);
        let mut docs = Docs::none(self.lo, self.hi);
        (newest..older(first)).for_each(|doc| docs.insert(doc));
        Ok(Sure::exactly(docs))
    }

    fn words(&self, pattern: &TextPattern) -> Answer<Sure> {
        let mut sure = Sure::all(self.lo, self.hi);
        for word in &pattern.words {
            sure.and(&self.word(word)?);
        }
        if !pattern.is_one_word() {
            sure.certain = Docs::none(self.lo, self.hi);
        }
        Ok(sure)
    }

    fn word(&self, pattern: &[Pat]) -> Answer<Sure> {
        let mut sure = self.rest(pattern)?;
        if let (Some(known), Some(field)) = (form::known(self.reader)?, self.place(FORM)) {
            let mut docs = Docs::none(self.lo, self.hi);
            let word = form::Word::new(pattern);
            for (_, info) in known.forms.iter().filter(|(text, _)| word.is_in(text)) {
                self.deadline.step()?;
                self.postings(field, info, &mut docs)?;
            }
            sure.or(&Sure::exactly(docs));
        }
        Ok(sure)
    }

    /// The documents that have the word, but not as a part of their form.
    fn rest(&self, pattern: &[Pat]) -> Answer<Sure> {
        let prefix: String = pattern.iter().map_while(|pat| if let Pat::Char(c) = pat { Some(*c) } else { None }).collect();
        if prefix.chars().count() == pattern.len() {
            return Ok(Sure::exactly(self.term(LINE, &prefix)?));
        }
        let mut keep = |term: &[u8]| std::str::from_utf8(term).is_ok_and(|word| covers(pattern, word));
        self.walked(LINE, Some(prefix.as_bytes()), &mut keep)
    }

    /// Several words, or what stands about one: of most lines their form tells.
    fn forms_decide(&self, pattern: &TextPattern, sure: &mut Sure) -> Answer<()> {
        let (Some(known), Some(field)) = (form::known(self.reader)?, self.place(FORM)) else { return Ok(()) };
        let mut perhaps = Docs::none(self.lo, self.hi);
        for (text, info) in &known.forms {
            self.deadline.step()?;
            match form::fit(pattern, text) {
                Fit::Always => self.postings(field, info, &mut sure.certain)?,
                Fit::Perhaps => self.postings(field, info, &mut perhaps)?,
                Fit::Never => {}
            }
        }
        // Where the form alone does not have it, one of the words at least is among those left out.
        let mut rest = Docs::none(self.lo, self.hi);
        for word in &pattern.words {
            rest.or(&self.rest(word)?.possible);
        }
        perhaps.and(&rest);
        if let Some(none) = &known.none {
            self.postings(field, none, &mut perhaps)?;
        }
        sure.possible.and(&perhaps);
        sure.possible.or(&sure.certain);
        Ok(())
    }

    fn field(&self, field: FieldId, test: &Test, within: &Docs) -> Answer<Sure> {
        if field == fields::SITE {
            let docs = self.sites(&|site| test.holds(field, ValueRef::Str(self.sites.name(site))))?;
            return Ok(Sure::exactly(docs));
        }
        if field == fields::MESSAGE {
            return self.message(test);
        }
        let mut sure = match field.known() {
            None if !schema::is_column_name(field.name()) => Sure::none(self.lo, self.hi),
            None => self.texts(&format!("{VENDOR}.{}", field.name()), field, test, within)?,
            // A partition from before the field was known: only its lines can tell.
            Some(row) if self.place(row.name).is_none() => return Ok(Sure::unknown(self.lo, self.hi)),
            Some(row) => match (row.kind, row.storage, test) {
                (Kind::Keyword | Kind::Bool, Storage::Pivot, Test::Equals(literal)) => Sure::exactly(self.term(row.name, &literal.folded)?),
                (Kind::Keyword | Kind::Bool, Storage::Pivot, Test::Glob(_) | Test::Ints(..) | Test::Addresses(..)) => {
                    self.walked(row.name, None, &mut |term| {
                        std::str::from_utf8(term).is_ok_and(|text| test.holds(field, ValueRef::Str(text)))
                    })?
                }
                (Kind::Keyword | Kind::Bool, ..) => self.texts(row.name, field, test, within)?,
                (Kind::Ip, Storage::Pivot, test) if *test != Test::Exists => {
                    let (from, to) = address_bounds(test);
                    self.walk(row.name, &from, to.as_deref(), &mut |term| {
                        ip_term(term).is_some_and(|ip| test.holds(field, ValueRef::Ip(ip)))
                    })?
                }
                (Kind::Int, Storage::Pivot, test) if *test != Test::Exists => {
                    self.walked(row.name, None, &mut |term| int_term(term).is_some_and(|number| test.holds(field, ValueRef::Int(number))))?
                }
                (Kind::Ip, ..) => self.addresses(row.name, field, test, within)?,
                (Kind::Int, ..) => self.numbers(row.name, field, test, within)?,
            },
        };
        sure.possible.or(&self.odd(field.name())?);
        Ok(sure)
    }

    /// The message is a part of the line: the line's words say where it may be, the stored line where it is.
    fn message(&self, test: &Test) -> Answer<Sure> {
        let mut sure = match test {
            Test::Exists => return Ok(Sure::all(self.lo, self.hi)),
            Test::Words(pattern) => self.words(pattern)?,
            _ => Sure::unknown(self.lo, self.hi),
        };
        sure.certain = Docs::none(self.lo, self.hi);
        sure.possible.or(&self.odd(LINE)?);
        sure.possible.or(&self.odd(fields::MESSAGE.name())?);
        Ok(sure)
    }

    fn sites(&self, keep: &dyn Fn(SiteId) -> bool) -> Answer<Docs> {
        let mut keep = |term: &[u8]| std::str::from_utf8(term).ok().and_then(|text| text.parse().ok()).is_some_and(keep);
        self.walked(SITE, None, &mut keep).map(|sure| sure.certain)
    }

    /// Documents of which the index does not tell all about `name`.
    fn odd(&self, name: &str) -> Answer<Docs> {
        self.term(ODD, name)
    }

    /// Documents of which the columns do not tell all values of a field: only their lines do.
    pub(super) fn unheld(&self, field: FieldId) -> Answer<Docs> {
        match field.known() {
            // The site is in every document, under its identity.
            Some(_) if field == fields::SITE => Ok(Docs::none(self.lo, self.hi)),
            Some(_) if field == fields::MESSAGE => Ok(Docs::all(self.lo, self.hi)),
            Some(row) if self.place(row.name).is_none() => Ok(Docs::all(self.lo, self.hi)),
            _ => self.odd(field.name()),
        }
    }

    // Dictionaries and postings.

    fn place(&self, name: &str) -> Option<Field> {
        self.reader.schema().get_field(name).ok()
    }

    fn term(&self, name: &str, text: &str) -> Answer<Docs> {
        let mut docs = Docs::none(self.lo, self.hi);
        let Some(field) = self.place(name) else { return Ok(docs) };
        let inverted = self.reader.inverted_index(field)?;
        if let Some(info) = inverted.get_term_info(&Term::from_field_text(field, text))? {
            self.postings(field, &info, &mut docs)?;
        }
        Ok(docs)
    }

    /// The documents of all terms with a prefix that `keep` takes; unknown where there are too many to look through.
    fn walked(&self, name: &str, prefix: Option<&[u8]>, keep: &mut dyn FnMut(&[u8]) -> bool) -> Answer<Sure> {
        let prefix = prefix.unwrap_or_default();
        // No UTF-8 text has the byte 0xff: this bound lies behind all that begin with the prefix.
        let end: Option<Vec<u8>> = (!prefix.is_empty()).then(|| prefix.iter().copied().chain([0xff]).collect());
        self.walk(name, prefix, end.as_deref(), keep)
    }

    fn walk(&self, name: &str, from: &[u8], to: Option<&[u8]>, keep: &mut dyn FnMut(&[u8]) -> bool) -> Answer<Sure> {
        let mut docs = Docs::none(self.lo, self.hi);
        let Some(field) = self.place(name) else { return Ok(Sure::exactly(docs)) };
        let inverted = self.reader.inverted_index(field)?;
        let range = inverted.terms().range().ge(from);
        let mut terms = if let Some(to) = to { range.le(to) } else { range }.into_stream()?;
        let mut seen = 0;
        while terms.advance() {
            self.deadline.step()?;
            seen += 1;
            if seen > DICTIONARY_TERMS_MAX {
                return Ok(Sure { certain: docs, possible: Docs::all(self.lo, self.hi) });
            }
            if keep(terms.key()) {
                self.postings(field, terms.value(), &mut docs)?;
            }
        }
        Ok(Sure::exactly(docs))
    }

    fn postings(&self, field: Field, info: &TermInfo, docs: &mut Docs) -> Answer<()> {
        let inverted = self.reader.inverted_index(field)?;
        let mut postings = inverted.read_postings_from_terminfo(info, IndexRecordOption::Basic)?;
        let mut doc = if postings.doc() < self.lo { postings.seek(self.lo) } else { postings.doc() };
        while doc != TERMINATED && doc < self.hi {
            docs.insert(doc);
            doc = postings.advance();
        }
        Ok(())
    }

    // Columns.

    fn texts(&self, column: &str, field: FieldId, test: &Test, within: &Docs) -> Answer<Sure> {
        let Some(column) = self.reader.fast_fields().str(column)? else { return Ok(Sure::none(self.lo, self.hi)) };
        if *test == Test::Exists {
            return self.scan(within, |doc| column.ords().index.has_value(doc));
        }
        let wanted = self.wanted_ords(&column, field, test)?;
        match wanted {
            Some(wanted) if wanted.is_empty() => Ok(Sure::none(self.lo, self.hi)),
            Some(wanted) => self.scan(within, |doc| column.ords().values_for_doc(doc).any(|ord| wanted.contains(ord as u32))),
            None => Ok(Sure::unknown(self.lo, self.hi)),
        }
    }

    fn numbers(&self, name: &str, field: FieldId, test: &Test, within: &Docs) -> Answer<Sure> {
        let Some(column) = self.reader.fast_fields().column_opt::<i64>(name)? else { return Ok(Sure::none(self.lo, self.hi)) };
        self.scan(within, |doc| column.values_for_doc(doc).any(|number| test.holds(field, ValueRef::Int(number))))
    }

    fn addresses(&self, name: &str, field: FieldId, test: &Test, within: &Docs) -> Answer<Sure> {
        let Some(column) = self.reader.fast_fields().column_opt::<Ipv6Addr>(name)? else { return Ok(Sure::none(self.lo, self.hi)) };
        let holds = |ip: Ipv6Addr| test.holds(field, ValueRef::Ip(IpAddr::V6(ip).to_canonical()));
        self.scan(within, |doc| column.values_for_doc(doc).any(holds))
    }

    fn scan(&self, within: &Docs, keep: impl Fn(u32) -> bool) -> Answer<Sure> {
        let mut docs = Docs::none(self.lo, self.hi);
        for doc in within.iter() {
            self.deadline.step()?;
            if keep(doc) {
                docs.insert(doc);
            }
        }
        Ok(Sure::exactly(docs))
    }

    /// The column's values that pass, as ordinals; `None` where there are too many to look through.
    fn wanted_ords(&self, column: &StrColumn, field: FieldId, test: &Test) -> Answer<Option<Docs>> {
        let dictionary = column.dictionary();
        if dictionary.num_terms() > DICTIONARY_TERMS_MAX {
            return Ok(None);
        }
        let mut wanted = Docs::none(0, u32::try_from(dictionary.num_terms()).unwrap_or(u32::MAX));
        let mut terms = dictionary.stream()?;
        while terms.advance() {
            self.deadline.step()?;
            if std::str::from_utf8(terms.key()).is_ok_and(|text| test.holds(field, ValueRef::Str(text))) {
                wanted.insert(terms.term_ord() as u32);
            }
        }
        Ok(Some(wanted))
    }
}

fn is_cheap(node: &Node) -> bool {
    match node {
        Node::All | Node::Text(_) | Node::Defect(_) | Node::Time(_) => true,
        Node::Field(field, test) => match field.known() {
            Some(row) => row.storage == Storage::Pivot && *test != Test::Exists,
            None => false,
        },
        Node::And(nodes) | Node::Or(nodes) => nodes.iter().all(is_cheap),
        Node::Not(node) => is_cheap(node),
    }
}

fn ip_term(term: &[u8]) -> Option<IpAddr> {
    Some(IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(term).ok()?)).to_canonical())
}

fn int_term(term: &[u8]) -> Option<i64> {
    Some(u64_to_i64(u64::from_be_bytes(term.try_into().ok()?)))
}

/// The stretch of the dictionary in which a test's addresses lie.
fn address_bounds(test: &Test) -> (Vec<u8>, Option<Vec<u8>>) {
    let bytes = |ip: IpAddr| schema::mapped(ip).octets().to_vec();
    match test {
        Test::Equals(literal) => literal.ip.map_or((Vec::new(), None), |ip| (bytes(ip), Some(bytes(ip)))),
        Test::Addresses(low, high) => (bytes(*low), Some(bytes(*high))),
        Test::Prefix(prefix, _) => (bytes(prefix.range().0), Some(bytes(prefix.range().1))),
        _ => (Vec::new(), None),
    }
}
