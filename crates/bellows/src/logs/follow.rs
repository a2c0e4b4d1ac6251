//! What of the newest lines was not shown before.

use std::time::Duration;

use model::output::OutputLine;
use model::time::Timestamp;

/// Between two looks. The scaler reads files for each.
pub(super) const PAUSE: Duration = Duration::from_millis(500);

/// How far the lines were shown. Several have the same moment, so those of the last one are known each.
#[derive(Debug)]
pub(super) struct Follow {
    since: Timestamp,
    /// The lines of that moment which are not to be shown any more.
    last: Vec<OutputLine>,
}

/// What is to be shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct New {
    /// Lines that were not shown before.
    pub(super) lines: Vec<OutputLine>,
    /// Whether there were more between these and those than one page holds.
    pub(super) missed: bool,
}

impl Follow {
    /// What comes after all of these, which were written up to now, since that moment.
    pub(super) fn after(written: &[OutputLine], since: Timestamp) -> Self {
        let mut follow = Self { since, last: Vec::new() };
        follow.remember(written);
        follow
    }

    /// From when on lines may be new.
    pub(super) const fn since(&self) -> Timestamp {
        self.since
    }

    /// Takes what of a page of `count` lines at most, all since then, is new.
    pub(super) fn new_of(&mut self, page: Vec<OutputLine>, count: usize) -> New {
        let missed = page.len() == count && page.first().is_some_and(|line| line.at > self.since);
        let mut known = self.last.clone();
        let is_new = |line: &OutputLine| {
            let place = known.iter().position(|known| known == line);
            place.map(|place| known.swap_remove(place)).is_none()
        };
        let lines: Vec<_> = page.into_iter().filter(is_new).collect();
        self.remember(&lines);
        New { lines, missed }
    }

    fn remember(&mut self, shown: &[OutputLine]) {
        let Some(newest) = shown.last() else { return };
        if newest.at > self.since {
            self.since = newest.at;
            self.last.clear();
        }
        self.last.extend(shown.iter().filter(|line| line.at == newest.at).cloned());
    }
}

#[cfg(test)]
mod tests {
    use model::output::Stream;

    use super::*;

    fn line(at: u64, text: &str) -> OutputLine {
        OutputLine {
            at: Timestamp::from_millis(at),
            instance: "bw-store-1-a".parse().unwrap(),
            stream: Stream::Stdout,
            text: text.to_owned(),
        }
    }

    fn texts(new: &New) -> Vec<&str> {
        new.lines.iter().map(|line| line.text.as_str()).collect()
    }

    #[test]
    fn each_line_is_shown_once_also_among_equals_of_one_moment() {
        let written = [line(1, "a"), line(2, "b"), line(2, "b")];
        let mut follow = Follow::after(&written, Timestamp::default());
        assert_eq!(follow.since(), Timestamp::from_millis(2));
        let page = || vec![line(2, "b"), line(2, "b"), line(2, "b"), line(2, "c")];
        assert_eq!(texts(&follow.new_of(page(), 9)), ["b", "c"]);
        assert!(texts(&follow.new_of(page(), 9)).is_empty());
        let mut later = page();
        later.push(line(5, "d"));
        assert_eq!(texts(&follow.new_of(later, 9)), ["d"]);
        assert_eq!(follow.since(), Timestamp::from_millis(5));
        assert!(texts(&follow.new_of(vec![line(5, "d")], 9)).is_empty());
    }

    #[test]
    fn where_nothing_was_written_since_a_moment_it_goes_on_from_there() {
        let mut follow = Follow::after(&[], Timestamp::from_millis(7));
        assert_eq!(follow.since(), Timestamp::from_millis(7));
        assert_eq!(texts(&follow.new_of(vec![line(7, "a"), line(8, "b")], 9)), ["a", "b"]);
    }

    #[test]
    fn lines_that_no_page_holds_are_told_to_be_missed() {
        let mut follow = Follow::after(&[], Timestamp::default());
        assert!(!follow.new_of(vec![line(1, "a")], 2).missed);
        assert!(!follow.new_of(vec![line(1, "a"), line(3, "b")], 2).missed);
        assert!(follow.new_of(vec![line(7, "x"), line(8, "y")], 2).missed);
    }
}
