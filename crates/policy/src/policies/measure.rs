//! What a policy measures, as a share of what instances have.

use serde::{Deserialize, Serialize};

use crate::reading::{Reading, known};

/// A figure of the service, measured against what one instance is given or can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// CPU time, against `instance.cpus`.
    Cpu,
    /// Requests per second that are offered, against `capacity.requests_per_second`.
    Offered,
    /// Requests per second that are answered, against `capacity.requests_per_second`. It never
    /// says how much more is wanted.
    Served,
    /// Requests in flight and waiting, against `capacity.concurrency`.
    InFlight,
}

impl Measure {
    /// The load in instances: 2.5 fills two and a half of them. Nothing where it is not known.
    pub fn load(self, reading: &Reading) -> Option<f64> {
        let (total, per_instance) = match self {
            Self::Cpu => (reading.cpu_cores, reading.cpus),
            Self::Offered => (reading.offered_rps(), reading.capacity.requests_per_second),
            Self::Served => (reading.served_rps, reading.capacity.requests_per_second),
            Self::InFlight => (reading.backlog(), f64::from(reading.capacity.concurrency)),
        };
        known(total.map(|total| total / per_instance))
    }

    /// How full the ready instances are, in percent. Nothing where that is not known, or where no
    /// instance is ready.
    pub fn percent(self, reading: &Reading) -> Option<f64> {
        let load = self.load(reading)?;
        known(Some(100.0 * load / f64::from(reading.ready)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::reading;

    #[test]
    fn each_figure_is_measured_against_what_an_instance_has() {
        let reading = Reading {
            cpu_cores: Some(1.0),
            served_rps: Some(100.0),
            in_flight: Some(12),
            queued: Some(4),
            ready: 4,
            ..reading()
        };
        let percent = |measure: Measure| measure.percent(&reading);
        assert_eq!(percent(Measure::Cpu), Some(25.0));
        assert_eq!(percent(Measure::Served), Some(50.0));
        assert_eq!(percent(Measure::InFlight), Some(50.0));
    }

    #[test]
    fn what_cannot_be_known_is_not_zero() {
        let idle = Reading { ready: 0, cpu_cores: Some(0.0), ..reading() };
        assert_eq!(Measure::Cpu.percent(&idle), None);
        let absurd = Reading { cpu_cores: Some(f64::NAN), served_rps: Some(-1.0), ..reading() };
        assert_eq!(Measure::Cpu.load(&absurd), None);
        assert_eq!(Measure::Served.load(&absurd), None);
        assert_eq!(Measure::InFlight.load(&Reading { queued: None, ..reading() }), None);
    }
}
