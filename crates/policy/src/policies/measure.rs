//! What a policy measures, as a share of what instances have.

use model::policies::Measure;

use crate::input::{PolicyInput, known};

/// All that instances have of it together, and what one is given or can do. `None` where that is not known.
pub(crate) fn total(measure: Measure, input: &PolicyInput) -> Option<(f64, f64)> {
    let (total, per_instance) = match measure {
        Measure::Cpu => (input.cpu_cores, Some(input.cpus)),
        Measure::Offered => (input.offered_rps(), input.rate_of_an_instance()),
        Measure::Served => (input.served_rps, input.rate_of_an_instance()),
        Measure::InFlight => {
            (input.in_system(), input.capacity().map(|capacity| f64::from(capacity.concurrency)))
        }
    };
    total.zip(per_instance)
}

/// The load in instances: 2.5 fills two and a half of them. `None` where it is not known.
pub(crate) fn load(measure: Measure, input: &PolicyInput) -> Option<f64> {
    known(total(measure, input).map(|(total, per_instance)| total / per_instance))
}

/// How full the ready instances are, in percent. `None` where that is not known, or where no
/// instance is ready.
pub(crate) fn percent(measure: Measure, input: &PolicyInput) -> Option<f64> {
    let load = load(measure, input)?;
    known(Some(100.0 * load / f64::from(input.ready)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::input;

    #[test]
    fn each_figure_is_measured_against_what_an_instance_has() {
        let input = PolicyInput {
            cpu_cores: Some(1.0),
            served_rps: Some(100.0),
            in_flight: Some(12),
            queued: Some(4),
            ready: 4,
            ..input()
        };
        let percent = |measure: Measure| super::percent(measure, &input);
        assert_eq!(percent(Measure::Cpu), Some(25.0));
        assert_eq!(percent(Measure::Served), Some(50.0));
        assert_eq!(percent(Measure::InFlight), Some(50.0));
    }

    #[test]
    fn what_cannot_be_known_is_not_zero() {
        let idle = PolicyInput { ready: 0, cpu_cores: Some(0.0), ..input() };
        assert_eq!(percent(Measure::Cpu, &idle), None);
        let absurd = PolicyInput { cpu_cores: Some(f64::NAN), served_rps: Some(-1.0), ..input() };
        assert_eq!(load(Measure::Cpu, &absurd), None);
        assert_eq!(load(Measure::Served, &absurd), None);
        assert_eq!(load(Measure::InFlight, &PolicyInput { queued: None, ..input() }), None);
    }
}
