//! What a file is by its first bytes, and what that has to do with what its sender calls it. Only the head is looked at, and
//! nothing in it is followed: no entry is unpacked, no offset is trusted.

use super::Warning;

/// What the bytes say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    pub mime: &'static str,
    pub program: bool,
    pub archive: bool,
    pub encrypted: bool,
}

/// Recognises a file by its head.
pub fn sniff(head: &[u8]) -> Kind {
    let known = infer::get(head);
    let mime = known.map_or_else(|| text_or_not(head), |known| known.mime_type());
    let program = known.is_some_and(|known| known.matcher_type() == infer::MatcherType::App && !DATA.contains(&known.mime_type()))
        || head.starts_with(b"#!")
        || head.starts_with(b"MZ");
    let archive = known.is_some_and(|known| known.matcher_type() == infer::MatcherType::Archive && known.mime_type() != "application/pdf");
    Kind { mime, program, archive, encrypted: encrypted(head) }
}

/// Found by `infer` among programs, but run by nothing.
const DATA: [&str; 3] = ["application/x-x509-ca-cert", "application/octet-stream", "application/wasm"];

fn text_or_not(head: &[u8]) -> &'static str {
    let end = match std::str::from_utf8(head) {
        Ok(_) => head.len(),
        // A character that the head's end cuts in two is no damage.
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        Err(_) => return if head.contains(&0) { "application/octet-stream" } else { "text/plain" },
    };
    let control = |byte: &u8| *byte < 0x20 && !b"\t\r\n\x0c\x1b".contains(byte);
    if head.get(..end).unwrap_or_default().iter().any(control) { "application/octet-stream" } else { "text/plain" }
}

/// Whether the first entry of an archive is encrypted, as its own header says in the open.
fn encrypted(head: &[u8]) -> bool {
    match head {
        // ZIP, local file header: bit 0 of the flags (APPNOTE 4.4.4).
        [b'P', b'K', 3, 4, _, _, flags, ..] => flags & 1 == 1,
        // RAR 4: the archive header's flag MHD_PASSWORD; RAR 5: the header of type 4 comes first.
        [b'R', b'a', b'r', b'!', 0x1a, 7, 0, _, _, 0x73, _, flags, ..] => {
            flags & 0x80 != 0 || head.get(10).is_some_and(|low| low & 0x80 != 0)
        }
        [b'R', b'a', b'r', b'!', 0x1a, 7, 1, 0, _, _, _, _, _, 4, ..] => true,
        _ => head.windows(ENCRYPTED_PACKAGE.len()).any(|window| window == ENCRYPTED_PACKAGE) || pgp(head),
    }
}

/// The stream in which Office keeps an encrypted document, in UTF-16.
const ENCRYPTED_PACKAGE: &[u8] = b"E\0n\0c\0r\0y\0p\0t\0e\0d\0P\0a\0c\0k\0a\0g\0e\0";

fn pgp(head: &[u8]) -> bool {
    head.starts_with(b"-----BEGIN PGP MESSAGE-----")
}

/// Names for the same thing, and what is inside of what: a document of Office is a ZIP archive.
const SAME: &[(&str, &[&str])] = &[
    (
        "application/zip",
        &[
            "application/x-zip-compressed",
            "application/vnd.openxmlformats",
            "application/vnd.oasis",
            "application/java-archive",
            "application/epub+zip",
            "application/vnd.ms-excel.sheet",
            "application/vnd.ms-word.document",
        ],
    ),
    ("application/gzip", &["application/x-gzip", "application/x-tgz", "application/x-compressed-tar"]),
    (
        "application/vnd.microsoft.portable-executable",
        &["application/x-msdownload", "application/x-dosexec", "application/x-msdos-program"],
    ),
    ("application/x-ole-storage", &["application/msword", "application/vnd.ms-", "application/vnd.ms-outlook"]),
    ("image/jpeg", &["image/jpg", "image/pjpeg"]),
    ("text/xml", &["application/xml", "image/svg+xml", "application/rss+xml"]),
    ("application/x-7z-compressed", &["application/7z"]),
    ("application/vnd.rar", &["application/x-rar-compressed", "application/x-rar"]),
    ("application/x-tcpdump-pcap", &["application/vnd.tcpdump.pcap", "application/cap"]),
];

/// What is said with a file of which `claimed` is told.
pub(super) fn warnings(kind: &Kind, claimed: &str) -> Vec<Warning> {
    let all = [
        (Warning::OtherType, differs(kind.mime, claimed)),
        (Warning::Program, kind.program),
        (Warning::Archive, kind.archive),
        (Warning::Encrypted, kind.encrypted),
    ];
    all.into_iter().filter(|(_, holds)| *holds).map(|(warning, _)| warning).collect()
}

fn differs(found: &str, claimed: &str) -> bool {
    // Says nothing, so it cannot be wrong.
    let nothing = ["", "application/octet-stream", "application/force-download", "binary/octet-stream"];
    if nothing.contains(&claimed) || found == claimed {
        return false;
    }
    // Bytes without a signature of their own: many formats have none, and all texts look alike.
    let texts = |mime: &str| mime.starts_with("text/") || mime.starts_with("message/") || mime.ends_with("json") || mime.ends_with("xml");
    match found {
        "application/octet-stream" => texts(claimed),
        _ if found.starts_with("text/") => {
            !texts(claimed)
                && ["image/", "video/", "audio/", "application/pdf", "application/zip"].iter().any(|start| claimed.starts_with(start))
        }
        _ => !SAME.iter().any(|(one, others)| *one == found && others.iter().any(|other| claimed.starts_with(other))),
    }
}
