//! The plant request by request: arrivals, timeouts and completions in the order of their moments.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use model::names::Slot;
use model::watch::Answers;
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;

use super::clients::{Clients, Request};
use super::outcomes::Log;
use super::processors::Processors;
use super::rules::Rules;
use super::server::Server;
use super::{Counters, Plant, Statistics, narrow};
use crate::moment::Moment;
use crate::outcomes::Failure;

/// HAProxy in front of instances: `roundrobin` over those with a free place, and one queue for what
/// finds none, also while there is no instance at all. (The real one then tries again every 100 ms.)
#[derive(Debug)]
pub(crate) struct RequestPlant {
    rules: Rules,
    rng: Xoshiro256PlusPlus,
    clients: Clients,
    /// By slot.
    servers: Vec<Server>,
    /// Those in rotation, in the order in which they came; the next request goes to `turn`.
    rotation: Vec<usize>,
    turn: usize,
    /// Free places of those in rotation.
    free_places: u32,
    /// Waiting requests, the oldest first.
    queue: VecDeque<Request>,
    steps: BinaryHeap<Reverse<Step>>,
    /// Where instances share the host's cores.
    processors: Option<Processors>,
    /// Up to when everything has happened.
    now: Moment,
    steps_set: u64,
    in_flight: usize,
    counters: Counters,
}

/// What becomes of a request in an instance next; the earliest is the smallest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Step {
    at: Moment,
    /// Of two at one moment the one that was set first is first.
    order: u64,
    server: usize,
    generation: u32,
    place: usize,
    next: Next,
}

/// A step of a request in an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    /// It has its token: the instance begins to work on it.
    Work,
    /// It ends.
    End(Option<Failure>),
}

/// What happens next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A request has had its CPU time.
    Worked,
    Step,
    Timeout,
    Arrival,
}

impl RequestPlant {
    /// A plant without instances.
    pub(crate) fn new(rules: Rules, clients: Clients, seed: u64) -> Self {
        let processors = rules.cores.map(|cores| Processors::new(cores, rules.cpus, rules.cpu));
        Self {
            rules,
            rng: Xoshiro256PlusPlus::seed_from_u64(seed),
            clients,
            servers: Vec::new(),
            rotation: Vec::new(),
            turn: 0,
            free_places: 0,
            queue: VecDeque::new(),
            steps: BinaryHeap::new(),
            processors,
            now: Moment::default(),
            steps_set: 0,
            in_flight: 0,
            counters: Counters::default(),
        }
    }
}

impl Plant for RequestPlant {
    fn advance(&mut self, to: Moment, log: &mut Log) {
        while let Some((at, event)) = self.next_event().filter(|(at, _)| *at <= to) {
            match event {
                Event::Worked => self.worked(at),
                Event::Step => self.step(log),
                Event::Timeout => self.give_up(at, log),
                Event::Arrival => self.arrive(log),
            }
        }
        self.now = to;
    }

    fn open(&mut self, slot: Slot, now: Moment) {
        let capacity = self.rules.capacity;
        self.server(slot).renew(capacity);
        self.reopen(slot, now);
    }

    fn reopen(&mut self, slot: Slot, now: Moment) {
        let index = place(slot);
        let server = self.server(slot);
        if std::mem::replace(&mut server.in_rotation, true) {
            return;
        }
        self.free_places += self.servers[index].free_places();
        self.rotation.push(index);
        self.let_in(now);
    }

    fn drain(&mut self, slot: Slot) {
        let index = place(slot);
        if !std::mem::replace(&mut self.server(slot).in_rotation, false) {
            return;
        }
        self.free_places -= self.servers[index].free_places();
        if let Some(position) = self.rotation.iter().position(|i| *i == index) {
            self.rotation.remove(position);
            self.turn -= usize::from(position < self.turn);
        }
    }

    fn stop(&mut self, slot: Slot, now: Moment, log: &mut Log) {
        for request in self.abandon(slot, now) {
            self.counters.rejected += 1;
            log.failed(request.due, now, Failure::Stopped, 1);
            self.clients.ended(request, now);
        }
    }

