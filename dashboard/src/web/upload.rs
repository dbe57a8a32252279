//! Forms with a file (RFC 7578): read as they come, the file straight into the locker, so that neither a long file nor a slow
//! line costs memory. Only who is signed in and may use the page gets so far; everybody else's body is never read. `read` is
//! pure but for the file that it writes.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use detect::exhibit::{Draft, ExhibitError, FILE_BYTES_MAX, Locker};
use http_body::Body as _;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{App, Pairs, Route, access, plain};
use crate::access::Verdict;
use crate::session::{self, Token};

/// What came with a form.
#[derive(Debug)]
pub struct Upload {
    pub name: String,
    pub claimed: String,
    pub draft: Draft,
}

/// Files that come in at the same time; each holds a place on the disk and a thread.
pub(super) const UPLOADS_MAX: usize = 4;
/// The other fields of such a form together.
const FIELDS_BYTES_MAX: usize = 16 * 1024;
/// A part's own header: a name, a file's name, a type.
const HEAD_BYTES_MAX: usize = 4 * 1024;
const PARTS_MAX: usize = 20;
/// The longest boundary (RFC 2046, 5.1.1).
const BOUNDARY_BYTES_MAX: usize = 70;
/// For the next piece, and for the whole: 25 MB over a line of half a megabit.
const PIECE_TIME: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 30 });
const WHOLE_TIME: Duration = Duration::from_secs(600);

/// Why a form was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("no form with a file")]
    Form,
    #[error("the fields are too long")]
    Fields,
    #[error("it ended in the middle")]
    Cut,
    #[error(transparent)]
    File(#[from] ExhibitError),
}

/// The boundary of a form with a file; `None` where it is another kind of form.
pub(super) fn boundary(headers: &HeaderMap) -> Option<String> {
    let kind = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let (kind, rest) = kind.split_once(';')?;
    let value = rest.split(';').find_map(|one| one.trim().strip_prefix("boundary="))?.trim_matches('"');
    let fits = !value.is_empty() && value.len() <= BOUNDARY_BYTES_MAX;
    (kind.trim().eq_ignore_ascii_case("multipart/form-data") && fits).then(|| value.to_owned())
}

/// Whether whoever sends this may use the page at all: asked before anything is read. The page's own checks come after.
pub(super) fn let_in(app: &App, route: &Route, token: Option<Token>) -> bool {
    let now = app.clock.now();
    let found = token.and_then(|token| app.db.read(|c| session::session_find(c, &token, app.settings.session, now)).ok().flatten());
    access::judge(route.who, found.map(|found| found.user.role)) == Verdict::Enter
}

/// Takes a form with a file.
///
/// # Errors
/// The answer to what was not taken.
pub(super) async fn take(app: &App, request: Request, boundary: String) -> Result<(Pairs, Option<Upload>), Response> {
    let busy =
        || plain(StatusCode::SERVICE_UNAVAILABLE, "Gerade werden viele Dateien hochgeladen. Bitte versuchen Sie es gleich noch einmal.");
    let Ok(_place) = Arc::clone(&app.door.uploads).try_acquire_owned() else { return Err(busy()) };
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > FILE_BYTES_MAX + FIELDS_BYTES_MAX as u64 + 64 * 1024) {
        return Err(answer(&Refused::File(ExhibitError::TooLarge { max: FILE_BYTES_MAX })));
    }
    let (pieces, mut come) = mpsc::channel::<Bytes>(4);
    let locker = app.locker.clone();
    let reading = tokio::task::spawn_blocking(move || read(&boundary, || come.blocking_recv(), &locker));
    let mut body = request.into_body();
    let feed = async {
        while let Ok(Some(Ok(frame))) = timeout(PIECE_TIME, next(&mut body)).await {
            let Ok(piece) = frame.into_data() else { continue };
            // Who reads has refused it: the rest is of no interest.
            if pieces.send(piece).await.is_err() {
                break;
            }
        }
    };
    let fed = timeout(WHOLE_TIME, feed).await;
    drop(pieces);
    match (fed, reading.await) {
        (Err(_), _) => Err(answer(&Refused::Cut)),
        (_, Ok(Ok(form))) => Ok(form),
        (_, Ok(Err(refused))) => Err(answer(&refused)),
        (_, Err(_)) => Err(plain(StatusCode::INTERNAL_SERVER_ERROR, "Das hat nicht geklappt, der Fehler liegt bei uns.")),
    }
}

