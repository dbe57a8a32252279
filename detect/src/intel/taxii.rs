//! TAXII 2.1, as a client that only reads: from the discovery document or an API root to a collection, and from there the
//! pages of what was added since the last time. Credentials go to the configured machine and to no other.

use ingest::db::Db;
use ingest::time::Timestamp;
use serde_json::Value;

use super::feed::{Failure, Feed, FeedState, Fetch, Importer, Outcome, Request, Response, Turn, checked, shown, unreadable};
use super::read::{Markings, Reading, document};

const ACCEPT: &str = "application/taxii+json;version=2.1";
/// Pages of one turn; the next turn goes on behind them.
const PAGES_PER_TURN: usize = 200;
/// Objects of a page; servers may give fewer.
const PAGE_LIMIT: usize = 5_000;

/// One turn: the pages that are new.
pub(super) fn turn(feed: &Feed, state: &mut FeedState, fetch: &dyn Fetch, db: &Db, now: Timestamp) -> Turn {
    let client = Client { feed, fetch };
    let collection = client.collection()?;
    let (mut markings, mut sum) = (Markings::default(), Outcome::default());
    let begun = now.rfc3339();
    for _ in 0..PAGES_PER_TURN {
        let mut url = format!("{collection}objects/?limit={PAGE_LIMIT}&match%5Btype%5D=indicator,marking-definition");
        for (name, value) in [("added_after", &state.added_after), ("next", &state.next)] {
            if let Some(value) = value {
                url.push_str(&format!("&{name}={}", encoded(value)));
            }
        }
        let (answer, page) = client.get(&url)?;
        let objects = page.get("objects").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let mut importer = Importer::new(db, &feed.defaults.list, now);
        let mut sink = |item| importer.take(item);
        let mut reading = Reading::new(&feed.defaults, now, &mut sink);
        reading.stix_objects(objects, &mut markings).map_err(unreadable)?;
        let report = reading.report;
        sum.add(&importer.done(report).map_err(|error| (Failure::Ours, error.to_string()))?);
        sum.tell(state);
        let (more, next) = (page.get("more").and_then(Value::as_bool) == Some(true), page.get("next").and_then(Value::as_str));
        match (more, next, answer.added_last) {
            (true, Some(next), _) if state.next.as_deref() != Some(next) => state.next = Some(next.to_owned()),
            // A server without `next` goes on behind what it added last.
            (true, _, Some(last)) if state.added_after.as_deref() != Some(last.as_str()) => {
                (state.added_after, state.next) = (Some(last), None);
            }
            (true, ..) => return Err((Failure::Theirs, "more, but not where".into())),
            (false, _, last) => {
                state.unchanged = objects.is_empty();
                state.next = None;
                // Where it does not say, what is added from now on.
                if let Some(last) = last.or_else(|| (!objects.is_empty()).then(|| begun.clone())) {
                    state.added_after = Some(last);
                }
                return Ok(());
            }
        }
    }
    state.more = true;
    Ok(())
}

struct Client<'a> {
    feed: &'a Feed,
    fetch: &'a dyn Fetch,
}

impl Client<'_> {
    /// The collection's address, with a slash at its end.
    fn collection(&self) -> Result<String, (Failure, String)> {
        let url = with_slash(&self.feed.url);
        if url.contains("/collections/") && !url.ends_with("/collections/") {
            return Ok(url);
        }
        let (_, found) = self.get(&url)?;
        let root = match (found.get("api_roots").and_then(Value::as_array), found.get("versions")) {
            (_, Some(_)) => url,
            (Some(roots), None) => {
                let first = roots.iter().find_map(Value::as_str);
                let root = found.get("default").and_then(Value::as_str).or(first);
                with_slash(&joined(&url, root.ok_or((Failure::NotThere, "no API root".to_owned()))?)?)
            }
            (None, None) => return Err((Failure::Unreadable, format!("neither discovery nor API root: {}", shown(&url)))),
        };
        let (_, found) = self.get(&format!("{root}collections/"))?;
        let all: Vec<&Value> = found.get("collections").and_then(Value::as_array).into_iter().flatten().collect();
        let named = |key: &str, of: &Value| of.get(key).and_then(Value::as_str) == Some(self.feed.collection.as_str());
        let wanted = match self.feed.collection.as_str() {
            "" if all.len() == 1 => all.first().copied(),
            "" => None,
            _ => all.iter().copied().find(|of| ["id", "alias", "title"].iter().any(|key| named(key, of))),
        };
        let titles = || all.iter().filter_map(|of| of.get("title").and_then(Value::as_str)).take(10).collect::<Vec<_>>().join(", ");
        let wanted =
            wanted.ok_or_else(|| (Failure::NotThere, format!("collection \"{}\"; there are: {}", self.feed.collection, titles())))?;
        if wanted.get("can_read").and_then(Value::as_bool) == Some(false) {
            return Err((Failure::Refused, format!("collection \"{}\" may not be read", self.feed.collection)));
        }
        let id = wanted.get("id").and_then(Value::as_str).unwrap_or_default();
        Ok(format!("{root}collections/{}/", encoded(id)))
    }

    fn get(&self, url: &str) -> Result<(Response, Value), (Failure, String)> {
        let request = Request { url: url.to_owned(), accept: ACCEPT, credentials: &self.feed.credentials, etag: None, modified: None };
        let mut answer = self.fetch.get(&request).map_err(|error| (Failure::Unreachable, error))?;
        checked(&answer, url)?;
        let value = document(&mut answer.body).map_err(unreadable)?;
        Ok((answer, value))
    }
}

fn with_slash(url: &str) -> String {
    format!("{}/", url.trim_end_matches('/'))
}

/// An address that a document names, seen from where the document is; never on another machine.
fn joined(base: &str, path: &str) -> Result<String, (Failure, String)> {
    let root = |url: &str| {
        let begin = url.find("://").map_or(0, |at| at + 3);
        let end = url.get(begin..).and_then(|rest| rest.find(['/', '?', '#'])).map_or(url.len(), |at| begin + at);
        url.get(..end).unwrap_or_default().to_owned()
    };
    let whole = match path {
        path if path.contains("://") => path.to_owned(),
        path if path.starts_with("//") => return Err((Failure::Elsewhere, shown(path).to_owned())),
        path if path.starts_with('/') => format!("{}{path}", root(base)),
        path => format!("{}{path}", with_slash(base)),
    };
    if root(&whole).eq_ignore_ascii_case(&root(base)) { Ok(whole) } else { Err((Failure::Elsewhere, shown(&whole).to_owned())) }
}

fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            byte if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => out.push(char::from(byte)),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_stay_on_the_machine() {
        let base = "https://taxii.example:8443/taxii2/";
        for (path, expected) in [
            ("/api1/", Some("https://taxii.example:8443/api1/")),
            ("api1/", Some("https://taxii.example:8443/taxii2/api1/")),
            ("https://taxii.example:8443/api1/", Some("https://taxii.example:8443/api1/")),
            ("https://taxii.example/api1/", None),
            ("http://taxii.example:8443/api1/", None),
            ("https://taxii.example:8443@evil.example/", None),
            ("//evil.example/", None),
        ] {
            assert_eq!(joined(base, path).ok().as_deref(), expected, "{path}");
        }
        assert_eq!(encoded("a b/ä"), "a%20b%2F%C3%A4");
    }
}