    fn remove(&mut self, slot: Slot, now: Moment) {
        for request in self.abandon(slot, now).into_iter().rev() {
            self.queue.push_front(request);
        }
        self.let_in(now);
    }

    fn statistics(&self) -> Statistics {
        let served = u32::try_from(self.counters.served).unwrap_or(u32::MAX);
        let of_served = || self.rules.cpu.saturating_mul(served);
        Statistics {
            counters: self.counters,
            queued: narrow(self.queue.len()),
            in_flight: narrow(self.in_flight),
            cpu: self.processors.as_ref().map_or_else(of_served, |cores| cores.used(self.now)),
        }
    }

    fn in_flight_of(&self, slot: Slot) -> u32 {
        self.servers.get(place(slot)).map_or(0, Server::in_flight)
    }

    fn fail_every_second(&mut self, slot: Slot) {
        self.server(slot).fails_every_second = true;
    }

    fn answers_of(&self, slot: Slot) -> Option<Answers> {
        self.servers.get(place(slot)).map(|server| server.answers)
    }

    fn over_at(&self) -> Option<Moment> {
        self.clients.over_at()
    }

    fn first_served(&self, slot: Slot) -> Option<Moment> {
        self.servers.get(place(slot))?.first_served
    }
}

impl RequestPlant {
    /// The instance is gone. Gives what it worked on, the oldest first.
    fn abandon(&mut self, slot: Slot, now: Moment) -> Vec<Request> {
        self.drain(slot);
        if let Some(processors) = &mut self.processors {
            processors.forget(place(slot), now);
        }
        let server = self.server(slot);
        let abandoned = server.abandon();
        server.generation = server.generation.wrapping_add(1);
        self.in_flight -= abandoned.len();
        abandoned
    }

    /// The next event; of several at one moment those in instances come first and arrivals last, so that
    /// a place that becomes free is free.
    fn next_event(&self) -> Option<(Moment, Event)> {
        let worked = self.processors.as_ref().and_then(Processors::next_end);
        let worked = worked.map(|at| (at, Event::Worked));
        let step = self.steps.peek().map(|Reverse(step)| (step.at, Event::Step));
        let (patience, _) = self.rules.patience();
        let oldest = self.queue.front();
        let timeout = oldest.map(|request| (request.due.after(patience), Event::Timeout));
        let arrival = self.clients.next_due().map(|due| (due, Event::Arrival));
        [worked, step, timeout, arrival].into_iter().flatten().min()
    }

    fn arrive(&mut self, log: &mut Log) {
        let Some(request) = self.clients.send() else { return };
        if self.queue.len() + self.in_flight >= self.rules.in_flight {
            log.dropped(request.due, 1);
            return self.clients.ended(request, request.due);
        }
        self.counters.arrivals += 1;
        self.queue.push_back(request);
        self.let_in(request.due);
    }

    /// The request at the head of the queue has waited long enough.
    fn give_up(&mut self, now: Moment, log: &mut Log) {
        let (_, failure) = self.rules.patience();
        if let Some(request) = self.queue.pop_front() {
            // A client that hangs up is none that the load balancer refused.
            self.counters.rejected += u64::from(failure == Failure::NoServer);
            log.failed(request.due, now, failure, 1);
            self.clients.ended(request, now);
        }
    }

    /// The next step of a request in an instance.
    fn step(&mut self, log: &mut Log) {
        let Some(Reverse(step)) = self.steps.pop() else { return };
        // The instance may be gone, and its request tried elsewhere.
        if self.servers[step.server].generation != step.generation {
            return;
        }
        match (step.next, &mut self.processors) {
            (Next::Work, Some(processors)) => processors.begin(step.server, step.place, step.at),
            (Next::Work, None) => {}
            (Next::End(failure), _) => self.complete(step, failure, log),
        }
    }

