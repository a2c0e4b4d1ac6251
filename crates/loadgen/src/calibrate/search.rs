//! The search for the highest rate that meets the objective, as a state machine without I/O.

use run::calibration::{LimitedBy, Verdict};

/// The search is over when the lowest rate missed is at most this much above the highest one met.
const PRECISION: f64 = 1.03;
/// How many trials in a row must meet a rate before it counts as met. Long queues are rare and long: most short loads
/// have none, so that one trial alone, or two of three, flatter (by 5% with one instance).
const TRIALS_TO_MEET: u32 = 2;
/// After this many trials in which the generator was the bottleneck, the rate is beyond the generator.
const TRIALS_UNCLEAR: u32 = 3;
/// From a guess wrong by a factor of two, 24 trials find the rate at most when each answers alike.
const MAX_TRIALS: u32 = 30;
/// A rate that many times below or above the guess is not looked for.
const REACH: f64 = 16.0;

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Step {
    /// Offer this rate, in requests per second, and say what came of it.
    Try(f64),
    /// There is no more to do.
    Found(Found),
}

/// What a search has found; rates in requests per second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Found {
    /// The highest rate that met the objective.
    pub(crate) met: Option<f64>,
    /// The lowest one that did not.
    pub(crate) missed: Option<f64>,
    /// What keeps it from being higher.
    pub(crate) limited_by: LimitedBy,
}

/// A search under way: from the guess up or down in growing strides until one rate is met and one
/// is missed, then between the two.
#[derive(Debug, Clone)]
pub(crate) struct Search {
    guess: f64,
    rate: f64,
    /// Trials at this rate that met the objective, and unclear ones.
    trials_met: u32,
    trials_unclear: u32,
    stride: f64,
    met: Option<f64>,
    missed: Option<f64>,
    /// Whether `missed` was the generator's doing.
    generator: bool,
    trials: u32,
}

impl Search {
    /// A search that begins at `guess`, in requests per second, and from there with a `stride`,
    /// such as 0.08 for 8%.
    pub(crate) fn new(guess: f64, stride: f64) -> Self {
        Self {
            guess,
            rate: guess,
            trials_met: 0,
            trials_unclear: 0,
            stride,
            met: None,
            missed: None,
            generator: false,
            trials: 0,
        }
    }

    /// What to do next; the same until something is heard.
    pub(crate) fn next(&self) -> Step {
        let found =
            |limited_by| Step::Found(Found { met: self.met, missed: self.missed, limited_by });
        match (self.met, self.missed) {
            (Some(met), Some(missed)) if missed / met <= PRECISION => {
                found(if self.generator { LimitedBy::Generator } else { LimitedBy::Service })
            }
            _ if self.trials >= MAX_TRIALS || !self.is_in_reach() => found(LimitedBy::Trials),
            _ => Step::Try(self.rate),
        }
    }

    /// The trial that [`Self::next`] asked for said this.
    pub(crate) fn heard(&mut self, verdict: Verdict) {
        self.trials += 1;
        match verdict {
            Verdict::Met => self.trials_met += 1,
            Verdict::Missed => {}
            Verdict::Unclear => self.trials_unclear += 1,
        }
        if self.trials_met == TRIALS_TO_MEET {
            self.met = Some(self.rate);
        } else if verdict == Verdict::Missed || self.trials_unclear == TRIALS_UNCLEAR {
            self.missed = Some(self.rate);
            self.generator = verdict == Verdict::Unclear;
        } else {
            return;
        }
        (self.trials_met, self.trials_unclear) = (0, 0);
        self.rate = match (self.met, self.missed) {
            (Some(met), Some(missed)) => (met * missed).sqrt(),
            (Some(met), None) => met * self.stride(),
            (None, Some(missed)) => missed / self.stride(),
            (None, None) => self.rate,
        };
    }

    /// The factor of the next stride; each is twice as long as the one before.
    fn stride(&mut self) -> f64 {
        let factor = 1.0 + self.stride;
        self.stride *= 2.0;
        factor
    }

