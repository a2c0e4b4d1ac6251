//! The plant request by request: arrivals, timeouts and completions in the order of their moments.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use model::names::Slot;
use model::watch::Answers;
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;

use super::clients::{Clients, Request};
use super::outcomes::Log;
use super::rules::{Failure, Rules};
use super::server::Server;
use super::{Counters, Plant, Statistics, narrow};
use crate::moment::Moment;

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
    completions: BinaryHeap<Reverse<Completion>>,
    assigned: u64,
    in_flight: usize,
    counters: Counters,
}

/// The end of a request in an instance; the earliest is the smallest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Completion {
    at: Moment,
    /// Of two at one moment the one assigned first is first.
    order: u64,
    server: usize,
    generation: u32,
    place: usize,
    failure: Option<Failure>,
}

/// What happens next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Completion,
    Timeout,
    Arrival,
}

impl RequestPlant {
    /// A plant without instances.
    pub(crate) fn new(rules: Rules, clients: Clients, seed: u64) -> Self {
        Self {
            rules,
            rng: Xoshiro256PlusPlus::seed_from_u64(seed),
            clients,
            servers: Vec::new(),
            rotation: Vec::new(),
            turn: 0,
            free_places: 0,
            queue: VecDeque::new(),
            completions: BinaryHeap::new(),
            assigned: 0,
            in_flight: 0,
            counters: Counters::default(),
        }
    }
}

impl Plant for RequestPlant {
    fn advance(&mut self, to: Moment, log: &mut Log) {
        while let Some((at, event)) = self.next_event().filter(|(at, _)| *at <= to) {
            match event {
                Event::Completion => self.complete(log),
                Event::Timeout => self.give_up(at, log),
                Event::Arrival => self.arrive(log),
            }
        }
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
        for request in self.abandon(slot) {
            self.counters.rejected += 1;
            log.failed(request.due, now, Failure::Stopped, 1);
            self.clients.ended(request, now);
        }
    }

    fn remove(&mut self, slot: Slot, now: Moment) {
        for request in self.abandon(slot).into_iter().rev() {
            self.queue.push_front(request);
        }
        self.let_in(now);
    }

    fn statistics(&self) -> Statistics {
        Statistics {
            counters: self.counters,
            queued: narrow(self.queue.len()),
            in_flight: narrow(self.in_flight),
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
    fn abandon(&mut self, slot: Slot) -> Vec<Request> {
        self.drain(slot);
        let server = self.server(slot);
        let abandoned = server.abandon();
        server.generation = server.generation.wrapping_add(1);
        self.in_flight -= abandoned.len();
        abandoned
    }

    /// The next event; of several at one moment completions come first and arrivals last, so that
    /// a place that becomes free is free.
    fn next_event(&self) -> Option<(Moment, Event)> {
        let completion = self.completions.peek().map(|Reverse(c)| (c.at, Event::Completion));
        let (patience, _) = self.rules.patience();
        let oldest = self.queue.front();
        let timeout = oldest.map(|request| (request.due.after(patience), Event::Timeout));
        let arrival = self.clients.next_due().map(|due| (due, Event::Arrival));
        [completion, timeout, arrival].into_iter().flatten().min()
    }

    fn arrive(&mut self, log: &mut Log) {
        let Some(request) = self.clients.send() else { return };
        if self.queue.len() + self.in_flight >= self.rules.in_flight {
            log.dropped(request.due);
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

    fn complete(&mut self, log: &mut Log) {
        let Some(Reverse(completion)) = self.completions.pop() else { return };
        let server = &mut self.servers[completion.server];
        // The instance may be gone, and its request tried elsewhere.
        if server.generation != completion.generation {
            return;
        }
        let Some(request) = server.give_back(completion.place) else { return };
        server.first_served.get_or_insert(completion.at);
        let in_rotation = server.in_rotation;
        let failure = completion.failure.or_else(|| server.own_failure());
        server.count(failure);
        self.in_flight -= 1;
        self.free_places += u32::from(in_rotation);
        self.counters.rejected += u64::from(failure == Some(Failure::Wrong));
        self.counters.served +=
            u64::from(!matches!(failure, Some(Failure::Timeout | Failure::Wrong)));
        match failure {
            None => log.ok(request.due, completion.at, 1),
            Some(failure) => log.failed(request.due, completion.at, failure, 1),
        }
        self.clients.ended(request, completion.at);
        self.let_in(completion.at);
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
        let (at, failure) = self.course(index, request.due, now);
        self.assigned += 1;
        self.in_flight += 1;
        self.free_places -= 1;
        self.completions.push(Reverse(Completion {
            at,
            order: self.assigned,
            server: index,
            generation: self.servers[index].generation,
            place,
            failure,
        }));
    }

    /// When and how a request ends that the server takes now. One whose client hangs up leaves at
    /// that moment, and without a token while it still waits for one.
    fn course(&mut self, index: usize, due: Moment, now: Moment) -> (Moment, Option<Failure>) {
        let Rules { capacity, max_wait, service, client_timeout, .. } = self.rules;
        let hung_up = due.after(client_timeout);
        let refused = now.after(max_wait);
        match self.servers[index].bucket.pass(capacity, now, refused.min(hung_up)) {
            Some(passed) => {
                let done = passed.after(service.sample(&mut self.rng));
                if done <= hung_up { (done, None) } else { (hung_up, Some(Failure::Timeout)) }
            }
            None if refused < hung_up => (refused, Some(Failure::Limited)),
            None => (hung_up, Some(Failure::Timeout)),
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
