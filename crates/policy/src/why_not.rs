//! What stands between a service and another number of ready instances, as of its last turn: which policies, rules,
//! bounds and limits of the host, in the order in which a turn asks them.
//!
//! It is about the next turn. Each obstacle is judged by itself, as if those before it were out of the way, so that
//! all of them are told at once.

use model::action::ActionKind;
use model::policies::Policy;
use model::service::{Replacement, Requests, Rules, ServiceSpec};
use model::tick::{Room, Tick};
use model::trail::{Advice, PolicyAdvice, Steps, Trail};
use model::version::Rollout;
use model::why_not::{Obstacle, WhyNot, Wish};

use crate::advice::Combined;
use crate::input::{Demand, PolicyInput};
use crate::load::OfferedLoad;
use crate::rules::millis;
use crate::steady;

/// What keeps the service that `spec` describes, under what is in force, from `ready` ready instances, where `tick` is
/// its last turn.
pub fn why_not(spec: &ServiceSpec, tick: &Tick, ready: u32) -> WhyNot {
    let phases = tick.observation.phases;
    let mut answer = WhyNot {
        service: spec.name.clone(),
        at: tick.at,
        ready,
        target: tick.target(),
        ready_now: phases.ready,
        starting: phases.starting,
        obstacles: Vec::new(),
    };
    let from = answer.target.unwrap_or(phases.ready);
    let question = Question { spec, tick, from, ready, wish: answer.wish() };
    let obstacles = &mut answer.obstacles;
    match &tick.trail {
        _ if answer.target.is_none() => obstacles.push(Obstacle::NoData),
        // A record of a release that kept none tells its bounds.
        None => {}
        Some(trail) => question.decided(trail, obstacles),
    }
    obstacles.extend(question.bound());
    question.of_the_fleet(obstacles);
    answer
}

/// What is asked of a turn.
#[derive(Debug, Clone, Copy)]
struct Question<'a> {
    spec: &'a ServiceSpec,
    tick: &'a Tick,
    /// The number decided on, from which the next turn goes on.
    from: u32,
    ready: u32,
    wish: Wish,
}

