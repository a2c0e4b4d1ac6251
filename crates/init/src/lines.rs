//! Cuts what a program writes into pieces that the kernel takes whole or not at all.

/// The most that a pipe takes in one piece (`PIPE_BUF`).
pub(crate) const PIECE_BYTES: usize = 4096;

/// What has come of a stream since its last line ended.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    begun: Vec<u8>,
}

impl Lines {
    /// Takes what has come, and hands on pieces: whole lines, as many as go together, and of a line that
    /// is longer than a piece the part that fills one.
    pub(crate) fn push(&mut self, mut bytes: &[u8], mut take: impl FnMut(&[u8])) {
        while !bytes.is_empty() {
            let room = PIECE_BYTES - 1 - self.begun.len();
            let (some, rest) = bytes.split_at(bytes.len().min(room));
            self.begun.extend_from_slice(some);
            bytes = rest;
            if let Some(end) = self.begun.iter().rposition(|byte| *byte == b'\n') {
                take(&self.begun[..=end]);
                self.begun.drain(..=end);
            } else if self.begun.len() == PIECE_BYTES - 1 {
                self.end(&mut take);
            }
        }
    }

    /// Hands on a line that has not ended, as one that has.
    pub(crate) fn end(&mut self, mut take: impl FnMut(&[u8])) {
        if !self.begun.is_empty() {
            self.begun.push(b'\n');
            take(&self.begun);
            self.begun.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(chunks: &[&[u8]]) -> Vec<Vec<u8>> {
        let (mut lines, mut pieces) = (Lines::default(), Vec::new());
        for chunk in chunks {
            lines.push(chunk, |piece| pieces.push(piece.to_vec()));
        }
        lines.end(|piece| pieces.push(piece.to_vec()));
        pieces
    }

    #[test]
    fn lines_stay_whole_and_the_last_one_is_ended() {
        assert_eq!(pieces(&[b"a\nb", b"c\nd"]), [b"a\n".to_vec(), b"bc\n".into(), b"d\n".into()]);
        assert_eq!(pieces(&[b"a\n\nb\n"]), [b"a\n\nb\n".to_vec()]);
        assert!(pieces(&[b""]).is_empty());
    }

    #[test]
    fn nothing_is_lost_and_no_piece_is_larger_than_the_kernel_takes_at_once() {
        let long = [vec![b'x'; 3 * PIECE_BYTES], b"\nshort\n".to_vec()].concat();
        let cut = pieces(&[&long]);
        assert!(cut.iter().all(|piece| piece.len() <= PIECE_BYTES && piece.ends_with(b"\n")));
        let content = |bytes: &[u8]| bytes.iter().filter(|byte| **byte != b'\n').count();
        assert_eq!(cut.iter().map(|piece| content(piece)).sum::<usize>(), content(&long));
        let many: Vec<u8> = (0..5000).flat_map(|n| format!("{n}\n").into_bytes()).collect();
        assert_eq!(pieces(&[&many]).concat(), many);
        assert!(pieces(&[&many]).len() < 10, "few writes for many lines");
    }
}
