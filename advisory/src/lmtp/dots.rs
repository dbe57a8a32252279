//! Where a text ends (RFC 5321, 4.5.2). Only CR LF dot CR LF ends it: whoever takes a bare LF for a line's end lets others
//! smuggle a second mail into the first.

/// Takes the doubled dots out of a text that comes in parts.
#[derive(Debug, Default)]
pub(super) struct Dots(At);

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum At {
    #[default]
    LineStart,
    Text,
    /// Behind a CR.
    Cr,
    /// Behind a dot at a line's start.
    Dot,
    DotCr,
    End,
}

impl Dots {
    /// Appends what of `part` is text to `out`; says how much of it was used, which is less than all only at the end.
    pub(super) fn feed(&mut self, part: &[u8], out: &mut Vec<u8>) -> usize {
        for (n, byte) in part.iter().enumerate() {
            self.0 = match (self.0, byte) {
                (At::End, _) => return n,
                (At::LineStart, b'.') => At::Dot,
                (At::Dot, b'\r') => At::DotCr,
                (At::DotCr, b'\n') => {
                    self.0 = At::End;
                    return n + 1;
                }
                (At::Cr, b'\n') => {
                    out.push(b'\n');
                    At::LineStart
                }
                (at, byte) => {
                    if at == At::DotCr {
                        out.push(b'\r');
                    }
                    out.push(*byte);
                    if *byte == b'\r' { At::Cr } else { At::Text }
                }
            };
        }
        part.len()
    }

    pub(super) fn ended(&self) -> bool {
        self.0 == At::End
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(wire: &[u8]) -> (Vec<u8>, usize, bool) {
        let (mut dots, mut out) = (Dots::default(), Vec::new());
        let used = dots.feed(wire, &mut out);
        (out, used, dots.ended())
    }

    #[test]
    fn a_text_ends_with_a_dot_alone_and_nothing_else() {
        for (wire, text, ended) in [
            ("a\r\n.\r\n", "a\r\n", true),
            (".\r\n", "", true),
            ("..\r\n.\r\n", ".\r\n", true),
            ("a\n.\n", "a\n.\n", false),
            ("a\n.\r\n", "a\n.\r\n", false),
            ("a\r.\r\n", "a\r.\r\n", false),
            ("a\r\n.\n", "a\r\n\n", false),
            ("a\r\n.\rb\r\n.\r\n", "a\r\n\rb\r\n", true),
            ("a.\r\n.\r\n", "a.\r\n", true),
        ] {
            let (out, _, end) = read(wire.as_bytes());
            assert_eq!((String::from_utf8(out).unwrap().as_str(), end), (text, ended), "{wire:?}");
        }
    }

    proptest! {
        #[test]
        fn what_was_doubled_comes_out_as_it_was_however_it_is_cut(lines in proptest::collection::vec("[.a\r]{0,4}", 0..8), cut in 1_usize..9) {
            // A line must not end in CR, which would join with its end.
            let lines: Vec<String> = lines.into_iter().map(|line| line.trim_end_matches('\r').to_owned()).collect();
            let text: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
            let doubled = |line: &String| if line.starts_with('.') { format!(".{line}\r\n") } else { format!("{line}\r\n") };
            let wire = lines.iter().map(doubled).collect::<String>() + ".\r\nQUIT\r\n";
            let (mut dots, mut out, mut used) = (Dots::default(), Vec::new(), 0);
            for part in wire.as_bytes().chunks(cut) {
                used += dots.feed(part, &mut out);
                if dots.ended() {
                    break;
                }
            }
            prop_assert_eq!(String::from_utf8(out).unwrap(), text);
            prop_assert_eq!(&wire[used..], "QUIT\r\n");
        }
    }
}
