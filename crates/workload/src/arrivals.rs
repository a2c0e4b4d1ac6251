//! The requests of a scenario as a stream, each with the moment it is due.

use std::time::Duration;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use rand_distr::Exp1;

use crate::offered::OpenLoad;
use crate::operation::{Operation, OperationSource, Operations};
use crate::phases::Pacing;
use crate::rate::RateCurve;

/// A request and when it is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// From the start of the load.
    pub due: Duration,
    /// What to do.
    pub operation: Operation,
}

/// Streams the moments at which requests are due, in order; a day at 100,000 requests/s needs no
/// more memory than a second.
///
/// Poisson arrivals are those of a Poisson process of rate 1. Each of its times is taken for a count
/// of requests, and the request is due when the curve reaches that count: so the process has exactly
/// the rate of the curve at each moment.
#[derive(Debug, Clone)]
pub struct DueTimes {
    curve: RateCurve,
    pacing: Pacing,
    rng: Xoshiro256PlusPlus,
    count: f64,
}

impl DueTimes {
    /// The due times of an open load.
    pub fn new(seed: u64, load: OpenLoad) -> Self {
        let OpenLoad { pacing, curve } = load;
        // Even arrivals are due in the middle of their interval: the first is not due at once.
        let count = match pacing {
            Pacing::Poisson => 0.0,
            Pacing::Even => -0.5,
        };
        Self { curve, pacing, rng: Xoshiro256PlusPlus::seed_from_u64(seed), count }
    }
}

impl Iterator for DueTimes {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.count += match self.pacing {
            Pacing::Poisson => self.rng.sample::<f64, _>(Exp1),
            Pacing::Even => 1.0,
        };
        self.curve.due_at(self.count)
    }
}

