//! The host's cores, which all that instances work on shares.
//!
//! As the kernel divides them: instances alike, none beyond what it may use, and within an instance its requests
//! alike, of which each keeps one core busy at most.

use std::collections::VecDeque;
use std::time::Duration;

use super::narrow;
use crate::moment::Moment;

/// The cores, and what is worked on.
#[derive(Debug)]
pub(super) struct Processors {
    cores: f64,
    /// Cores that one instance may use.
    cpus: f64,
    /// CPU time that a request takes, in seconds: the same for each, so that those of one instance end in the
    /// order in which they began.
    work_s: f64,
    /// Up to when everything has happened.
    now: Moment,
    /// By server.
    instances: Vec<Instance>,
    used_s: f64,
    next: Option<(Moment, usize)>,
}

/// What one instance works on.
#[derive(Debug, Default)]
struct Instance {
    /// CPU time that a request would have had that has been worked on for ever, in seconds.
    had_s: f64,
    requests: VecDeque<Work>,
    /// Cores that each of its requests has now.
    each: f64,
}

/// A request that is worked on.
#[derive(Debug, Clone, Copy)]
struct Work {
    place: usize,
    /// What `had_s` of its instance is when it is done.
    until_s: f64,
}

impl Processors {
    /// Cores on which nothing is worked.
    pub(super) fn new(cores: u32, cpus: f64, work: Duration) -> Self {
        Self {
            cores: f64::from(cores),
            cpus,
            work_s: work.as_secs_f64(),
            now: Moment::default(),
            instances: Vec::new(),
            used_s: 0.0,
            next: None,
        }
    }

    /// When the next request has had its CPU time.
    pub(super) fn next_end(&self) -> Option<Moment> {
        self.next.map(|(at, _)| at)
    }

    /// CPU time that was used up to `now`.
    pub(super) fn used(&self, now: Moment) -> Duration {
        let busy: f64 = self.instances.iter().map(|it| it.each * count(it.requests.len())).sum();
        Duration::from_secs_f64(self.used_s + busy * now.since(self.now).as_secs_f64())
    }

    /// The instance of a server begins to work on the request in `place`.
    pub(super) fn begin(&mut self, server: usize, place: usize, now: Moment) {
        self.advance(now);
        if self.instances.len() <= server {
            self.instances.resize_with(server + 1, Instance::default);
        }
        let instance = &mut self.instances[server];
        let until_s = instance.had_s + self.work_s;
        instance.requests.push_back(Work { place, until_s });
        self.divide();
    }

    /// The request whose CPU time is over at `now`: its server and its place there.
    pub(super) fn end(&mut self, now: Moment) -> Option<(usize, usize)> {
        let (_, server) = self.next.filter(|(at, _)| *at <= now)?;
        self.advance(now);
        let instance = &mut self.instances[server];
        let work = instance.requests.pop_front();
        if instance.requests.is_empty() {
            // A sum of weeks would lose the nanoseconds.
            instance.had_s = 0.0;
        }
        self.divide();
        work.map(|work| (server, work.place))
    }

    /// The instance of a server is gone.
    pub(super) fn forget(&mut self, server: usize, now: Moment) {
        self.advance(now);
        if let Some(instance) = self.instances.get_mut(server) {
            *instance = Instance::default();
        }
        self.divide();
    }

    fn advance(&mut self, now: Moment) {
        let seconds = now.since(self.now).as_secs_f64();
        self.now = self.now.max(now);
        for instance in &mut self.instances {
            instance.had_s += instance.each * seconds;
            self.used_s += instance.each * count(instance.requests.len()) * seconds;
        }
    }

    /// Divides the cores anew: whoever wants less than an equal share has it, and the others share the rest.
    fn divide(&mut self) {
        let cpus = self.cpus;
        let wants = |instance: &Instance| count(instance.requests.len()).min(cpus);
        let mut busy: Vec<usize> =
            (0..self.instances.len()).filter(|i| !self.instances[*i].requests.is_empty()).collect();
        busy.sort_by(|a, b| wants(&self.instances[*a]).total_cmp(&wants(&self.instances[*b])));
        let (mut left, mut next) = (self.cores, None);
        for (given, server) in busy.iter().enumerate() {
            let share = left / count(busy.len() - given);
            let instance = &mut self.instances[*server];
            let gets = wants(instance).min(share);
            left -= gets;
            instance.each = gets / count(instance.requests.len());
            next = next.into_iter().chain(instance.end(self.now, *server)).min();
        }
        self.next = next;
    }
}

impl Instance {
    /// When its oldest request is done, if nothing changes.
    fn end(&self, now: Moment, server: usize) -> Option<(Moment, usize)> {
        let missing_s = (self.requests.front()?.until_s - self.had_s).max(0.0);
        Some((now.after(Duration::from_secs_f64(missing_s / self.each)), server))
    }
}

fn count(many: usize) -> f64 {
    f64::from(narrow(many))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Moment {
        Moment::at(Duration::from_millis(ms))
    }

    /// When each of the requests ends that these servers begin at once, in milliseconds.
    fn ends(cores: u32, cpus: f64, servers: &[usize]) -> Vec<(u64, usize)> {
        let mut processors = Processors::new(cores, cpus, Duration::from_millis(30));
        for (place, server) in servers.iter().enumerate() {
            processors.begin(*server, place, ms(0));
        }
        let mut ends = Vec::new();
        while let Some(at) = processors.next_end() {
            let (server, _) = processors.end(at).unwrap();
            let millis = at.since(ms(0)).as_secs_f64() * 1e3;
            ends.push((format!("{millis:.0}").parse().unwrap(), server));
        }
        let used = processors.used(ms(10_000)).as_secs_f64();
        assert!((used - 0.03 * servers.len() as f64).abs() < 1e-6, "{used}");
        ends
    }

    #[test]
    fn requests_of_one_instance_share_what_it_may_use_and_each_has_one_core_at_most() {
        assert_eq!(ends(4, 1.0, &[0]), [(30, 0)]);
        assert_eq!(ends(4, 1.0, &[0, 0, 0]), [(90, 0); 3]);
        assert_eq!(ends(4, 2.0, &[0]), [(30, 0)]);
        assert_eq!(ends(4, 0.5, &[0]), [(60, 0)]);
    }

    #[test]
    fn instances_share_the_hosts_cores_alike() {
        assert_eq!(ends(2, 1.0, &[0, 1]), [(30, 0), (30, 1)]);
        assert_eq!(ends(1, 1.0, &[0, 1]), [(60, 0), (60, 1)]);
        // One of two requests and one of one: half a core each, until the first has ended.
        assert_eq!(ends(1, 1.0, &[0, 0, 1]), [(60, 1), (90, 0), (90, 0)]);
        // Who may use less leaves the rest to the others.
        // One core of three requests for 30 ms, and two for the 60 ms that they lack then.
        assert_eq!(ends(2, 2.0, &[0, 1, 1, 1]), [(30, 0), (60, 1), (60, 1), (60, 1)]);
    }

    #[test]
    fn what_an_instance_worked_on_is_lost_with_it() {
        let mut processors = Processors::new(1, 1.0, Duration::from_millis(30));
        processors.begin(0, 0, ms(0));
        processors.begin(1, 0, ms(0));
        processors.forget(0, ms(20));
        assert_eq!(processors.next_end(), Some(ms(40)));
        assert_eq!(processors.end(ms(40)), Some((1, 0)));
        assert_eq!(processors.next_end(), None);
    }
}
