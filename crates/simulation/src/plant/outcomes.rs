//! Where the outcomes of requests go.

use crate::moment::Moment;
use crate::outcomes::{Failure, Outcomes};

/// Where the outcomes go; its times count from the start of the load.
#[derive(Debug)]
pub(crate) struct Log<'a> {
    pub(crate) outcomes: &'a mut dyn Outcomes,
    pub(crate) load_start: Moment,
}

impl Log<'_> {
    pub(super) fn ok(&mut self, due: Moment, done: Moment, many: u64) {
        self.outcomes.ok(due.since(self.load_start), done.since(self.load_start), many);
    }

    pub(super) fn failed(&mut self, due: Moment, done: Moment, failure: Failure, many: u64) {
        let (due, done) = (due.since(self.load_start), done.since(self.load_start));
        self.outcomes.failed(due, done, failure, many);
    }

    pub(super) fn dropped(&mut self, due: Moment, many: u64) {
        self.outcomes.dropped(due.since(self.load_start), many);
    }
}
