//! Takes a RELP stream apart into frames: `TXNR SP COMMAND SP DATALEN [SP DATA] LF`. Pure: no socket, no clock. It checks what
//! every frame must be, numbers in sequence included; what a dialog may say when, `relp` knows.

use nom::branch::alt;
use nom::bytes::streaming::{tag, take_while_m_n};
use nom::combinator::peek;
use nom::{IResult, Parser as _};

use crate::frame::{Marks, PAYLOAD_BYTES_MAX};

/// Nine digits; behind it numbers begin with 1 again.
const TXNR_MAX: u32 = 999_999_999;
const TXNR_DIGITS_MAX: usize = 9;
const COMMAND_BYTES_MAX: usize = 32;
/// The longest message, kept in parts. Senders' own bound is 128 KiB unless they are told otherwise.
pub(super) const MESSAGE_BYTES_MAX: usize = 1_048_576;
/// Other commands carry a few lines of offers.
const OFFERS_BYTES_MAX: usize = 4_096;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum RelpError {
    #[error("this is no RELP frame")]
    NoFrame,
    #[error("a frame may have {max} bytes, not {len}")]
    TooLong { len: usize, max: usize },
    #[error("the frame does not end where its length says")]
    NoTrailer,
    #[error("transaction {expected} was next, not {got}")]
    OutOfOrder { expected: u32, got: u32 },
    #[error("the session is not open yet")]
    NotOpened,
    #[error("the session is open already")]
    OpenedTwice,
    #[error("unknown command")]
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Open,
    Syslog,
    Close,
    Other,
}

/// A frame, or a part of one whose message is longer than ours may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) txnr: u32,
    pub(super) command: Command,
    pub(super) data: Box<[u8]>,
    pub(super) marks: Marks,
    /// The frame ends with it: it wants an answer.
    pub(super) last: bool,
}

/// Takes what is pushed apart; any split of a stream into pushes gives the same parts. Holds at most what was pushed
/// last plus one part, as long as `next` is asked until it says `None`.
#[derive(Debug, Default)]
pub(super) struct Parser {
    buffer: Vec<u8>,
    /// How much of `buffer` is done.
    taken: usize,
    /// The frame whose data are coming: what of it is still to come, and how its next part is marked.
    head: Option<(Head, Marks)>,
    /// The number of the last frame in order; 0 before the first.
    txnr: u32,
    /// Whom an error is about.
    current: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head {
    txnr: u32,
    command: Command,
    len: usize,
}

impl Parser {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The number of the frame that is being read, or that was expected where none can be read: an error is answered
    /// to it.
    pub(super) fn current(&self) -> u32 {
        self.current
    }

    /// Whether a part of a frame has come.
    pub(super) fn has_begun(&self) -> bool {
        self.head.is_some() || self.taken < self.buffer.len()
    }

    /// The next part, or `None` where more bytes are needed.
    ///
    /// # Errors
    /// What is wrong with the stream; there is nothing to be had of it any more.
    pub(super) fn next(&mut self) -> Result<Option<Part>, RelpError> {
        let (head, marks) = match self.head.take() {
            Some(begun) => begun,
            None => match self.header()? {
                Some(head) => (head, Marks::default()),
                None => return Ok(None),
            },
        };
        let Head { txnr, command, len } = head;
        let rest = self.buffer.get(self.taken..).unwrap_or_default();
        if len > PAYLOAD_BYTES_MAX && rest.len() > PAYLOAD_BYTES_MAX {
            let data = rest.get(..PAYLOAD_BYTES_MAX).unwrap_or_default().into();
            self.taken += PAYLOAD_BYTES_MAX;
            self.head = Some((Head { len: len - PAYLOAD_BYTES_MAX, ..head }, Marks::REST));
            return Ok(Some(Part { txnr, command, data, marks: marks.and(Marks::CUT), last: false }));
        }
        let Some((data, [end, ..])) = rest.split_at_checked(len) else {
            self.head = Some((head, marks));
            return Ok(None);
        };
        if *end != b'\n' {
            return Err(RelpError::NoTrailer);
        }
        let data = data.into();
        self.taken += len + 1;
        Ok(Some(Part { txnr, command, data, marks, last: true }))
    }

