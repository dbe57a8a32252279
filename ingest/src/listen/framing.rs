//! Cuts a byte stream into frames: lines (RFC 6587 non-transparent framing, LF or NUL) and counted messages (RFC 6587
//! octet counting), told apart frame by frame, since devices behind one relay mix them. Pure: no socket, no clock.
//! It never gives up: what is no valid count is a line, and behind a wrong count it finds the next message again. It
//! cuts no message at what that message says of itself: only where a count was wrong already is content looked at.

use crate::frame::{Marks, PAYLOAD_BYTES_MAX};

/// The longest message an octet count may announce. Longer than a frame, because senders are configured up to
/// 1 MiB and their message is kept in parts; a larger number is taken for the text of a line, so that one
/// corrupt count cannot swallow what a connection says for minutes.
pub const OCTET_COUNT_MAX: usize = 1_048_576;

/// Digits of `OCTET_COUNT_MAX`.
const OCTET_COUNT_DIGITS_MAX: usize = 7;
/// Facility 23, severity 7.
const PRIORITY_MAX: u32 = 191;

/// One frame, its delimiters taken off; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameBytes {
    pub bytes: Box<[u8]>,
    pub marks: Marks,
}

/// Cuts what is pushed into frames; any split of a stream into pushes gives the same frames.
///
/// Holds at most what was pushed last plus one frame, as long as `next` is asked until it says `None`.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: Vec<u8>,
    /// How much of `buffer` is framed already.
    taken: usize,
    /// How much of the unframed rest is known to hold no delimiter, so that drops of a byte stay cheap.
    searched: usize,
    mode: Mode,
    /// What all frames of this message have in common, and whether it was cut before.
    marks: Marks,
    /// The last byte taken ended a counted message: what follows at once shows whether the count was right.
    behind_count: bool,
    /// Whether NUL ends lines here. The first delimiter of a stream decides: behind LF, a NUL within a message
    /// is content, or whoever controls a message could make a second one of it.
    nul_ends: Option<bool>,
    /// No counts here: what looks like one is text.
    lines_only: bool,
    /// Nothing but NUL ends a message.
    nul_only: bool,
    closed: bool,
}

#[derive(Clone, Copy, Debug, Default)]
enum Mode {
    /// Between two messages: what comes decides.
    #[default]
    Start,
    /// In a line, possibly behind a part of it.
    Line,
    /// In a counted message of which so many bytes are still to come.
    Counted(usize),
    /// Behind a counted message, in what is the start of no other.
    Stray,
}

/// What the bytes at a message's start announce.
#[derive(Debug, PartialEq, Eq)]
enum Opening {
    Undecided,
    Line,
    Counted {
        header_len: usize,
        message_len: usize,
    },
    /// A count that none can be: zero, or above the bound.
    Impossible,
}

impl Framer {
    /// For bodies and files, where only LF ends a line and nothing is counted.
    pub fn lines() -> Self {
        Self { nul_ends: Some(false), lines_only: true, ..Self::default() }
    }

    /// For GELF, where only NUL ends a message and nothing is counted.
    pub fn nul() -> Self {
        Self { nul_only: true, ..Self::default() }
    }

    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The stream has ended: what is left unfinished comes out of `next` too.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// Whether something has come that is not framed yet.
    pub fn has_begun(&self) -> bool {
        !self.rest().is_empty() || !matches!(self.mode, Mode::Start)
    }

    /// The next whole frame, or `None` where more bytes are needed.
    #[expect(clippy::should_implement_trait, reason = "after a push it goes on: no iterator")]
    pub fn next(&mut self) -> Option<FrameBytes> {
        loop {
            let frame = match self.mode {
                Mode::Start => {
                    self.start()?;
                    continue;
                }
                Mode::Line => self.line()?,
                Mode::Counted(left) => self.counted(left)?,
                Mode::Stray => self.stray()?,
            };
            if !frame.bytes.is_empty() {
                return Some(frame);
            }
        }
    }

    fn rest(&self) -> &[u8] {
        self.buffer.get(self.taken..).unwrap_or_default()
    }

