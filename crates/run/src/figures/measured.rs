//! Each figure of a run: its value, and the sentence that says what it is.

use super::figure::{Better, Figure, Group};
use super::{Assumptions, demand};
use crate::cost::{self, Life};
use crate::elasticity::{Elasticity, fixed_fleet};
use crate::read_back::Run;

/// All figures of a run, by group.
pub fn measure(run: &Run, assumptions: &Assumptions) -> Vec<Figure> {
    let mut figures = service(run);
    figures.extend(elasticity(run, assumptions));
    figures.extend(cost(run, assumptions));
    figures.extend(scaling(run));
    figures.extend(generator(run));
    figures
}

/// A figure that does not say yet what it means.
fn figure(
    group: Group,
    key: &str,
    name: &str,
    (value, unit): (Option<f64>, &str),
    better: Better,
) -> Figure {
    Figure {
        key: key.to_owned(),
        group,
        name: name.to_owned(),
        value,
        unit: unit.to_owned(),
        better,
        explanation: String::new(),
    }
}

impl Figure {
    /// Adds the sentence or two that say what the figure means.
    fn says(self, explanation: &str) -> Self {
        Self { explanation: explanation.to_owned(), ..self }
    }
}

fn service(run: &Run) -> Vec<Figure> {
    use Better::{Less, Neither};
    let of = |key, name, value, better| figure(Group::Service, key, name, value, better);
    let s = &run.summary;
    let count = |n: u64| (Some(n as f64), "");
    let ms = |value| (value, "ms");
    vec![
        of("requests.due", "Requests", count(s.requests.due), Neither)
            .says("Due by the scenario, the warm-up left out."),
        of(
            "outside_objective_percent",
            "Outside the objective",
            (s.outside_objective(), "%"),
            Less,
        )
        .says(&format!(
            "Slower than {} ms from the moment they were due, failed, or never sent. The \
             objective allows 1% to be slow and none to fail.",
            s.objective_ms
        )),
        of("requests.failed", "Failed", count(s.requests.failed), Less)
            .says("Without the expected answer in time, refused ones among them."),
        of("requests.dropped", "Never sent", count(s.requests.dropped), Less)
            .says("Because too many were in flight already."),
        of("latency_ms.p50", "Latency, median", ms(s.latency_ms.p50), Less).says(
            "Of the good answers, from the moment each request was due, so that waiting counts.",
        ),
        of("latency_ms.p95", "Latency, 95th percentile", ms(s.latency_ms.p95), Less)
            .says("One request in 20 took longer."),
        of("latency_ms.p99", "Latency, 99th percentile", ms(s.latency_ms.p99), Less)
            .says("One request in 100 took longer: this is what an autoscaler shows up in."),
        of("latency_ms.max", "Latency, largest", ms(s.latency_ms.max), Less)
            .says("The slowest good answer."),
    ]
}

fn elasticity(run: &Run, assumptions: &Assumptions) -> Vec<Figure> {
    use Better::{Less, More, NearZero};
    let of = |key, name, value, better| figure(Group::Elasticity, key, name, value, better);
    let curves = demand(run, assumptions).zip(run.supply());
    let span = run.counted();
    let own = curves.as_ref().and_then(|(d, s)| Elasticity::measure(d, s, span));
    let fixed = curves.as_ref().map(|(d, _)| fixed_fleet(d, span).at(span.from_s));
    let speedup = own.map(|e| e.speedup);
    let share = |key, name, pick: fn(Elasticity) -> f64| of(key, name, (own.map(pick), "%"), Less);
    let fleet = fixed.map_or_else(String::new, |n| format!(" (here {n})"));
    vec![
        share("elasticity.under_accuracy_percent", "Under-provisioning", |e| {
            e.under_accuracy_percent
        })
        .says("Instances that lacked, in percent of those needed, over the time of the load."),
        share("elasticity.over_accuracy_percent", "Over-provisioning", |e| e.over_accuracy_percent)
            .says(
                "Instances too many, in percent of those needed. While none is needed, the \
             first counts as 100%.",
            ),
        share("elasticity.under_timeshare_percent", "Time under-provisioned", |e| {
            e.under_timeshare_percent
        })
        .says("Share of the time with too few."),
        share("elasticity.over_timeshare_percent", "Time over-provisioned", |e| {
            e.over_timeshare_percent
        })
        .says(
            "Share of the time with too many. Head-room and patience show here: it is \
             what they cost.",
        ),
        share("elasticity.instability_percent", "Instability", |e| e.instability_percent)
            .says("Share of the seconds in which supply and demand do not move the same way."),
        of(
            "elasticity.jitter_per_minute",
            "Jitter",
            (own.map(|e| e.jitter_per_minute), "/min"),
            NearZero,
        )
        .says(
            "Instances that came or went, less those that the demand asked for. Above 0 the \
             fleet flaps, below 0 it leaves changes out.",
        ),
        of("elasticity.speedup", "Elastic speedup", (speedup, "×"), More).says(&format!(
            "How many times better the four shares above are, in the geometric mean, than \
                 with a fixed fleet of the mean demand{fleet}."
        )),
    ]
}

