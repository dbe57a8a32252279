//! The lines to send: read from files, brought to one length with what the files themselves say next (padding with one
//! letter would compress to nothing and flatter a receiver that compresses), and framed beforehand.

use std::path::Path;

use anyhow::Context as _;

/// Lines longer than this are no syslog that anybody sends; it bounds what a file of one line can make of memory.
const LINE_BYTES_MAX: usize = 65_000;
/// Read of a set of files; two hundred thousand lines of usual length.
const FILE_BYTES_MAX: usize = 64 << 20;

/// How a message is told from the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// The message alone: a datagram.
    Bare,
    /// RFC 6587, 3.4.2: a newline behind it.
    Newline,
    /// RFC 6587, 3.4.1: its length in front of it.
    Counted,
    /// What follows the transaction number of a RELP frame.
    Relp,
    /// A JSON object with the line as its message, and a newline.
    Ndjson,
}

/// Messages without framing.
#[derive(Debug)]
pub struct Lines(Vec<Vec<u8>>);

impl Lines {
    /// The lines of files (folders: all `.log` files below), each cut or continued to `len` bytes; 0 leaves their length.
    /// What has no syslog priority gets one.
    pub fn read(paths: &[impl AsRef<Path>], len: usize) -> anyhow::Result<Self> {
        let mut text = Vec::new();
        for path in paths {
            gather(path.as_ref(), &mut text)?;
        }
        Self::of(&String::from_utf8_lossy(&text), len)
    }

    pub fn of(text: &str, len: usize) -> anyhow::Result<Self> {
        // Control characters would be escaped by one receiver and not by the other.
        let clean = |line: &str| line.trim().replace(|c: char| c.is_control() || !c.is_ascii(), " ");
        let lines: Vec<String> = text.lines().map(clean).filter(|line| !line.is_empty()).collect();
        anyhow::ensure!(!lines.is_empty(), "there is no line to send");
        let mut messages = Vec::new();
        let mut rest = lines.iter();
        while let Some(line) = rest.next() {
            let mut message = Vec::with_capacity(len);
            if !line.starts_with('<') {
                message.extend_from_slice(b"<38>");
            }
            message.extend_from_slice(line.as_bytes());
            // Each line is used once: messages that share text would compress as no real ones do.
            while message.len() < len {
                let Some(next) = rest.next() else { break };
                message.push(b' ');
                message.extend_from_slice(next.as_bytes());
            }
            message.resize(if len > 0 { len } else { message.len().min(LINE_BYTES_MAX) }, b'.');
            // A blank at the end would be trimmed by receivers.
            if let Some(last @ b' ') = message.last_mut() {
                *last = b'.';
            }
            messages.push(message);
        }
        Ok(Self(mixed(messages)))
    }

    /// The share of one of so many connections: each says something of its own, or what they say at the same moment would
    /// compress as no real senders' lines do.
    pub fn framed(&self, framing: Framing, number: usize, of: usize) -> Stock {
        let mut stock = Stock { bytes: Vec::new(), ends: Vec::new() };
        let start = self.0.len() * number / of;
        let share = (self.0.len() * (number + 1) / of).saturating_sub(start).max(1);
        for line in self.0.iter().cycle().skip(start).take(share) {
            let bytes = &mut stock.bytes;
            match framing {
                Framing::Bare | Framing::Newline => {}
                Framing::Counted => bytes.extend_from_slice(format!("{} ", line.len()).as_bytes()),
                Framing::Relp => bytes.extend_from_slice(format!(" syslog {} ", line.len()).as_bytes()),
                Framing::Ndjson => bytes.extend_from_slice(b"{\"message\":"),
            }
            match framing {
                Framing::Ndjson => bytes.extend_from_slice(serde_json::Value::from(String::from_utf8_lossy(line)).to_string().as_bytes()),
                _ => bytes.extend_from_slice(line),
            }
            match framing {
                Framing::Bare | Framing::Counted => {}
                Framing::Newline | Framing::Relp => bytes.push(b'\n'),
                Framing::Ndjson => bytes.extend_from_slice(b"}\n"),
            }
            stock.ends.push(stock.bytes.len());
        }
        stock
    }
}