async fn next(body: &mut Body) -> Option<Result<http_body::Frame<Bytes>, axum::Error>> {
    std::future::poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await
}

fn answer(refused: &Refused) -> Response {
    match refused {
        Refused::File(ExhibitError::TooLarge { max }) => {
            let text = format!("Die Datei ist zu groß: Es gehen höchstens {} MB.", max >> 20);
            plain(StatusCode::PAYLOAD_TOO_LARGE, &text)
        }
        Refused::File(ExhibitError::DiskFull) => {
            plain(StatusCode::INSUFFICIENT_STORAGE, "Die Platte ist zu voll für Dateien. Bitte sagen Sie dem Betrieb Bescheid.")
        }
        Refused::File(_) => {
            plain(StatusCode::INTERNAL_SERVER_ERROR, "Die Datei konnte nicht gespeichert werden, der Fehler liegt bei uns.")
        }
        Refused::Fields => {
            plain(StatusCode::PAYLOAD_TOO_LARGE, "Das ist zu viel Text für dieses Formular. Bitte gehen Sie zurück und kürzen Sie ihn.")
        }
        Refused::Cut => plain(StatusCode::BAD_REQUEST, "Das Formular kam nur halb an. Bitte senden Sie es noch einmal."),
        Refused::Form => {
            plain(StatusCode::BAD_REQUEST, "Das Formular war nicht lesbar. Bitte gehen Sie zurück und senden Sie es noch einmal.")
        }
    }
}

/// Reads a form out of its pieces. The first part that has a file's name is the file; a second one is none of ours.
pub(super) fn read(boundary: &str, mut piece: impl FnMut() -> Option<Bytes>, locker: &Locker) -> Result<(Pairs, Option<Upload>), Refused> {
    let mark = format!("\r\n--{boundary}").into_bytes();
    // As if a line had ended before the first boundary.
    let mut buffer = b"\r\n".to_vec();
    let mut more = |buffer: &mut Vec<u8>| piece().map(|piece| buffer.extend_from_slice(&piece)).ok_or(Refused::Cut);
    let (mut form, mut upload, mut fields_bytes) = (Pairs::default(), None, 0);
    // What stands before the first boundary is nobody's.
    let mut part = Part::Nothing;
    for _ in 0..=PARTS_MAX {
        loop {
            let at = find(&buffer, &mark);
            // Without a boundary all but its possible beginning belongs to the part.
            let sure = at.unwrap_or_else(|| buffer.len().saturating_sub(mark.len()));
            let content: Vec<u8> = buffer.drain(..sure).collect();
            match &mut part {
                Part::Nothing => {}
                Part::File(file) => file.draft.write(&content)?,
                Part::Field(_, value) => {
                    fields_bytes += content.len();
                    if fields_bytes > FIELDS_BYTES_MAX {
                        return Err(Refused::Fields);
                    }
                    value.extend_from_slice(&content);
                }
            }
            if at.is_some() {
                break;
            }
            more(&mut buffer)?;
        }
        match std::mem::replace(&mut part, Part::Nothing) {
            Part::Field(name, value) => form.0.push((name, String::from_utf8_lossy(&value).into_owned())),
            Part::File(file) => upload = Some(*file),
            Part::Nothing => {}
        }
        while buffer.len() < mark.len() + 2 {
            more(&mut buffer)?;
        }
        let after = buffer.get(mark.len()..mark.len() + 2).unwrap_or_default();
        if after == b"--" {
            return Ok((form, upload));
        }
        if after != b"\r\n" {
            return Err(Refused::Form);
        }
        buffer.drain(..mark.len());
        let end = loop {
            if let Some(end) = find(&buffer, b"\r\n\r\n") {
                break end;
            }
            if buffer.len() > HEAD_BYTES_MAX {
                return Err(Refused::Form);
            }
            more(&mut buffer)?;
        };
        // An empty part ends with the line's end of its own head: RFC 2046 gives the boundary that one.
        let head: Vec<u8> = buffer.drain(..end + 4).collect();
        part = begin(&String::from_utf8_lossy(&head), upload.is_some(), locker)?;
    }
    Err(Refused::Form)
}

enum Part {
    Nothing,
    Field(String, Vec<u8>),
    File(Box<Upload>),
}

