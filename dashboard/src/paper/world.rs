//! All that a template can reach: itself, our common part, the data of this one document, and the fonts that are built in.

use std::sync::LazyLock;

use typst::diag::{FileError, FileResult};
use typst::foundations::{Bytes, Datetime, Duration};
use typst::syntax::{FileId, RootedPath, Source, VirtualPath, VirtualRoot};
use typst::text::{Font, FontBook};
use typst::utils::LazyHash;
use typst::{Library, LibraryExt as _, World};

struct Shared {
    library: LazyHash<Library>,
    book: LazyHash<FontBook>,
    fonts: Vec<Font>,
    main: Option<FileId>,
    base: Option<FileId>,
    data: Option<FileId>,
}

static SHARED: LazyLock<Shared> = LazyLock::new(|| {
    let fonts: Vec<Font> = typst_assets::fonts().flat_map(|bytes| Font::iter(Bytes::new(bytes))).collect();
    let id = |name: &str| Some(RootedPath::new(VirtualRoot::Project, VirtualPath::new(name).ok()?).intern());
    Shared {
        library: LazyHash::new(Library::default()),
        book: LazyHash::new(FontBook::from_fonts(&fonts)),
        fonts,
        main: id("main.typ"),
        base: id("base.typ"),
        data: id("data.json"),
    }
});

/// One document's world.
pub(super) struct PaperWorld {
    main: Source,
    base: Source,
    data: Bytes,
}

impl PaperWorld {
    pub(super) fn new(template: &str, data: String) -> Self {
        let source = |id: Option<FileId>, text: &str| id.map_or_else(|| Source::detached(text), |id| Source::new(id, text.to_owned()));
        Self { main: source(SHARED.main, template), base: source(SHARED.base, include_str!("base.typ")), data: Bytes::from_string(data) }
    }
}

impl World for PaperWorld {
    fn library(&self) -> &LazyHash<Library> {
        &SHARED.library
    }

    fn book(&self) -> &LazyHash<FontBook> {
        &SHARED.book
    }

    fn main(&self) -> FileId {
        self.main.id()
    }

    fn source(&self, id: FileId) -> FileResult<Source> {
        [&self.main, &self.base].into_iter().find(|source| source.id() == id).cloned().ok_or(FileError::AccessDenied)
    }

    fn file(&self, id: FileId) -> FileResult<Bytes> {
        if SHARED.data == Some(id) { Ok(self.data.clone()) } else { Err(FileError::AccessDenied) }
    }

    fn font(&self, index: usize) -> Option<Font> {
        SHARED.fonts.get(index).cloned()
    }

    /// A document has the time that it is given.
    fn today(&self, _offset: Option<Duration>) -> Option<Datetime> {
        None
    }
}

/// A text as it can be set. What no font of ours has a shape for is named by its number, so that nothing is lost and nothing
/// disguises itself: controls, marks that turn the direction of writing, signs without width.
pub(super) fn shown(text: &str, chars_max: usize) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().filter(|ch| *ch != '\r');
    for ch in chars.by_ref().take(chars_max) {
        match ch {
            '\n' => out.push(ch),
            '\t' => out.push(' '),
            // A soft hyphen shows only where a line ends.
            '\u{ad}' => {}
            ch if has_shape(ch) => out.push(ch),
            ch => out.push_str(&format!("⟨U+{:04X}⟩", u32::from(ch))),
        }
    }
    if chars.next().is_some() {
        out.push('…');
    }
    out
}

fn has_shape(ch: char) -> bool {
    let hides = ch.is_control()
        || matches!(ch, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}');
    !hides && SHARED.fonts.iter().any(|font| font.info().coverage.contains(u32::from(ch)))
}