    fn is_in_reach(&self) -> bool {
        let ratio = self.rate / self.guess;
        (1.0 / REACH..=REACH).contains(&ratio)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Runs a search whose trials answer `answer(rate)`; also how many trials it took.
    fn run(mut search: Search, mut answer: impl FnMut(f64) -> Verdict) -> (Found, u32) {
        for trials in 0.. {
            match search.next() {
                Step::Try(rate) => search.heard(answer(rate)),
                Step::Found(found) => return (found, trials),
            }
        }
        unreachable!("a search ends")
    }

    fn up_to(capacity: f64) -> impl FnMut(f64) -> Verdict {
        move |rate| if rate <= capacity { Verdict::Met } else { Verdict::Missed }
    }

    #[test]
    fn a_good_guess_takes_few_trials() {
        let (found, trials) = run(Search::new(50.0, 0.03), up_to(51.0));
        let expected =
            Found { met: Some(50.0), missed: Some(51.5), limited_by: LimitedBy::Service };
        assert_eq!((found, trials), (expected, 3));
    }

    #[test]
    fn a_rate_is_met_by_two_trials_and_missed_by_one() {
        let mut search = Search::new(50.0, 0.08);
        search.heard(Verdict::Met);
        assert_eq!(search.next(), Step::Try(50.0));
        search.heard(Verdict::Met);
        assert_eq!(search.next(), Step::Try(54.0));
        search.heard(Verdict::Met);
        search.heard(Verdict::Missed);
        assert_eq!(search.next(), Step::Try((50.0f64 * 54.0).sqrt()));
    }

    #[test]
    fn what_the_generator_could_not_offer_is_not_the_services_limit() {
        let answer = |rate| if rate <= 100.0 { Verdict::Met } else { Verdict::Unclear };
        let (found, _) = run(Search::new(90.0, 0.08), answer);
        assert_eq!(found.limited_by, LimitedBy::Generator);
        assert!(found.met.is_some_and(|met| (97.0..=100.0).contains(&met)), "{found:?}");
        // One unclear trial among clear ones changes nothing.
        let mut unclear = true;
        let answer = |rate| match std::mem::take(&mut unclear) {
            true => Verdict::Unclear,
            false => up_to(100.0)(rate),
        };
        assert_eq!(run(Search::new(90.0, 0.08), answer).0.limited_by, LimitedBy::Service);
    }

    #[test]
    fn a_service_that_serves_nothing_or_everything_ends_the_search() {
        let (found, _) = run(Search::new(50.0, 0.08), |_| Verdict::Missed);
        assert_eq!((found.met, found.limited_by), (None, LimitedBy::Trials));
        let (found, _) = run(Search::new(50.0, 0.08), |_| Verdict::Met);
        assert_eq!((found.missed, found.limited_by), (None, LimitedBy::Trials));
    }

    proptest! {
        #[test]
        fn a_capacity_is_found_within_the_precision(
            capacity in 0.5..20_000.0f64, wrong_by in 0.5..2.0f64, stride in 0.02..0.1f64,
        ) {
            let (found, trials) = run(Search::new(capacity * wrong_by, stride), up_to(capacity));
            let (met, missed) = (found.met.unwrap(), found.missed.unwrap());
            prop_assert!(met <= capacity && capacity < missed && missed / met <= PRECISION);
            prop_assert_eq!(found.limited_by, LimitedBy::Service);
            prop_assert!(trials <= MAX_TRIALS, "{}", trials);
        }

        /// Trials are the less certain the nearer the rate is to the capacity; 4% off, one in ten
        /// still answers wrongly.
        #[test]
        fn noisy_answers_lead_near_the_capacity(
            capacity in 10.0..1_000.0f64, wrong_by in 0.8..1.2f64, chances in prop::collection::vec(0.0..1.0f64, 64),
        ) {
            let mut chances = chances.into_iter().cycle();
            let noisy = |rate: f64| {
                let off = (rate / capacity).ln();
                let met = 1.0 / (1.0 + (off / 0.018).exp());
                if chances.next().unwrap() < met { Verdict::Met } else { Verdict::Missed }
            };
            let (found, trials) = run(Search::new(capacity * wrong_by, 0.08), noisy);
            prop_assert!(trials <= MAX_TRIALS);
            prop_assert!(found.met.is_some_and(|met| (0.8..1.2).contains(&(met / capacity))), "{found:?}");
        }

        #[test]
        fn any_answers_end_the_search_with_a_bracket_in_order(answers in prop::collection::vec(0..3u8, 40)) {
            let mut answers = answers.into_iter();
            let answer = |_| match answers.next().unwrap() {
                0 => Verdict::Met,
                1 => Verdict::Missed,
                _ => Verdict::Unclear,
            };
            let (found, trials) = run(Search::new(50.0, 0.08), answer);
            prop_assert!(trials <= MAX_TRIALS);
            if let (Some(met), Some(missed)) = (found.met, found.missed) {
                prop_assert!(met < missed);
            }
        }
    }
}
