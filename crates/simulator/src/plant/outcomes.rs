//! Where the outcomes of requests go.

use run::Recorder;

use super::rules::Failure;
use crate::moment::Moment;

/// Where the outcomes go; its times count from the start of the load.
#[derive(Debug)]
pub(crate) struct Log<'a> {
    pub(crate) recorder: &'a mut Recorder,
    pub(crate) load_start: Moment,
}

impl Log<'_> {
    pub(super) fn ok(&mut self, due: Moment, done: Moment, many: u64) {
        self.recorder.ok(due.since(self.load_start), done.since(self.load_start), many);
    }

    pub(super) fn failed(&mut self, due: Moment, done: Moment, failure: Failure, many: u64) {
        let (cause, rejected) = match failure {
            Failure::Timeout => ("timeout", false),
            Failure::Limited => ("status_429", true),
            Failure::NoServer => ("status_503", true),
            Failure::Wrong => ("status_500", false),
            Failure::Stopped => ("status_502", false),
        };
        let (due, done) = (due.since(self.load_start), done.since(self.load_start));
        self.recorder.failed(due, done, cause, rejected, many);
    }

    pub(super) fn dropped(&mut self, due: Moment) {
        self.recorder.dropped(due.since(self.load_start), 1);
    }
}