/// The lives of a run's instances, over the time that its instance-seconds are over.
fn lives(run: &Run) -> Option<Vec<Life>> {
    let first = run.fleet().first().copied()?;
    let end_s = run.summary.instances.over_s.unwrap_or_else(|| run.end_s());
    Some(cost::lives(&run.ticks, run.summary.started_at_ms, first.running(), end_s))
        .filter(|_| run.summary.instances.seconds.is_some())
}

fn cost(run: &Run, assumptions: &Assumptions) -> Vec<Figure> {
    let of = |key: &str, name: &str, value| figure(Group::Cost, key, name, value, Better::Less);
    let lives = lives(run);
    let seconds = run.summary.instances.seconds;
    let mut figures = vec![
        of("instances.seconds", "Instance-seconds", (seconds, "s")).says(
            "Existence of all instances added up, starting and draining ones too, over the \
             load and the time allowed for settling after it.",
        ),
        of("cost.accounted_hours", "Hours accounted", (seconds.map(|s| s / 3_600.0), "h"))
            .says("The same in hours: what was used."),
        of("cost.charged_hours", "Hours charged", (lives.as_deref().map(cost::charged_hours), "h"))
            .says(
                "With every instance rounded up to started hours: what a provider that bills so \
             would charge.",
            ),
    ];
    for of_type in assumptions.prices.iter().flat_map(|p| &p.types) {
        let currency = assumptions.prices.as_ref().map_or("", |p| p.currency.as_str());
        let (key, name) = (format!("cost.{}", of_type.name), format!("Cost on {}", of_type.name));
        let value = lives.as_deref().map(|l| of_type.cost(l));
        let figure = of(&key, &name, (value, currency));
        figures.push(figure.says("By the price table, launches included."));
    }
    figures
}

fn scaling(run: &Run) -> Vec<Figure> {
    use Better::{Less, Neither};
    let of = |key, name, value, better| figure(Group::Scaling, key, name, value, better);
    let s = &run.summary;
    let count = |n: Option<u64>| (n.map(|n| n as f64), "");
    let serving = &s.scaling.plan_to_serving_ms;
    let back = s.limits.back_to_min.and_then(|l| l.measured_s);
    vec![
        of("instances.min", "Fewest ready", count(s.instances.min.map(u64::from)), Neither)
            .says("Instances in rotation."),
        of("instances.max", "Most ready", count(s.instances.max.map(u64::from)), Neither)
            .says("Instances in rotation."),
        of("scaling.out", "Launches", count(s.scaling.out), Less)
            .says("Instances that were started."),
        of("scaling.in", "Drains", count(s.scaling.r#in), Less)
            .says("Instances that were taken out of rotation, to finish and stop."),
        of("scaling.failed_actions", "Failed actions", count(s.scaling.failed_actions), Less)
            .says("Tried, failed, and planned anew."),
        of(
            "scaling.plan_to_serving_ms.p50",
            "From plan to serving, median",
            (serving.p50, "ms"),
            Less,
        )
        .says("From the decision for an instance to the end of the first answer it gave."),
        of(
            "scaling.plan_to_serving_ms.p99",
            "From plan to serving, 99th percentile",
            (serving.p99, "ms"),
            Less,
        )
        .says("The same for the slowest."),
        of("limits.back_to_min.measured_s", "Back at the lower bound", (back, "s"), Less)
            .says("After the end of the load."),
    ]
}

fn generator(run: &Run) -> Vec<Figure> {
    use Better::{Less, Neither};
    let of = |key, name, value, better| figure(Group::Generator, key, name, value, better);
    let g = &run.summary.generator;
    vec![
        of(
            "generator.lateness_ms.p99",
            "Lateness, 99th percentile",
            (g.lateness_ms.p99, "ms"),
            Less,
        )
        .says("How late requests were taken up. Past 5 ms the load was not the scenario's."),
        of("generator.cpu_percent", "CPU", (g.cpu_percent, "% of a core"), Neither)
            .says("Past 90% the generator is what limits the rate."),
        of("generator.resent", "Sent anew", (Some(g.resent as f64), ""), Neither)
            .says("Requests whose kept-alive connection had been closed by the server."),
    ]
}
