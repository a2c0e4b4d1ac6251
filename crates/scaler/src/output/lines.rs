//! Cuts what comes of a stream into lines.

/// The longest line that is kept whole. A longer one is cut.
const LINE_BYTES: usize = 4096;

/// What has come of a stream since its last line ended.
#[derive(Debug, Default)]
pub(super) struct Lines {
    begun: Vec<u8>,
}

impl Lines {
    /// Takes what has come, and hands on each line that has ended or is too long.
    pub(super) fn push(&mut self, bytes: &[u8], mut take: impl FnMut(String)) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.begun.extend_from_slice(piece);
            while self.begun.len() > LINE_BYTES {
                let rest = self.begun.split_off(LINE_BYTES);
                self.end(&mut take);
                self.begun = rest;
            }
            if piece.ends_with(b"\n") {
                self.begun.pop();
                let line = std::mem::take(&mut self.begun);
                take(String::from_utf8_lossy(&line).into_owned());
            }
        }
    }

    /// Hands on a line that has not ended.
    pub(super) fn end(&mut self, mut take: impl FnMut(String)) {
        if !self.begun.is_empty() {
            let line = std::mem::take(&mut self.begun);
            take(String::from_utf8_lossy(&line).into_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(chunks: &[&[u8]]) -> Vec<String> {
        let (mut lines, mut taken) = (Lines::default(), Vec::new());
        for chunk in chunks {
            lines.push(chunk, |line| taken.push(line));
        }
        lines.end(|line| taken.push(line));
        taken
    }

    #[test]
    fn lines_come_whole_however_they_were_cut_on_the_way() {
        assert_eq!(lines(&[b"a\nb", b"c\n\nd"]), ["a", "bc", "", "d"]);
        assert_eq!(lines(&[b"\xff\n"]), ["\u{fffd}"]);
        assert!(lines(&[b""]).is_empty());
    }

    #[test]
    fn a_line_without_an_end_takes_no_memory_without_end() {
        let long = vec![b'x'; 10 * LINE_BYTES];
        let cut = lines(&[&long, b"\n"]);
        assert!(cut.iter().all(|line| line.len() <= LINE_BYTES));
        assert_eq!(cut.concat().len(), long.len());
        // A line that just fits is one.
        let fits = [vec![b'x'; LINE_BYTES - 1], b"\n".to_vec()].concat();
        assert_eq!(lines(&[&fits]).len(), 1);
    }
}