    /// A request has had its CPU time. For what is left of its time in the instance it waits, for whatever it may
    /// be.
    fn worked(&mut self, now: Moment) {
        let ended = self.processors.as_mut().and_then(|processors| processors.end(now));
        let Some((server, place)) = ended else { return };
        let waits = self.rules.service.sample(&mut self.rng).saturating_sub(self.rules.cpu);
        self.set(server, place, now.after(waits), Next::End(None));
    }

    fn set(&mut self, server: usize, place: usize, at: Moment, next: Next) {
        self.steps_set += 1;
        let (order, generation) = (self.steps_set, self.servers[server].generation);
        self.steps.push(Reverse(Step { at, order, server, generation, place, next }));
    }

    fn complete(&mut self, step: Step, failure: Option<Failure>, log: &mut Log) {
        let server = &mut self.servers[step.server];
        let Some(request) = server.give_back(step.place) else { return };
        // An instance works on for a client that has hung up, for it does not know.
        let hung_up = request.due.after(self.rules.client_timeout);
        let failure = failure.or((step.at > hung_up).then_some(Failure::Timeout));
        server.first_served.get_or_insert(step.at);
        let in_rotation = server.in_rotation;
        let failure = failure.or_else(|| server.own_failure());
        server.count(failure);
        self.in_flight -= 1;
        self.free_places += u32::from(in_rotation);
        self.counters.rejected += u64::from(failure == Some(Failure::Wrong));
        self.counters.served +=
            u64::from(!matches!(failure, Some(Failure::Timeout | Failure::Wrong)));
        match failure {
            None => log.ok(request.due, step.at, 1),
            Some(failure) => log.failed(request.due, step.at.min(hung_up), failure, 1),
        }
        self.clients.ended(request, step.at);
        self.let_in(step.at);
    }

    /// Gives waiting requests the places that are free.
    fn let_in(&mut self, now: Moment) {
        while self.free_places > 0 {
            let Some(request) = self.queue.pop_front() else { return };
            self.assign(request, now);
        }
    }

    /// Gives a request to the next server in rotation that has a free place.
    fn assign(&mut self, request: Request, now: Moment) {
        let count = self.rotation.len();
        let free = |offset: &usize| {
            self.servers[self.rotation[(self.turn + offset) % count]].free_places() > 0
        };
        let Some(offset) = (0..count).find(free) else { return };
        let index = self.rotation[(self.turn + offset) % count];
        self.turn = (self.turn + offset + 1) % count;
        let Some(place) = self.servers[index].take(request) else { return };
        let (at, next) = self.course(index, request.due, now);
        self.in_flight += 1;
        self.free_places -= 1;
        self.set(index, place, at, next);
    }

    /// When and how a request ends that the server takes now, or when the instance begins to work on it where cores
    /// are shared. One whose client hangs up leaves at that moment, and without a token while it still waits for
    /// one.
    fn course(&mut self, index: usize, due: Moment, now: Moment) -> (Moment, Next) {
        let Rules { capacity, max_wait, service, client_timeout, .. } = self.rules;
        let hung_up = due.after(client_timeout);
        let refused = now.after(max_wait);
        match self.servers[index].bucket.pass(capacity, now, refused.min(hung_up)) {
            Some(passed) if self.processors.is_some() => (passed, Next::Work),
            Some(passed) => {
                let done = passed.after(service.sample(&mut self.rng));
                if done <= hung_up {
                    (done, Next::End(None))
                } else {
                    (hung_up, Next::End(Some(Failure::Timeout)))
                }
            }
            None if refused < hung_up => (refused, Next::End(Some(Failure::Limited))),
            None => (hung_up, Next::End(Some(Failure::Timeout))),
        }
    }

    /// The server of a slot; slots go from 1 to 1,000.
    fn server(&mut self, slot: Slot) -> &mut Server {
        let index = place(slot);
        if self.servers.len() <= index {
            self.servers.resize_with(index + 1, Server::default);
        }
        &mut self.servers[index]
    }
}

/// Where a slot's server stands among those of a plant.
fn place(slot: Slot) -> usize {
    usize::from(slot.get())
}

#[cfg(test)]
mod tests;