    /// Passes over delimiters between messages and decides how the next one is framed.
    fn start(&mut self) -> Option<()> {
        let delimiters = self.rest().iter().take_while(|byte| is_delimiter(**byte)).count();
        self.taken += delimiters;
        self.behind_count &= delimiters == 0;
        let Some(first) = self.rest().first().copied() else {
            // Nothing is kept: give the memory back, ten thousand quiet connections hold none.
            (self.buffer, self.taken) = (Vec::new(), 0);
            return None;
        };
        self.searched = 0;
        let opening = if self.lines_only || self.nul_only { Opening::Line } else { opening(self.rest()) };
        (self.mode, self.marks) = match opening {
            Opening::Undecided if !self.closed => return None,
            Opening::Undecided | Opening::Line if self.behind_count && first != b'<' => (Mode::Stray, Marks::COUNT),
            Opening::Undecided | Opening::Line => (Mode::Line, Marks::default()),
            Opening::Impossible => (Mode::Line, Marks::COUNT),
            Opening::Counted { header_len, message_len } => {
                self.taken += header_len;
                (Mode::Counted(message_len), Marks::default())
            }
        };
        self.behind_count = false;
        Some(())
    }

    fn line(&mut self) -> Option<FrameBytes> {
        // One byte past the bound is needed: it may be the delimiter, or the middle of a character.
        let window = self.rest().get(..=PAYLOAD_BYTES_MAX).unwrap_or(self.rest());
        let unsearched = window.get(self.searched..).unwrap_or_default();
        let end = match self.nul_ends {
            _ if self.nul_only => memchr::memchr(0, unsearched),
            Some(false) => memchr::memchr(b'\n', unsearched),
            Some(true) | None => memchr::memchr2(b'\n', 0, unsearched),
        };
        let window_len = window.len();
        if let Some(end) = end.map(|end| self.searched + end) {
            let frame = self.whole(end);
            let by_nul = self.rest().get(end) == Some(&0);
            self.nul_ends.get_or_insert(by_nul);
            self.taken += end + 1;
            self.mode = Mode::Start;
            return Some(frame);
        }
        if window_len > PAYLOAD_BYTES_MAX {
            return Some(self.part());
        }
        self.searched = window_len;
        self.closed.then(|| self.torn())
    }

    /// What a wrong count has left behind, up to a delimiter or to what looks like the start of a message.
    fn stray(&mut self) -> Option<FrameBytes> {
        let window = self.rest().get(..=PAYLOAD_BYTES_MAX).unwrap_or(self.rest());
        let window_len = window.len();
        match resume(window, self.searched) {
            Ok(end) => {
                let mut frame = self.whole(end);
                if frame.bytes.trim_ascii().is_empty() {
                    // A space between two messages is worth no frame.
                    frame.bytes = Box::default();
                }
                self.taken += end;
                self.mode = Mode::Start;
                Some(frame)
            }
            Err(_) if window_len > PAYLOAD_BYTES_MAX => Some(self.part()),
            Err(searched) => {
                self.searched = searched;
                self.closed.then(|| self.torn())
            }
        }
    }

    fn counted(&mut self, left: usize) -> Option<FrameBytes> {
        let available = self.rest().len();
        if left > PAYLOAD_BYTES_MAX && available > PAYLOAD_BYTES_MAX {
            let frame = self.part();
            self.mode = Mode::Counted(left - frame.bytes.len());
            return Some(frame);
        }
        if available < left && !self.closed {
            return None;
        }
        if available < left {
            return Some(self.torn());
        }
        let content = self.rest().get(..left).unwrap_or_default();
        // Never cut here, or who writes a message's text could make two of it. But it is said.
        if memchr::memchr_iter(b'\n', content).any(|at| starts_message(content.get(at + 1..).unwrap_or_default())) {
            self.marks = self.marks.and(Marks::COUNT);
        }
        let frame = self.whole(left);
        self.taken += left;
        self.mode = Mode::Start;
        self.behind_count = true;
        Some(frame)
    }

    /// The message's last frame, without the CR and NUL that some senders put before the delimiter.
    fn whole(&self, len: usize) -> FrameBytes {
        FrameBytes { bytes: trim_end(self.rest().get(..len).unwrap_or_default()).into(), marks: self.marks }
    }

