//! Where requests come from: an open load, or threads that wait for answers.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use workload::{DueTimes, Stages, ThreadDelays};

use crate::moment::Moment;

/// Those who send requests.
#[derive(Debug)]
pub(crate) enum Clients {
    /// Requests are due whatever becomes of the others.
    Open(Open),
    /// What becomes of a request decides when the next one is due.
    Closed(Threads),
}

/// A request on its way through the plant; the one due first is the smallest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Request {
    pub(super) due: Moment,
    /// Which thread of its stage sent it; 0 in an open load.
    thread: usize,
}

/// The clients of an open load.
#[derive(Debug)]
pub(crate) struct Open {
    due_times: DueTimes,
    load_start: Moment,
    next: Option<Moment>,
}

/// The threads of a closed load.
#[derive(Debug)]
pub(crate) struct Threads {
    stages: Stages,
    seed: u64,
    /// Index of the stage that begins when the present one has ended.
    next_stage: usize,
    /// The delays of each thread that are still to come.
    delays: Vec<ThreadDelays>,
    /// The next request of each thread that waits to send one.
    next: BinaryHeap<Reverse<Request>>,
    /// Threads of the stage that have not ended.
    running: usize,
    over_at: Option<Moment>,
}

impl Clients {
    /// Clients whose first moment is `load_start`.
    pub(crate) fn open(due_times: DueTimes, load_start: Moment) -> Self {
        let mut open = Open { due_times, load_start, next: None };
        open.draw();
        Self::Open(open)
    }

    /// Threads whose first stage begins at `load_start`.
    pub(crate) fn closed(stages: Stages, seed: u64, load_start: Moment) -> Self {
        let mut threads = Threads {
            stages,
            seed,
            next_stage: 0,
            delays: Vec::new(),
            next: BinaryHeap::new(),
            running: 0,
            over_at: None,
        };
        threads.begin_stage(load_start);
        Self::Closed(threads)
    }

    /// When the next request is due; unknown while all threads wait for answers.
    pub(super) fn next_due(&self) -> Option<Moment> {
        match self {
            Self::Open(open) => open.next,
            Self::Closed(threads) => threads.next.peek().map(|Reverse(request)| request.due),
        }
    }

    /// The next request comes.
    pub(super) fn send(&mut self) -> Option<Request> {
        match self {
            Self::Open(open) => {
                let due = open.next?;
                open.draw();
                Some(Request { due, thread: 0 })
            }
            Self::Closed(threads) => threads.next.pop().map(|Reverse(request)| request),
        }
    }

    /// A request has ended, well or not: its thread may send the next one.
    pub(super) fn ended(&mut self, request: Request, at: Moment) {
        match self {
            Self::Open(_) => {}
            Self::Closed(threads) => threads.go_on(request.thread, at),
        }
    }

    /// When the last thread ended; unknown of an open load and before the end.
    pub(super) fn over_at(&self) -> Option<Moment> {
        match self {
            Self::Open(_) => None,
            Self::Closed(threads) => threads.over_at,
        }
    }
}

impl Open {
    fn draw(&mut self) {
        self.next = self.due_times.next().map(|due| self.load_start.after(due));
    }
}

impl Threads {
    #[cfg(test)]
    pub(super) fn stages(&self) -> &Stages {
        &self.stages
    }

    fn begin_stage(&mut self, now: Moment) {
        self.delays = self.stages.delays(self.seed, self.next_stage);
        self.next_stage += 1;
        self.running = self.delays.len();
        if self.running == 0 {
            self.over_at = Some(now);
        }
        for thread in 0..self.running {
            self.go_on(thread, now);
        }
    }

    /// A thread has its answer, or is new: it waits, or ends.
    fn go_on(&mut self, thread: usize, now: Moment) {
        if let Some(delay) = self.delays[thread].next() {
            self.next.push(Reverse(Request { due: now.after(delay), thread }));
            return;
        }
        self.running -= 1;
        if self.running == 0 {
            self.begin_stage(now);
        }
    }
}