impl Question<'_> {
    /// What is in the way of the decision, up to the bounds.
    fn decided(&self, trail: &Trail, obstacles: &mut Vec<Obstacle>) {
        if self.wish == Wish::Same {
            return;
        }
        // Nothing else is asked as long as it is held, and another number can be held as well.
        if let Some(ready) = trail.held() {
            obstacles.push(Obstacle::Held { ready });
            return;
        }
        let input = input(self.spec, self.tick, self.from);
        let together = Combined::of(&trail.advice);
        self.policies(trail, &together, &input, obstacles);
        obstacles.extend(self.scheduled(&together));
        if self.ready == 0 && input.is_asked_for() {
            obstacles.push(Obstacle::Activation);
        }
        obstacles.extend(self.patience(trail, &together));
        obstacles.extend(self.cooldown(trail));
        obstacles.extend(self.step_limit());
        let most = trail.helpful.filter(|most| self.is_more() && self.ready > *most);
        obstacles.extend(most.map(|most| Obstacle::HostSaturated { most }));
    }

    const fn is_more(&self) -> bool {
        matches!(self.wish, Wish::More)
    }

    /// Whether a number lies on this side of the one that was asked about.
    fn falls_short(&self, number: u32) -> bool {
        match self.wish {
            Wish::More => number < self.ready,
            Wish::Same => false,
            Wish::Fewer => number > self.ready,
        }
    }

    /// The policies that do not ask for the number. Towards more one that does is enough.
    fn policies(
        &self,
        trail: &Trail,
        together: &Combined,
        input: &PolicyInput,
        obstacles: &mut Vec<Obstacle>,
    ) {
        if self.is_more() && together.highest().is_some_and(|ready| ready >= self.ready) {
            return;
        }
        let policies = self.spec.policy.policies();
        for (index, said) in trail.advice.iter().enumerate() {
            // Another policy may be in force by now.
            let policy = policies.get(index).filter(|policy| policy.kind() == said.policy);
            obstacles.extend(self.policy(said, policy, together, input));
        }
    }

    fn policy(
        &self,
        said: &PolicyAdvice,
        policy: Option<&Policy>,
        together: &Combined,
        input: &PolicyInput,
    ) -> Option<Obstacle> {
        let is_undecided = together.highest().is_none() && !together.is_in_doubt();
        match said.advice {
            Advice::Ready { ready, reason } => self.falls_short(ready).then(|| Obstacle::Policy {
                policy: said.policy,
                asks_for: ready,
                reason,
                needed: policy.map_or_else(Vec::new, |it| steady::needed(it, input, self.ready)),
            }),
            Advice::Unknown => Some(Obstacle::NotKnown { policy: said.policy }),
            Advice::Within { .. } => is_undecided.then_some(Obstacle::ScheduleAlone),
            Advice::Silent => {
                let nobody_decides = is_undecided && together.within().is_none();
                nobody_decides.then_some(Obstacle::NotSet { policy: said.policy })
            }
        }
    }

    fn scheduled(&self, together: &Combined) -> Option<Obstacle> {
        let (min, max) = together.within()?;
        let max = max.max(min);
        match self.wish {
            Wish::More if max < self.ready => Some(Obstacle::ScheduledMax { max }),
            Wish::Fewer if min > self.ready => Some(Obstacle::ScheduledMin { min }),
            Wish::More | Wish::Same | Wish::Fewer => None,
        }
    }

    /// The rules of the direction.
    const fn rules(&self) -> Rules {
        if self.is_more() { self.spec.scale_out } else { self.spec.scale_in.rules }
    }

    /// Patience with the need as it is; where that is another one, the patience that begins when it changes.
    fn patience(&self, trail: &Trail, together: &Combined) -> Option<Obstacle> {
        let patience_ms = millis(self.rules().patience);
        if patience_ms == 0 {
            return None;
        }
        if self.falls_short(together.need(trail.current, &mut Steps::new())) {
            return Some(Obstacle::Patience { patience_ms, since: None });
        }
        let held = if self.is_more() { trail.held_out } else { trail.held_in };
        let held = held.filter(|held| held.at.is_none_or(|number| self.falls_short(number)))?;
        Some(Obstacle::Patience { patience_ms, since: Some(held.since) })
    }

    fn cooldown(&self, trail: &Trail) -> Option<Obstacle> {
        let cooldown = self.rules().cooldown;
        let since = if self.is_more() { trail.rose_at } else { trail.changed_at };
        let since = since.filter(|at| self.tick.at.since(*at) < cooldown)?;
        Some(Obstacle::Cooldown { cooldown_ms: millis(cooldown), since })
    }

    fn step_limit(&self) -> Option<Obstacle> {
        let largest = self.rules().largest_step?.from(self.from);
        let is_larger = self.ready.abs_diff(self.from) > largest;
        is_larger.then_some(Obstacle::StepLimit { largest })
    }

    fn bound(&self) -> Option<Obstacle> {
        let bounds = self.spec.bounds;
        if self.ready > bounds.max() {
            let never = self.spec.replacement == Replacement::Recreate;
            return Some(if never { Obstacle::OneAtMost } else { Obstacle::Max { bounds } });
        }
        (self.ready < bounds.min()).then_some(Obstacle::Min { bounds })
    }

    /// What is in the way of the instances themselves.
    fn of_the_fleet(&self, obstacles: &mut Vec<Obstacle>) {
        let phases = self.tick.observation.phases;
        let planned = self.tick.plan.iter().filter(|action| action.kind == ActionKind::Clone);
        let planned = u32::try_from(planned.count()).unwrap_or(u32::MAX);
        let coming = phases.starting.saturating_add(planned);
        let missing = self.ready.saturating_sub(phases.ready);
        let is_in_the_way = self.wish != Wish::Fewer;
        if is_in_the_way && missing > coming {
            let room = self.tick.room.map(|room| less(room, planned));
            self.launches(missing - coming, room, obstacles);
        }
        if is_in_the_way && coming.min(missing) > 0 {
            obstacles.push(Obstacle::Starting { count: coming.min(missing) });
        }
        let count = phases.ready.saturating_sub(self.ready);
        if self.wish == Wish::Same && count > 0 {
            let is_settled = matches!(self.tick.rollout, None | Some(Rollout::Serving { .. }));
            let leaving = Obstacle::Leaving { count };
            obstacles.push(if is_settled { leaving } else { Obstacle::Replacing { count } });
        }
    }

    /// What keeps so many more from being launched.
    fn launches(&self, missing: u32, room: Option<Room>, obstacles: &mut Vec<Obstacle>) {
        if self.tick.rollout.as_ref().is_some_and(Rollout::is_first) {
            obstacles.push(Obstacle::NoVersion);
        }
        let Some(Room { launches, slots, memory, launches_wait_until }) = room else { return };
        obstacles.extend(launches_wait_until.map(|until| Obstacle::LaunchBackoff { until }));
        if memory < missing {
            obstacles.push(Obstacle::HostMemory { fits: memory });
        }
        // Where there are as many as launches, nobody has counted further.
        if slots < launches && slots < missing {
            obstacles.push(Obstacle::NoFreeSlot { free: slots });
        }
        if launches < missing {
            obstacles.push(Obstacle::LaunchLimit { left: launches });
        }
    }
}

/// The room after so many launches.
const fn less(room: Room, planned: u32) -> Room {
    Room {
        launches: room.launches.saturating_sub(planned),
        slots: room.slots.saturating_sub(planned),
        memory: room.memory.saturating_sub(planned),
        ..room
    }
}

/// What the policies would be told at the next turn, as far as the tick knows it: one that nothing else is known of.
fn input(spec: &ServiceSpec, tick: &Tick, current: u32) -> PolicyInput {
    let seen = &tick.observation;
    let demand = match spec.requests() {
        Some(Requests { capacity, .. }) => seen.offered_rps.map(|mean_rps| {
            let offered = OfferedLoad { mean_rps, burst_rps: 0.0, queue_rps: 0.0 };
            Demand::Requests { offered, capacity: *capacity }
        }),
        None => Some(Demand::Uncounted),
    };
    PolicyInput {
        now: tick.at,
        demand,
        served_rps: seen.served_rps,
        in_flight: seen.in_flight,
        queued: seen.queued,
        cpu_cores: seen.cpu_cores,
        host_cpu: seen.host_cpu,
        ready: current,
        starting: 0,
        current,
        changed_at: None,
        cpus: spec.instance.cpus,
        start_up: None,
        bounds: spec.bounds,
    }
}

#[cfg(test)]
mod tests;
