//! What a request leaves in the audit log. Each route declares it (`routes`); here it is done, for all pages alike, so
//! that no page can forget it: a change in the transaction of the change (`Ask::write`), a look through the queue
//! (`audit_queue`), what was refused once per person, route and hour.

use axum::http::StatusCode;
use ingest::audit::{NewAudit, audit_add};
use ingest::db::DbError;
use ingest::rusqlite::Transaction;
use serde_json::{Map, Value, json};

use super::routes::{Route, Tenant};
use super::{Ask, PageError, Reply};

/// What of a page stands in the audit log: (kind, noun of the object).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// Not said, which a test complains of.
    Undeclared,
    /// Lists, figures, the viewer's own settings: nothing that anybody has to answer for.
    Nothing,
    /// The page's own code writes the row.
    Itself,
    /// A look at something: one row per viewer, object and hour.
    Seen(&'static str, &'static str),
    /// A download: one row each time.
    Taken(&'static str, &'static str),
    /// A search: one row each time, with what the page says of it (`Ask::remark`).
    Asked(&'static str, &'static str),
    /// A change, in its transaction, with these fields of the form.
    Done(&'static str, &'static str, &'static [&'static str]),
}

/// Characters of a form's field that a row keeps: choices and ids are short, and texts stand where they belong.
const FIELD_CHARS_MAX: usize = 200;
/// Characters of a search; the language allows longer ones, which nobody types.
pub(super) const QUERY_CHARS_MAX: usize = 4_000;
/// Who acts where nobody is signed in.
const NOBODY: &str = "unknown";

impl Ask {
    /// Says more of what this request is about; it stands in the row's detail.
    pub(super) fn remark(&self, name: &str, value: impl Into<Value>) {
        let value = match value.into() {
            Value::String(text) => Value::String(text.chars().take(QUERY_CHARS_MAX).collect()),
            other => other,
        };
        self.remarks.borrow_mut().insert(name.to_owned(), value);
    }

    /// Says which object the row is about, where the path does not.
    pub(super) fn about(&self, id: impl std::fmt::Display) {
        *self.about.borrow_mut() = Some(id.to_string());
    }

    /// Writes to the database, and what the route declares about it to the audit log, in one transaction.
    ///
    /// # Errors
    /// What `work` returns, or the database's own.
    pub fn write<T, E>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        self.write_about(work, |_| None)
    }

    /// As `write`, for what gets its identity in the transaction.
    ///
    /// # Errors
    /// What `work` returns, or the database's own.
    pub fn write_about<T, E>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
        id: impl FnOnce(&T) -> Option<String> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        let new = self.route.and_then(|route| self.row(route));
        let (now, noun) = (self.now, self.route.and_then(|route| noun(route.note)));
        let done: Result<T, E> = self.app.db.write(move |tx| {
            let value = work(tx)?;
            if let Some(mut new) = new {
                if let (Some(id), Some(noun)) = (id(&value), noun) {
                    new.object = format!("{noun}:{id}");
                }
                audit_add(tx, now, &new)?;
            }
            Ok(value)
        });
        self.noted.set(done.is_ok());
        done
    }

    /// The row that the route declares, as this request fills it.
    fn row(&self, route: &Route) -> Option<NewAudit> {
        let (kind, noun, fields) = match route.note {
            Note::Seen(kind, noun) | Note::Taken(kind, noun) | Note::Asked(kind, noun) => (kind, noun, [].as_slice()),
            Note::Done(kind, noun, fields) => (kind, noun, fields),
            Note::Undeclared | Note::Nothing | Note::Itself => return None,
        };
        let mut detail: Map<String, Value> = self.remarks.borrow().clone();
        for field in fields {
            let given: Vec<String> = self.form.all(field).take(16).map(|text| text.chars().take(FIELD_CHARS_MAX).collect()).collect();
            match given.as_slice() {
                [] => {}
                [one] if one.is_empty() => {}
                [one] => drop(detail.insert((*field).to_owned(), json!(one))),
                all => drop(detail.insert((*field).to_owned(), json!(all))),
            }
        }
        Some(NewAudit { actor: self.actor(), kind, object: self.object(route, noun), detail: Value::Object(detail) })
    }

    fn object(&self, route: &Route, noun: &str) -> String {
        // A secret in a path is a key, and no log keeps keys.
        let named = || if route.tenant == Tenant::Secret { None } else { self.param_first() };
        match self.about.borrow().as_deref().or_else(named) {
            Some(id) => format!("{noun}:{}", id.chars().take(FIELD_CHARS_MAX).collect::<String>()),
            None => noun.to_owned(),
        }
    }

    fn actor(&self) -> String {
        match &self.viewer {
            Some(viewer) => viewer.user.to_string(),
            None => self.stranger.borrow().clone().unwrap_or_else(|| NOBODY.to_owned()),
        }
    }

    /// Says who acts where nobody is signed in: whom a link's secret belongs to.
    pub(super) fn acts_as(&self, who: impl std::fmt::Display) {
        *self.stranger.borrow_mut() = Some(who.to_string());
    }

    /// Writes that something was taken away, for a route that shows a page or gives a file.
    ///
    /// # Errors
    /// Where the audit log takes nothing.
    pub(super) fn note_taken(&self, kind: &'static str, object: String) -> Result<(), PageError> {
        let detail = Value::Object(self.remarks.borrow().clone());
        self.app.audit.add(self.now, NewAudit { actor: self.actor(), kind, object, detail }).map_err(|_| PageError::Unnoted)
    }
}