    fn header(&mut self) -> Result<Option<Head>, RelpError> {
        let rest = self.buffer.get(self.taken..).unwrap_or_default();
        if rest.is_empty() {
            // Nothing is kept: give the memory back, ten thousand quiet sessions hold none.
            (self.buffer, self.taken) = (Vec::new(), 0);
            return Ok(None);
        }
        let expected = if self.txnr == TXNR_MAX { 1 } else { self.txnr + 1 };
        self.current = expected;
        let (behind, head) = match header(rest) {
            Ok(parsed) => parsed,
            Err(nom::Err::Incomplete(_)) => return Ok(None),
            Err(_) => return Err(RelpError::NoFrame),
        };
        self.current = head.txnr;
        let max = if head.command == Command::Syslog { MESSAGE_BYTES_MAX } else { OFFERS_BYTES_MAX };
        if head.len > max {
            return Err(RelpError::TooLong { len: head.len, max });
        }
        if head.txnr != expected {
            return Err(RelpError::OutOfOrder { expected, got: head.txnr });
        }
        self.taken += rest.len() - behind.len();
        self.txnr = head.txnr;
        Ok(Some(head))
    }
}

/// All before the data. Without data the space before the end may be missing, and is in rsyslog's frames.
fn header(input: &[u8]) -> IResult<&[u8], Head> {
    let (rest, (txnr, _, command, _, len)) = (number, tag(" "), command, tag(" "), number).parse(input)?;
    let (rest, _) = if len == 0 { alt((tag(" "), peek(tag("\n")))).parse(rest)? } else { tag(" ").parse(rest)? };
    Ok((rest, Head { txnr, command, len: usize::try_from(len).unwrap_or(usize::MAX) }))
}

fn number(input: &[u8]) -> IResult<&[u8], u32> {
    let digits = take_while_m_n(1, TXNR_DIGITS_MAX, |byte: u8| byte.is_ascii_digit());
    digits.map(|digits: &[u8]| digits.iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'))).parse(input)
}

fn command(input: &[u8]) -> IResult<&[u8], Command> {
    let name = take_while_m_n(1, COMMAND_BYTES_MAX, |byte: u8| byte.is_ascii_alphabetic());
    let known = |name: &[u8]| match name {
        b"open" => Command::Open,
        b"syslog" => Command::Syslog,
        b"close" => Command::Close,
        _ => Command::Other,
    };
    name.map(known).parse(input)
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    use super::*;

    /// The parts of a stream, and what ended it where something was wrong.
    fn parts(chunks: &[&[u8]]) -> (Vec<Part>, Option<RelpError>) {
        let (mut parser, mut parts) = (Parser::default(), Vec::new());
        for chunk in chunks {
            parser.push(chunk);
            loop {
                match parser.next() {
                    Ok(Some(part)) => parts.push(part),
                    Ok(None) => break,
                    Err(error) => return (parts, Some(error)),
                }
            }
            assert!(parser.buffer.len() - parser.taken <= PAYLOAD_BYTES_MAX + 60, "bounded");
        }
        (parts, None)
    }

    fn check(stream: &str, expected: Expect) {
        let (parts, error) = parts(&[stream.as_bytes()]);
        let mut lines: Vec<_> =
            parts.iter().map(|Part { txnr, command, data, .. }| format!("{txnr} {command:?} {}", data.escape_ascii())).collect();
        lines.extend(error.map(|error| format!("! {error}")));
        expected.assert_eq(&lines.join("\n"));
    }

    #[test]
    fn a_session_as_rsyslog_speaks_it() {
        let offers = "relp_version=0\nrelp_software=librelp,1.11.0,http://librelp.adiscon.com\ncommands=syslog";
        let open = format!("1 open {} {offers}\n", offers.len());
        check(
            &format!("{open}2 syslog 7 <13>one\n3 syslog 8 <13>two\n\n4 close 0\n"),
            expect![[r#"
            1 Open relp_version=0\nrelp_software=librelp,1.11.0,http://librelp.adiscon.com\ncommands=syslog
            2 Syslog <13>one
            3 Syslog <13>two\n
            4 Close "#]],
        );
    }

    #[test]
    fn frames_with_and_without_data() {
        check(
            "1 syslog 0\n2 syslog 0 \n3 syslog 1 x\n4 sys",
            expect![[r#"
            1 Syslog 
            2 Syslog 
            3 Syslog x"#]],
        );
        check("1 syslog 5 a\nb\nc\n", expect![[r#"1 Syslog a\nb\nc"#]]);
        check("1 starttls 0\n", expect!["1 Other "]);
    }

    #[test]
    fn what_is_no_frame() {
        for stream in [
            "GET / HTTP/1.1\r\n",
            "<13>a line\n",
            "\n",
            "-1 syslog 1 x\n",
            "1  syslog 1 x\n",
            "1 sys_log 1 x\n",
            "1 aaaaaaaaaabbbbbbbbbbccccccccccddd 0\n",
            "1 syslog x\n",
            "1 syslog 1\nx\n",
            "1 syslog 0x\n",
            "1234567890 syslog 0\n",
            "1 syslog 1234567890 x\n",
            "\u{16}\u{3}\u{1}\u{2}",
        ] {
            assert_eq!(parts(&[stream.as_bytes()]), (vec![], Some(RelpError::NoFrame)), "{stream:?}");
        }
    }

    #[test]
    fn what_a_frame_must_keep_to() {
        check("1 syslog 1 xy\n", expect!["! the frame does not end where its length says"]);
        check(
            "1 syslog 1 x\n3 syslog 1 x\n",
            expect![[r#"
            1 Syslog x
            ! transaction 2 was next, not 3"#]],
        );
        check(
            "1 syslog 1 x\n1 syslog 1 x\n",
            expect![[r#"
            1 Syslog x
            ! transaction 2 was next, not 1"#]],
        );
        check("0 syslog 1 x\n", expect!["! transaction 1 was next, not 0"]);
        check("2 open 0\n", expect!["! transaction 1 was next, not 2"]);
        check("1 syslog 1048577 x\n", expect!["! a frame may have 1048576 bytes, not 1048577"]);
        check("1 open 4097 x\n", expect!["! a frame may have 4096 bytes, not 4097"]);
    }

    #[test]
    fn numbers_begin_again() {
        let mut parser = Parser { txnr: TXNR_MAX - 1, ..Parser::default() };
        parser.push(b"999999999 syslog 1 x\n1 syslog 1 y\n");
        let numbers: Vec<_> = std::iter::from_fn(|| parser.next().unwrap()).map(|part| part.txnr).collect();
        assert_eq!(numbers, [TXNR_MAX, 1]);
    }

    #[test]
    fn a_long_message_comes_in_parts() {
        let long = "x".repeat(2 * PAYLOAD_BYTES_MAX + 3);
        let (parts, error) = parts(&[format!("1 syslog {} {long}\n2 syslog 1 y\n", long.len()).as_bytes()]);
        assert_eq!(error, None);
        let shape: Vec<_> = parts.iter().map(|part| (part.txnr, part.data.len(), part.marks, part.last)).collect();
        let (cut, rest) = (Marks::CUT, Marks::REST);
        assert_eq!(
            shape,
            [
                (1, PAYLOAD_BYTES_MAX, cut, false),
                (1, PAYLOAD_BYTES_MAX, rest.and(cut), false),
                (1, 3, rest, true),
                (2, 1, Marks::default(), true)
            ]
        );
    }

    fn stream() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            6 => ("[a-z]{1,8}|syslog", "(?s).{0,40}").prop_map(|(command, data)| (command, data.into_bytes())),
            1 => (60_000usize..140_000).prop_map(|len| ("syslog".to_owned(), vec![b'x'; len])),
        ];
        let garbage = prop::collection::vec(any::<u8>(), 0..10);
        (prop::collection::vec(piece, 0..8), garbage).prop_map(|(frames, garbage)| {
            let mut stream = Vec::new();
            for (at, (command, data)) in frames.iter().enumerate() {
                stream.extend_from_slice(format!("{} {command} {} ", at + 1, data.len()).as_bytes());
                stream.extend_from_slice(data);
                stream.push(b'\n');
            }
            [stream, garbage].concat()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn any_split_gives_the_same_parts(stream in stream(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12), tiny in any::<bool>()) {
            let expected = parts(&[&stream]);
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            if tiny {
                at.extend(0..stream.len().min(400));
            }
            at.extend([0, stream.len()]);
            at.sort_unstable();
            let chunks: Vec<&[u8]> = at.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect();
            prop_assert_eq!(parts(&chunks), expected);
        }
    }
}