/// As a collector gets them: what one device said stands between what the others did, not behind one another as in its file.
fn mixed(mut messages: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let number = messages.len();
    // The golden section spreads neighbours evenly; without a common divisor every place comes once.
    let stride = ((number as f64 * 0.618) as usize..number).find(|stride| divisor(*stride, number) == 1).unwrap_or(1);
    (0..number).filter_map(|at| messages.get_mut(at * stride % number).map(std::mem::take)).collect()
}

fn divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { divisor(b, a % b) }
}

fn gather(path: &Path, text: &mut Vec<u8>) -> anyhow::Result<()> {
    let reading = || format!("read {}", path.display());
    if path.is_dir() {
        let mut below = Vec::new();
        for entry in std::fs::read_dir(path).with_context(reading)? {
            below.push(entry.with_context(reading)?.path());
        }
        below.sort_unstable();
        let is_log = |path: &Path| path.extension().is_some_and(|extension| extension == "log");
        return below.iter().filter(|path| path.is_dir() || is_log(path)).try_for_each(|path| gather(path, text));
    }
    text.extend(std::fs::read(path).with_context(reading)?);
    text.push(b'\n');
    anyhow::ensure!(text.len() <= FILE_BYTES_MAX, "more than {FILE_BYTES_MAX} bytes of lines");
    Ok(())
}

/// Framed messages behind one another, sent round and round.
#[derive(Debug)]
pub struct Stock {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Stock {
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Up to `number` messages from the one `at` on, as one piece; and how many they are, at least one.
    pub fn piece(&self, at: usize, number: usize) -> (&[u8], usize) {
        let at = at % self.len();
        let number = number.clamp(1, self.len() - at);
        let start = at.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        let end = self.ends.get(at + number - 1).copied().unwrap_or(start);
        (self.bytes.get(start..end).unwrap_or_default(), number)
    }

    pub fn one(&self, at: usize) -> &[u8] {
        self.piece(at, 1).0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "<13>eins\nzwei\tund\n\ndrei drei drei\nvier\nfünf\n";

    fn messages(lines: &Lines) -> Vec<String> {
        let mut all: Vec<_> = lines.0.iter().map(|line| String::from_utf8(line.clone()).unwrap()).collect();
        all.sort_unstable();
        all
    }

    #[test]
    fn lines_keep_their_length_or_are_brought_to_one() {
        assert_eq!(messages(&Lines::of(TEXT, 0).unwrap()), ["<13>eins", "<38>drei drei drei", "<38>f nf", "<38>vier", "<38>zwei und"]);
        assert_eq!(messages(&Lines::of(TEXT, 16).unwrap()), ["<13>eins zwei un", "<38>drei drei dr", "<38>vier f nf..."]);
        assert!(Lines::of("\n\n", 0).is_err());
    }

    #[test]
    fn every_message_is_sent_once_a_round_and_by_one_connection() {
        let text: String = (0..100).map(|number| format!("<13>line {number}\n")).collect();
        let lines = Lines::of(&text, 0).unwrap();
        let mut all = Vec::new();
        for number in 0..7 {
            let stock = lines.framed(Framing::Newline, number, 7);
            let mut at = 0;
            while at < stock.len() {
                let (piece, taken) = stock.piece(at, 3);
                all.extend_from_slice(piece);
                at += taken;
            }
        }
        let mut sent: Vec<_> = all.split_inclusive(|byte| *byte == b'\n').map(|line| String::from_utf8_lossy(line).into_owned()).collect();
        let mut expected: Vec<_> = text.split_inclusive('\n').map(str::to_owned).collect();
        sent.sort_unstable();
        expected.sort_unstable();
        assert_eq!(sent, expected);
    }

    #[test]
    fn framings() {
        let lines = Lines::of("<13>a \"b\"", 0).unwrap();
        let framed = |framing| String::from_utf8(lines.framed(framing, 0, 1).one(0).to_vec()).unwrap();
        assert_eq!(framed(Framing::Bare), "<13>a \"b\"");
        assert_eq!(framed(Framing::Newline), "<13>a \"b\"\n");
        assert_eq!(framed(Framing::Counted), "9 <13>a \"b\"");
        assert_eq!(framed(Framing::Relp), " syslog 9 <13>a \"b\"\n");
        assert_eq!(framed(Framing::Ndjson), "{\"message\":\"<13>a \\\"b\\\"\"}\n");
    }
}