fn begin(head: &str, has_file: bool, locker: &Locker) -> Result<Part, Refused> {
    let field = |wanted: &str| {
        head.split("\r\n")
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted))
            .map(|(_, value)| value.trim())
    };
    let disposition = field("content-disposition").unwrap_or_default();
    let name = quoted(disposition, "name").ok_or(Refused::Form)?;
    match quoted(disposition, "filename") {
        None => Ok(Part::Field(name, Vec::new())),
        Some(_) if has_file => Err(Refused::Form),
        Some(file) => {
            let claimed = field("content-type").unwrap_or_default().to_owned();
            Ok(Part::File(Box::new(Upload { name: file, claimed, draft: locker.draft(FILE_BYTES_MAX)? })))
        }
    }
}

/// `name="…"`; browsers write a quote inside as %22.
fn quoted(text: &str, name: &str) -> Option<String> {
    let rest = text.split(';').skip(1).find_map(|one| one.trim_start().strip_prefix(name)?.strip_prefix("=\""));
    rest.and_then(|rest| rest.split('"').next()).map(|value| value.replace("%22", "\""))
}

fn find(text: &[u8], mark: &[u8]) -> Option<usize> {
    text.windows(mark.len()).position(|window| window == mark)
}

#[cfg(test)]
mod tests {
    use ingest::disk::Watermark;
    use proptest::prelude::*;

    use super::*;

    fn form(parts: &[(&str, Option<&str>, &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        for (name, file, content) in parts {
            let file = file.map(|file| format!("; filename=\"{file}\"\r\nContent-Type: image/png")).unwrap_or_default();
            out.extend(format!("--b0\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n").into_bytes());
            out.extend_from_slice(content);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"--b0--\r\n");
        out
    }

    fn read_all(locker: &Locker, wire: &[u8], cut: usize) -> Result<(Pairs, Option<Upload>), Refused> {
        let mut pieces = wire.chunks(cut).map(Bytes::copy_from_slice);
        read("b0", || pieces.next(), locker)
    }

    #[test]
    fn what_is_no_form_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let locker = Locker::open(dir.path(), Watermark::default()).unwrap();
        let long = vec![b'x'; FIELDS_BYTES_MAX + 1];
        for (name, wire, expected) in [
            ("nothing", vec![], "it ended in the middle"),
            ("no end", b"--b0\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx".to_vec(), "it ended in the middle"),
            ("no name", b"--b0\r\n\r\n\r\nx\r\n--b0--".to_vec(), "no form with a file"),
            ("two files", form(&[("a", Some("x"), b"1"), ("b", Some("y"), b"2")]), "no form with a file"),
            ("long field", form(&[("a", None, &long)]), "the fields are too long"),
            ("long head", [b"--b0\r\nX: ".as_slice(), &long].concat(), "no form with a file"),
            ("other end", b"--b0x\r\n".to_vec(), "no form with a file"),
            ("many", form(&vec![("a", None, b"1".as_slice()); PARTS_MAX + 1]), "no form with a file"),
        ] {
            assert_eq!(read_all(&locker, &wire, 7).err().map(|error| error.to_string()).as_deref(), Some(expected), "{name}");
        }
        assert_eq!(std::fs::read_dir(dir.path().join("new")).unwrap().count(), 0, "no half file is left");
    }

    proptest! {
        #[test]
        fn a_form_comes_out_as_it_was_sent_however_it_is_cut(
            content in proptest::collection::vec(proptest::sample::select(b"\r\n-b0x\0".to_vec()), 0..200), text in "[a-zäöü\r\n-]{0,40}", cut in 1_usize..40,
        ) {
            prop_assume!(find(&[b"\r\n".as_slice(), &content, b"\r\n"].concat(), b"\r\n--b0").is_none());
            prop_assume!(!text.contains("--b0"));
            let dir = tempfile::tempdir().unwrap();
            let locker = Locker::open(dir.path(), Watermark::default()).unwrap();
            let wire = form(&[("csrf", None, b"t"), ("datei", Some("a.png"), &content), ("text", None, text.as_bytes())]);
            let (fields, upload) = read_all(&locker, &wire, cut).unwrap();
            let upload = upload.unwrap();
            prop_assert_eq!((fields.get("csrf"), fields.get("text")), ("t", text.as_str()));
            prop_assert_eq!((upload.name.as_str(), upload.claimed.as_str()), ("a.png", "image/png"));
            let sealed = locker.seal(upload.draft).unwrap();
            prop_assert_eq!(locker.read(&sealed.sha256).unwrap(), content);
        }
    }
}