    /// What the stream's end has left of a message. In a file or a body the last line may lack its newline.
    fn torn(&mut self) -> FrameBytes {
        let mut frame = self.whole(self.rest().len());
        if !self.lines_only {
            frame.marks = frame.marks.and(Marks::TORN);
        }
        self.taken = self.buffer.len();
        self.mode = Mode::Start;
        frame
    }

    /// The first part of a message that is too long for one frame; needs one byte more than the bound.
    fn part(&mut self) -> FrameBytes {
        let len = cut_at(self.rest(), PAYLOAD_BYTES_MAX);
        let bytes = self.rest().get(..len).unwrap_or_default().into();
        self.taken += len;
        self.searched = 0;
        let marks = self.marks.and(Marks::CUT);
        self.marks = self.marks.and(Marks::REST);
        FrameBytes { bytes, marks }
    }
}

/// Takes delimiters off the end of a message; datagrams have them too, now and then.
pub fn trim_end(bytes: &[u8]) -> &[u8] {
    let kept = bytes.iter().rposition(|byte| !is_delimiter(*byte)).map_or(0, |last| last + 1);
    bytes.get(..kept).unwrap_or_default()
}

fn is_delimiter(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r' | 0)
}

/// Whether a message is counted: `123 <1`, as every counted syslog message begins (RFC 6587, 3.4.1). A line that
/// merely starts with a number lacks the priority behind it.
fn opening(bytes: &[u8]) -> Opening {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits > OCTET_COUNT_DIGITS_MAX {
        return Opening::Line;
    }
    let leading_zero = bytes.first() == Some(&b'0');
    match bytes.get(digits..).unwrap_or_default() {
        [] => Opening::Undecided,
        [b' '] | [b' ', b'<'] if digits > 0 => Opening::Undecided,
        [b' ', b'<', b'0'..=b'9', ..] if digits > 0 => {
            let count = bytes.iter().take(digits).fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'));
            match count {
                1..=OCTET_COUNT_MAX if !leading_zero => Opening::Counted { header_len: digits + 1, message_len: count },
                _ => Opening::Impossible,
            }
        }
        _ => Opening::Line,
    }
}

/// Where, in what a wrong count left behind, the next message may start: at a delimiter, or at a priority with or
/// without a count before it. Where that is not to be seen yet: from where to look again.
fn resume(bytes: &[u8], from: usize) -> Result<usize, usize> {
    for at in memchr::memchr3_iter(b'\n', 0, b'<', bytes.get(from..).unwrap_or_default()).map(|at| from + at) {
        let (before, behind) = bytes.split_at(at);
        match priority(behind) {
            _ if behind.first() != Some(&b'<') => return Ok(at),
            Some(true) => return Ok(at - count_len(before)),
            Some(false) => {}
            None => return Err(at),
        }
    }
    Err(bytes.len())
}

/// The bytes at the end of `before` that are a count and its space.
fn count_len(before: &[u8]) -> usize {
    let Some(before) = before.strip_suffix(b" ") else { return 0 };
    match before.iter().rev().take_while(|byte| byte.is_ascii_digit()).count() {
        digits @ 1..=OCTET_COUNT_DIGITS_MAX => digits + 1,
        _ => 0,
    }
}

/// Whether the bytes start with a priority (RFC 5424, 6.2.1); `None` where they are too few to say.
fn priority(bytes: &[u8]) -> Option<bool> {
    let digits = bytes.iter().skip(1).take(3).take_while(|byte| byte.is_ascii_digit()).count();
    let number = bytes.iter().skip(1).take(digits).fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
    let next = bytes.get(1 + digits)?;
    Some(bytes.first() == Some(&b'<') && (1..=3).contains(&digits) && number <= PRIORITY_MAX && *next == b'>')
}

fn starts_message(bytes: &[u8]) -> bool {
    priority(bytes) == Some(true) || matches!(opening(bytes), Opening::Counted { .. })
}

