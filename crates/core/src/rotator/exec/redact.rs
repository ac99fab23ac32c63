//! What a program says: owns that no line with a value is passed on. It knows values as they are and
//! in base64; what a program takes apart or encodes otherwise it cannot know.

use crate::secret::Secret;
use zeroize::Zeroizing;

/// Longest line, bytes; most lines of one call.
const LINE: usize = 1_024;
const LINES: usize = 50;
/// Lines of a value that are shorter than this are in every text.
const SHORTEST: usize = 8;

const HIDDEN: &str = "(a line that held a value, or was too long)";

pub(super) struct Redact<'a> {
    needles: Vec<Zeroizing<Vec<u8>>>,
    line: Zeroizing<Vec<u8>>,
    too_long: bool,
    lines: usize,
    says: &'a mut dyn FnMut(&str),
}

impl<'a> Redact<'a> {
    pub(super) fn new(values: &[Secret], says: &'a mut dyn FnMut(&str)) -> Self {
        let mut needles = Vec::new();
        for value in values {
            value.expose(|bytes| {
                let mut lines = bytes.split(|byte| *byte == b'\n');
                let one = bytes.strip_suffix(b"\n").unwrap_or(bytes);
                if !one.is_empty() && !one.contains(&b'\n') {
                    needles.push(Zeroizing::new(one.to_vec()));
                } else {
                    needles.extend(
                        lines
                            .by_ref()
                            .filter(|line| line.len() >= SHORTEST)
                            .map(|line| Zeroizing::new(line.to_vec())),
                    );
                }
            });
        }
        Self {
            needles,
            line: Zeroizing::new(Vec::with_capacity(LINE)),
            too_long: false,
            lines: 0,
            says,
        }
    }

    /// Takes the next bytes.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if *byte == b'\n' {
                self.say();
            } else if self.line.len() < LINE {
                self.line.push(*byte);
            } else {
                self.too_long = true;
            }
        }
    }

    /// Nothing more comes.
    pub(super) fn end(&mut self) {
        if !self.line.is_empty() {
            self.say();
        }
    }

    fn say(&mut self) {
        let line = std::mem::replace(&mut self.line, Zeroizing::new(Vec::with_capacity(LINE)));
        let too_long = std::mem::take(&mut self.too_long);
        self.lines += 1;
        if self.lines > LINES {
            return;
        }
        let holds = |needle: &Zeroizing<Vec<u8>>| {
            line.windows(needle.len())
                .any(|window| window == needle.as_slice())
        };
        if too_long || self.needles.iter().any(holds) {
            (self.says)(HIDDEN);
            return;
        }
        let text: String = String::from_utf8_lossy(&line)
            .chars()
            .map(|c| if c.is_control() && c != '\t' { '?' } else { c })
            .collect();
        (self.says)(&text);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn said(values: &[&[u8]], parts: &[&[u8]]) -> Vec<String> {
        let values: Vec<_> = values.iter().map(|value| Secret::new(value.to_vec())).collect();
        let mut out = Vec::new();
        let mut says = |line: &str| out.push(line.to_owned());
        let mut redact = Redact::new(&values, &mut says);
        parts.iter().for_each(|part| redact.take(part));
        redact.end();
        out
    }

    #[test]
    fn lines_with_a_value_are_not_passed_on() {
        let out = said(
            &[b"hunter2\n", b"-----BEGIN\nabcdefghij\n-----END\n"],
            &[b"connected\nwith hun", b"ter2 as x\nabcdef", b"ghij\nend\x1b"],
        );
        assert_eq!(out, ["connected", HIDDEN, HIDDEN, "end?"]);
    }

    #[test]
    fn what_is_too_long_or_too_much_is_left_out() {
        let long = vec![b'x'; 3_000];
        assert_eq!(said(&[b"value"], &[&long, b"value\nshort\n"]), [HIDDEN, "short"]);
        let many = b"line\n".repeat(200);
        assert_eq!(said(&[], &[&many]).len(), LINES);
    }
}