/// The arrivals of an open load in the order they are due, chosen from `operations`.
pub fn arrivals(
    operations: &Operations,
    seed: u64,
    load: OpenLoad,
) -> impl Iterator<Item = Arrival> + use<> {
    let operations = OperationSource::new(operations, seed);
    DueTimes::new(seed, load).zip(operations).map(|(due, operation)| Arrival { due, operation })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::objects::ObjectOperation;
    use crate::offered::OfferedLoad;
    use crate::scenario::Scenario;

    fn scenario(lines: &str) -> Scenario {
        let objects = if lines.contains("[objects]") { "" } else { "[objects]\n" };
        let text = format!("name = \"t\"\nservice = \"o\"\nseed = 7\n{lines}{objects}");
        config_file::from_toml("t.toml", &text).unwrap()
    }

    fn arrivals(scenario: &Scenario) -> Vec<Arrival> {
        let OfferedLoad::Open(open) = scenario.offered(None).unwrap() else {
            panic!("phases are an open load")
        };
        super::arrivals(&scenario.operations, scenario.seed, open).collect()
    }

    const CONSTANT: &str = "[[phases]]\nkind = \"constant\"\nduration_s = 100\nrate = 100\n";

    #[test]
    fn the_same_seed_gives_the_same_arrivals_and_another_seed_others() {
        let one = scenario(CONSTANT);
        let mut other = one.clone();
        other.seed = 8;
        assert_eq!(arrivals(&one), arrivals(&one));
        assert_ne!(arrivals(&one), arrivals(&other));
    }

    #[test]
    fn poisson_arrivals_have_the_mean_and_the_spread_of_a_poisson_process() {
        let arrivals = arrivals(&scenario(CONSTANT));
        // 10,000 expected with a standard deviation of 100: six of them hold for any seed.
        assert!((9_400..10_600).contains(&arrivals.len()), "{}", arrivals.len());
        let mut per_second = vec![0.0_f64; 100];
        for a in &arrivals {
            per_second[usize::try_from(a.due.as_secs()).unwrap()] += 1.0;
        }
        let mean = per_second.iter().sum::<f64>() / 100.0;
        let variance = per_second.iter().map(|n| (n - mean).powi(2)).sum::<f64>() / 99.0;
        // Of a Poisson process the two are equal; of even arrivals the variance is 0.
        assert!((0.5..1.7).contains(&(variance / mean)), "variance {variance}, mean {mean}");
    }

    #[test]
    fn poisson_arrivals_follow_a_ramp() {
        let lines = "[[phases]]\nkind = \"ramp\"\nduration_s = 100\nfrom = 0\nto = 200\n";
        let arrivals = arrivals(&scenario(lines));
        let first_half = arrivals.iter().filter(|a| a.due < Duration::from_secs(50)).count();
        // A quarter of a triangle's area lies in its first half.
        assert!((2_200..2_800).contains(&first_half), "{first_half}");
    }

    #[test]
    fn even_arrivals_are_as_far_apart_as_the_rate_says() {
        let arrivals = arrivals(&scenario(&format!("pacing = \"even\"\n{CONSTANT}")));
        assert_eq!(arrivals.len(), 10_000);
        assert_eq!(arrivals[0].due, Duration::from_millis(5));
        for pair in arrivals.windows(2) {
            let gap = (pair[1].due - pair[0].due).as_secs_f64();
            assert!((gap - 0.01).abs() < 1e-6, "{gap}");
        }
    }

    #[test]
    fn the_mix_and_the_popularity_of_keys_are_kept() {
        let lines = format!(
            "{CONSTANT}[objects]\nget = 90\nput = 8\ndelete = 2\ncount = 50\nzipf_exponent = 1.0\n\
             size = {{ kind = \"uniform\", min_bytes = 16, max_bytes = 64 }}\n"
        );
        let (mut kinds, mut keys) = ([0_u32; 3], HashMap::<u32, u32>::new());
        for arrival in arrivals(&scenario(&lines)) {
            let Operation::Object(operation) = arrival.operation else { panic!("objects") };
            let kind = match operation {
                ObjectOperation::Get(_) => 0,
                ObjectOperation::Put { bytes, .. } => {
                    assert!((16..=64).contains(&bytes));
                    1
                }
                ObjectOperation::Delete(_) => 2,
            };
            kinds[kind] += 1;
            *keys.entry(operation.key().0).or_default() += 1;
        }
        assert!((8_500..9_500).contains(&kinds[0]), "{kinds:?}");
        assert!((600..1_000).contains(&kinds[1]), "{kinds:?}");
        assert!((120..290).contains(&kinds[2]), "{kinds:?}");
        assert!(keys.keys().all(|k| *k < 50));
        // With exponent 1 the first key is chosen twice as often as the second, four times the 4th.
        let ratio = f64::from(keys[&0]) / f64::from(keys[&3]);
        assert!((3.2..4.9).contains(&ratio), "{ratio}");
    }

    #[test]
    fn another_mix_leaves_the_due_times_as_they_are() {
        let reads = arrivals(&scenario(&format!("{CONSTANT}[objects]\nget = 1\n")));
        let writes = arrivals(&scenario(&format!("{CONSTANT}[objects]\nget = 0\nput = 1\n")));
        assert!(reads.iter().zip(&writes).all(|(r, w)| r.due == w.due));
        let is_put =
            |w: &Arrival| matches!(w.operation, Operation::Object(ObjectOperation::Put { .. }));
        assert!(writes.iter().all(is_put));
    }

    #[test]
    fn plain_requests_come_as_often_as_their_weights_say() {
        let requests = "[[requests]]\npath = \"/a\"\nweight = 3\n[[requests]]\npath = \"/b\"\n";
        let text = format!("name = \"t\"\nservice = \"o\"\nseed = 7\n{CONSTANT}{requests}");
        let scenario: Scenario = config_file::from_toml("t.toml", &text).unwrap();
        let (mut first, all) = (0_u32, arrivals(&scenario));
        for arrival in &all {
            let Operation::Http(request) = &arrival.operation else { panic!("plain requests") };
            first += u32::from(request.path == "/a");
        }
        // Of 10,000 three quarters, with a standard deviation of 43.
        assert!((7_000..8_000).contains(&first), "{first} of {}", all.len());
        assert_eq!(all, arrivals(&scenario));
    }
}