/// Where to cut so that no UTF-8 character is torn: at `limit`, or up to three bytes before.
pub(super) fn cut_at(bytes: &[u8], limit: usize) -> usize {
    let is_inside = |at: usize| bytes.get(at).is_some_and(|byte| byte & 0b1100_0000 == 0b1000_0000);
    (limit.saturating_sub(3)..=limit).rev().find(|at| !is_inside(*at)).unwrap_or(limit)
}

#[cfg(test)]
mod nul_tests {
    use super::*;

    #[test]
    fn only_nul_ends_a_message_where_it_is_the_only_delimiter() {
        let mut framer = Framer::nul();
        framer.push(b"{\n  \"a\": 1\n}\0\0\n5 <13>x\0<13>y\nz");
        let mut next = || framer.next().map(|frame| String::from_utf8(frame.bytes.into()).unwrap());
        assert_eq!([next(), next(), next()], [Some("{\n  \"a\": 1\n}".to_owned()), Some("5 <13>x".to_owned()), None]);
        framer.close();
        let last = framer.next().unwrap();
        assert_eq!((last.bytes.as_ref(), last.marks), (&b"<13>y\nz"[..], Marks::TORN));
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    use super::*;

    fn frames(chunks: &[&[u8]]) -> Vec<FrameBytes> {
        let (mut framer, mut frames) = (Framer::default(), Vec::new());
        for chunk in chunks {
            framer.push(chunk);
            while let Some(frame) = framer.next() {
                frames.push(frame);
            }
        }
        framer.close();
        while let Some(frame) = framer.next() {
            frames.push(frame);
        }
        assert!(framer.rest().is_empty(), "all came out");
        frames
    }

    fn check(stream: &str, expected: Expect) {
        let frames = frames(&[stream.as_bytes()]);
        let lines = frames.iter().map(|frame| format!("{}{}", frame.bytes.escape_ascii(), marks(frame.marks)));
        expected.assert_eq(&lines.collect::<Vec<_>>().join(" | "));
    }

    /// As letters: cut, rest, (wrong) count, torn.
    fn marks(marks: Marks) -> String {
        let all = [(Marks::CUT, 'c'), (Marks::REST, 'r'), (Marks::COUNT, 'n'), (Marks::TORN, 't')];
        let set: String = all.into_iter().filter(|(mark, _)| marks.has(*mark)).map(|(_, letter)| letter).collect();
        if set.is_empty() { set } else { format!(" !{set}") }
    }

    #[test]
    fn lines() {
        check("<13>one\n<13>two\n", expect!["<13>one | <13>two"]);
        check("<13>one\r\n\r\n\n<13>two\r\n", expect!["<13>one | <13>two"]);
        check("no newline at the end", expect!["no newline at the end !t"]);
        check("", expect![""]);
        check("\n\r\n\0\n", expect![""]);
        check(
            "2026-11-21 a line that begins with digits\n7 <- so does this\n",
            expect!["2026-11-21 a line that begins with digits | 7 <- so does this"],
        );
        check("12\n", expect!["12"]);
        check("12 ", expect!["12  !t"]);
    }

    #[test]
    fn a_nul_ends_lines_only_where_it_did_so_first() {
        check("<13>one\0<13>two\0", expect!["<13>one | <13>two"]);
        check("<13>one\0<13>two\n<13>three\0", expect!["<13>one | <13>two | <13>three"]);
        check("<13>one\n\0<13>two\n\0", expect!["<13>one | <13>two"]);
        check("<13>one\0\n<13>two\0\n", expect!["<13>one | <13>two"]);
        check("<13>user=\n<13>user=x\0<13>forged\n", expect![r"<13>user= | <13>user=x\x00<13>forged"]);
    }

    #[test]
    fn counted_messages() {
        check("7 <13>one7 <13>two", expect!["<13>one | <13>two"]);
        check("8 <13>one\n7 <13>two\n", expect!["<13>one | <13>two"]);
        check("11 <13>one\ntwo<13>line\n7 <13>two", expect![r"<13>one\ntwo | <13>line | <13>two"]);
        check("20 <13>cut short", expect!["<13>cut short !t"]);
    }

    #[test]
    fn a_wrong_count_is_over_at_the_next_message() {
        // Too small, as from senders that count characters: the tail is a frame of its own.
        check("5 <13>hello\n7 <13>two", expect!["<13>h | ello !n | <13>two"]);
        check("8 <13>Grüße\n<13>two\n", expect![[r#"<13>Gr\xc3\xbc | \xc3\x9fe !n | <13>two"#]]);
        check("9 <13>Grüße9 <13>Süß11 <13>next!!", expect![[r#"<13>Gr\xc3\xbc\xc3 | \x9fe !n | <13>S\xc3\xbc\xc3\x9f | <13>next!! !t"#]]);
        check("5 <13>hello<14>two\n<15>three\n", expect!["<13>h | ello !n | <14>two | <15>three"]);
        check("5 <13>hello <a <1 <12345> <192> <99> 7 <13>two", expect!["<13>h | ello <a <1 <12345> <192>  !n | <99> 7 <13>two !t"]);
        check("5 <13>hello\0<13>two\n", expect!["<13>h | ello !n | <13>two"]);
        // Too large: what it swallowed is kept in the frame.
        check("12 <13>hello\n<13>two\n<13>three\n", expect![[r#"<13>hello\n<1 | 3>two !n | <13>three"#]]);
        check("20 <13>hello\n7 <13>two7 <13>three\n", expect![[r#"<13>hello\n7 <13>two7 !n | <13>three"#]]);
        // None at all.
        check("0 <13>hello\n", expect!["0 <13>hello !n"]);
        check("007 <13>hello\n", expect!["007 <13>hello !n"]);
        check("1048577 <13>hello\n7 <13>two", expect!["1048577 <13>hello !n | <13>two"]);
        check("99999999999999999999999 <13>hello\n", expect!["99999999999999999999999 <13>hello"]);
        check("-7 <13>hello\n", expect!["-7 <13>hello"]);
    }

    #[test]
    fn a_counted_message_is_not_cut_at_what_it_says() {
        check("21 <13>a\n<13>forged line7 <13>two", expect![[r#"<13>a\n<13>forged line !n | <13>two"#]]);
        check("23 <13>a\n7 <13>forged line7 <13>two", expect![[r#"<13>a\n7 <13>forged line !n | <13>two"#]]);
        check("26 <13>a\n\tat Main.java:7 <12>7 <13>two", expect![[r#"<13>a\n\tat Main.java:7 <12> | <13>two"#]]);
    }

    #[test]
    fn what_a_count_left_is_bounded_too() {
        let long = "x".repeat(2 * PAYLOAD_BYTES_MAX);
        let frames = frames(&[format!("5 <13>h{long}7 <13>two").as_bytes()]);
        let shape: Vec<_> = frames.iter().map(|frame| format!("{}{}", frame.bytes.len(), marks(frame.marks))).collect();
        expect!["5 65535 !cn 65535 !crn 7"].assert_eq(&shape.join(" "));
    }

    #[test]
    fn a_message_longer_than_a_frame_is_kept_in_parts() {
        let long = "x".repeat(2 * PAYLOAD_BYTES_MAX + 10);
        for stream in [format!("{long}\r\nnext\n"), format!("{} <13>{long}8 <13>next", long.len() + 4)] {
            let frames = frames(&[stream.as_bytes()]);
            let shape: Vec<_> = frames.iter().map(|frame| format!("{}{}", frame.bytes.len(), marks(frame.marks))).collect();
            let rest = frames[2].bytes.len();
            assert_eq!(shape.join(" "), format!("65535 !c 65535 !cr {rest} !r {}", frames[3].bytes.len()));
        }
        let exact = "x".repeat(PAYLOAD_BYTES_MAX);
        let shape: Vec<_> = frames(&[format!("{exact}\r\n{exact}\n").as_bytes()]).iter().map(|frame| frame.bytes.len()).collect();
        assert_eq!(shape, [PAYLOAD_BYTES_MAX; 2]);
    }

    #[test]
    fn an_endless_line_takes_no_memory() {
        let (mut framer, mut bytes) = (Framer::default(), 0);
        for _ in 0..4_096 {
            framer.push(&[b'x'; 16 * 1024]);
            bytes += std::iter::from_fn(|| framer.next()).map(|frame| frame.bytes.len()).sum::<usize>();
            assert!(framer.buffer.capacity() <= 4 * PAYLOAD_BYTES_MAX, "{}", framer.buffer.capacity());
        }
        assert!(bytes > 63 << 20);
    }

    #[test]
    fn a_cut_tears_no_character() {
        let long = "ü".repeat(PAYLOAD_BYTES_MAX);
        let parts = frames(&[long.as_bytes()]);
        assert!(parts.iter().all(|part| std::str::from_utf8(&part.bytes).is_ok()));
        assert_eq!(parts.iter().map(|part| part.bytes.len()).sum::<usize>(), long.len());
    }

    #[test]
    fn a_part_of_a_line_is_not_taken_for_a_count() {
        let stream = format!("{}7 <13>no count\n", "x".repeat(PAYLOAD_BYTES_MAX));
        assert_eq!(frames(&[stream.as_bytes()])[1].bytes.as_ref(), b"7 <13>no count");
    }

    /// Streams out of what framing looks at, and sometimes a run longer than a frame.
    fn stream() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            4 => "[a<>0-9 ]{0,12}".prop_map(String::into_bytes),
            3 => prop::sample::select(vec!["\n", "\r\n", "\0", "\n\0"]).prop_map(|text| text.as_bytes().to_vec()),
            2 => "[1-9]{1,2} <13>[a-z\n]{0,40}".prop_map(String::into_bytes),
            2 => "[1-9]{1,2} <[0-9]{1,4}>[a-zü<>0-9 ]{0,12}".prop_map(String::into_bytes),
            1 => prop::collection::vec(any::<u8>(), 0..20),
            1 => (60_000usize..140_000, any::<bool>()).prop_map(|(len, count)| {
                let mut bytes = if count { format!("{} <1", len + 2).into_bytes() } else { Vec::new() };
                bytes.resize(bytes.len() + len, b'y');
                bytes
            }),
        ];
        prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn any_split_gives_the_same_frames(stream in stream(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12), tiny in any::<bool>()) {
            let expected = frames(&[&stream]);
            // A split into single bytes is the hardest; long streams get it around their first bytes only.
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            if tiny {
                at.extend(0..stream.len().min(400));
            }
            at.extend([0, stream.len()]);
            at.sort_unstable();
            let chunks: Vec<&[u8]> = at.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect();
            prop_assert_eq!(frames(&chunks), expected);
        }

        #[test]
        fn frames_are_never_empty_nor_too_long(stream in stream()) {
            for frame in frames(&[&stream]) {
                prop_assert!((1..=PAYLOAD_BYTES_MAX).contains(&frame.bytes.len()));
            }
        }

        #[test]
        fn no_byte_is_lost_but_delimiters(lines in prop::collection::vec("[a-zäöü][ -~äöü]{0,60}", 0..20), ending in prop::sample::select(vec!["\n", "\r\n", "\0"]), counted in any::<u32>()) {
            let mut stream = String::new();
            for (at, line) in lines.iter().enumerate() {
                let message = format!("<13>{line}");
                if counted >> at & 1 == 1 {
                    stream.push_str(&format!("{} {message}", message.len()));
                } else {
                    stream.push_str(&format!("{message}{ending}"));
                }
            }
            let got: Vec<_> = frames(&[stream.as_bytes()]).iter().map(|frame| String::from_utf8(frame.bytes.to_vec()).unwrap()).collect();
            let expected: Vec<_> = lines.iter().map(|line| format!("<13>{line}")).collect();
            prop_assert_eq!(got, expected);
        }

        #[test]
        fn bytes_that_frame_nothing_all_come_through(stream in prop::collection::vec(any::<u8>().prop_filter("no digits: no counts", |byte| !byte.is_ascii_digit()), 0..300)) {
            let content = |bytes: &[u8]| bytes.iter().copied().filter(|byte| !is_delimiter(*byte)).collect::<Vec<_>>();
            let all: Vec<u8> = frames(&[&stream]).iter().flat_map(|frame| frame.bytes.to_vec()).collect();
            prop_assert_eq!(content(&all), content(&stream));
        }
    }
}