fn noun(note: Note) -> Option<&'static str> {
    match note {
        Note::Seen(_, noun) | Note::Taken(_, noun) | Note::Asked(_, noun) | Note::Done(_, noun, _) => Some(noun),
        Note::Undeclared | Note::Nothing | Note::Itself => None,
    }
}

/// After the page: writes what the route declares. Where that cannot be done the answer is not given.
pub(super) fn after(ask: &Ask, route: &Route, reply: Reply) -> Reply {
    let unnoted = |_| PageError::Unnoted;
    match &reply {
        Ok(response) => {
            let status = response.status();
            let given = status == StatusCode::OK;
            match (route.note, ask.row(route)) {
                (Note::Seen(..), Some(row)) if given => ask.app.audit.look(ask.now, row).map_err(unnoted)?,
                (Note::Taken(..), Some(row)) if given => ask.app.audit.add(ask.now, row).map_err(unnoted)?,
                // The page says by a remark that it has asked; a form to type into is no search.
                (Note::Asked(..), Some(row)) if given && row.detail.get("query").is_some() => {
                    ask.app.audit.add(ask.now, row).map_err(unnoted)?;
                }
                // A change whose page did not use `Ask::write`: late is better than not at all.
                (Note::Done(..), Some(row)) if status.is_redirection() && !ask.noted.get() => {
                    ask.app.audit.add(ask.now, row).map_err(unnoted)?;
                }
                _ => {}
            }
        }
        Err(error) => refused(ask, route, error)?,
    }
    reply
}

/// Who was refused what. By the route and not by the path, of which somebody can make up as many as he likes.
pub(super) fn refused(ask: &Ask, route: &Route, error: &PageError) -> Result<(), PageError> {
    let why = match error {
        PageError::Forbidden => "role",
        PageError::ForeignForm => "form",
        // Also another tenant's: whoever tries many leaves a row for each kind of them and hour.
        PageError::NotFound => "missing",
        _ => return Ok(()),
    };
    let Some(viewer) = &ask.viewer else { return Ok(()) };
    let path: String = if route.tenant == Tenant::Secret { String::new() } else { ask.path.chars().take(FIELD_CHARS_MAX).collect() };
    let detail = json!({ "why": why, "path": path });
    let object = format!("route:{:?} {}", route.verb, route.path);
    let new = NewAudit { actor: viewer.user.to_string(), kind: "access.refused", object, detail };
    ask.app.audit.look(ask.now, new).map_err(|_| PageError::Unnoted)
}
