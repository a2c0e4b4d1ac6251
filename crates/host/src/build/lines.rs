//! What a build or a rehearsal writes, as lines that can be shown: each and all of them bounded, and harmless on a terminal.

use std::collections::VecDeque;

use model::output::harmless;

/// A longer line is cut.
const LINE_BYTES: usize = 1000;

/// How many of the last lines are kept, for the message of a build that failed.
const TAIL_LINES: usize = 20;

/// Splits what comes into lines.
#[derive(Debug)]
pub(crate) struct Lines {
    /// What came since the last end of a line, up to a bound.
    begun: Vec<u8>,
    /// How many bytes may still be given.
    left: usize,
    is_over: bool,
    tail: VecDeque<String>,
}

impl Lines {
    /// Of which this many bytes are given at most.
    pub(crate) fn new(bytes: usize) -> Self {
        let tail = VecDeque::with_capacity(TAIL_LINES);
        Self { begun: Vec::new(), left: bytes, is_over: false, tail }
    }

    /// Takes what came, and gives the lines that are whole.
    pub(crate) fn push(&mut self, bytes: &[u8], give: &mut impl FnMut(&str)) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, is_whole) =
                piece.strip_suffix(b"\n").map_or((piece, false), |it| (it, true));
            // One byte more than a line, which says that it is cut.
            let room = (LINE_BYTES + 1).saturating_sub(self.begun.len());
            self.begun.extend_from_slice(&text[..text.len().min(room)]);
            if is_whole {
                self.end(give);
            }
        }
    }

    /// Gives the line that was begun, if there is one: nothing more comes.
    pub(crate) fn finish(&mut self, give: &mut impl FnMut(&str)) {
        if !self.begun.is_empty() {
            self.end(give);
        }
    }

    /// Whether no more is given, whatever comes.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    /// The last lines, given or not.
    pub(crate) fn tail(&self) -> String {
        self.tail.iter().map(|line| format!("\n    {line}")).collect()
    }

    fn end(&mut self, give: &mut impl FnMut(&str)) {
        let line = shown(&self.begun);
        self.begun.clear();
        if self.tail.len() == TAIL_LINES {
            self.tail.pop_front();
        }
        if !self.is_over {
            match self.left.checked_sub(line.len() + 1) {
                Some(left) => {
                    self.left = left;
                    give(&line);
                }
                None => {
                    self.is_over = true;
                    give("bellows: it writes more than is shown; what follows is left out");
                }
            }
        }
        self.tail.push_back(line);
    }
}

/// A line as a terminal would leave it: of what is written over itself, as progress is, the last.
fn shown(bytes: &[u8]) -> String {
    let (bytes, end) = match bytes.len() > LINE_BYTES {
        true => (&bytes[..LINE_BYTES], "..."),
        false => (bytes, ""),
    };
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_end_matches('\r');
    let last = text.rsplit('\r').next().unwrap_or_default();
    harmless(last) + end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(limit: usize, pieces: &[&[u8]]) -> (Vec<String>, String) {
        let (mut lines, mut given) = (Lines::new(limit), Vec::new());
        let mut give = |line: &str| given.push(line.to_owned());
        for piece in pieces {
            lines.push(piece, &mut give);
        }
        lines.finish(&mut give);
        (given, lines.tail())
    }

    #[test]
    fn lines_come_whole_however_they_are_written() {
        let (lines, _) = given(1000, &[b"one\ntw", b"o\r\n\nthr", b"ee"]);
        assert_eq!(lines, ["one", "two", "", "three"]);
    }

    #[test]
    fn what_would_do_something_on_a_terminal_is_harmless() {
        let (lines, _) = given(1000, &[b"\x1b[2J\xff\n 10%\r 20%\r\n"]);
        assert_eq!(lines, ["\\u{1b}[2J\u{fffd}", " 20%"]);
    }

    #[test]
    fn a_line_and_all_of_them_are_bounded_and_the_last_are_kept() {
        let long = [b'x'; 100_000];
        let (lines, tail) = given(2_500, &[&long, b"\n", &long, b"\n", &long, b"\nlast\n"]);
        assert_eq!(lines.iter().map(String::len).collect::<Vec<_>>(), [1_003, 1_003, 63]);
        assert!(lines[2].starts_with("bellows: it writes more"), "{}", lines[2]);
        assert!(tail.ends_with("...\n    last"), "{tail}");
        let many: Vec<u8> = (0..100).flat_map(|n| format!("{n}\n").into_bytes()).collect();
        let (_, tail) = given(0, &[&many]);
        assert!(tail.starts_with("\n    80\n") && tail.ends_with("\n    99"), "{tail}");
    }
}
