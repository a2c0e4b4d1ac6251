//! Whether a new version does worse than the one that serves, while one instance of it is watched beside all
//! of the other.
//!
//! Both take requests from the same clients in the same time, so that what ails the host, a service behind
//! both, or the requests themselves shows in both and tells nothing against the new one.

use std::collections::BTreeMap;
use std::time::Duration;

use model::instance::{Ended, Phase};
use model::version::Version;
use model::watch::{Answers, VersionFigures, Watched};

use crate::fleet::{Fleet, Instance, count};

/// Failed answers below which their share tells nothing.
const FAILED_MIN: u64 = 3;

/// How many times likelier what is seen must be where each version has the share of failed answers that it shows
/// than where both have the same. Versions that are alike pass 90 in at most 4 of 100 watches of 500 answers, with a
/// look at each, whatever share they have; and in fewer than 1 of 100 where it is a thousandth.
const EVIDENCE: f64 = 90.0;

/// How much larger the share of failed answers must be, whatever the evidence: of many thousands a second, a
/// hundredth more can be told and is no reason to go back.
const LARGER: f64 = 1.5;

/// What is found of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is too early to tell.
    GoesOn,
    /// It was watched for its time and did no worse.
    Good,
    /// It does worse, as this clause says.
    Bad(String),
}

/// What one look adds to what is known of two versions.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// Answers since the look before, by version.
    pub answers: &'a BTreeMap<Version, Answers>,
    /// The instances now.
    pub fleet: &'a Fleet,
    /// Those that ended by themselves since the look before.
    pub ended: &'a [Ended],
}

impl Look<'_> {
    /// What is known of the version `old`, which serves, and of `new` after this look.
    #[must_use]
    pub fn after(&self, before: Watched, old: Version, new: Version) -> Watched {
        Watched { old: self.figures(before.old, old), new: self.figures(before.new, new) }
    }

    fn figures(&self, before: VersionFigures, version: Version) -> VersionFigures {
        let VersionFigures { mut answers, mut ended, .. } = before;
        answers += self.answers.get(&version).copied().unwrap_or_default();
        let own = self.ended.iter().filter(|ended| ended.version == Some(version)).count();
        ended = ended.saturating_add(u32::try_from(own).unwrap_or(u32::MAX));
        let is_own = |instance: &&Instance| instance.version == Some(version);
        let ready = || self.fleet.in_phase(Phase::Ready).filter(is_own);
        let unwell = count(ready().filter(|instance| !instance.is_well()));
        VersionFigures { answers, ended, ready: count(ready()), unwell }
    }
}

/// The verdict on the new version after it was watched for `elapsed` of the time `watch`, beside version `old`.
///
/// An instance that ends by itself, or one that is unwell while most of the old ones are not, is enough. Failed
/// answers must be several, and more than those of the old version in the same time would lead to expect. Where
/// nothing speaks against it, be it for want of requests, it is good when its time is over.
pub fn judge(watched: &Watched, old: Version, elapsed: Duration, watch: Duration) -> Verdict {
    let Watched { old: before, new } = watched;
    if new.ended > 0 {
        return Verdict::Bad(
            "the new version's instance ended by itself while it was watched".to_owned(),
        );
    }
    // Where half of them are, the host is short of something.
    let is_host_well = before.unwell == 0 || 2 * before.unwell < before.ready;
    if new.unwell > 0 && is_host_well {
        return Verdict::Bad(format!(
            "the new version's instance failed its health checks while it was watched, and {} of {} of version {old} did",
            before.unwell, before.ready
        ));
    }
    if fails_more(before.answers, new.answers) {
        return Verdict::Bad(format!(
            "{} of {} answers of the new version were 5xx or broke off, and {} of {} of version {old}",
            new.answers.failed, new.answers.all, before.answers.failed, before.answers.all
        ));
    }
    if elapsed >= watch { Verdict::Good } else { Verdict::GoesOn }
}

/// Whether the new version fails more of its answers than the old one, which is more than chance (a G-test, whose
/// logarithm of the ratio of likelihoods is compared instead of a quantile, for there is a look every tick).
///
/// Where every second answer fails and none of the old version, 6 of 12 are enough with one old instance, 4 of 8
/// with two, and 3 of 6 with four: within 3 s from 7 requests/s on, all instances together.
fn fails_more(old: Answers, new: Answers) -> bool {
    if new.failed < FAILED_MIN || old.all == 0 {
        return false;
    }
    let together = share(Answers { all: old.all + new.all, failed: old.failed + new.failed });
    let evidence = gain(old, together) + gain(new, together);
    share(new) >= LARGER * share(old) && evidence >= EVIDENCE.ln()
}

/// The share of failed answers. An answer that broke off can be counted twice, as one and as failed.
fn share(answers: Answers) -> f64 {
    // Counts of a watch are far below 2^53, up to where this is exact.
    answers.failed as f64 / answers.all.max(answers.failed) as f64
}

/// By how much the share that is seen explains these answers better than `other`: the logarithm of the ratio of
/// their likelihoods.
fn gain(answers: Answers, other: f64) -> f64 {
    let seen = share(answers);
    let part = |q: f64, p: f64| if q > 0.0 { q * (q / p).ln() } else { 0.0 };
    answers.all as f64 * (part(seen, other) + part(1.0 - seen, 1.0 - other))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{ContainerPresence, InstanceObservation, RotationState};
    use crate::testing::{VERSION, observation, seconds};

    const NEW: Version = Version::new(2);
    const WATCH: Duration = Duration::from_secs(5);

    const fn answers(failed: u64, all: u64) -> Answers {
        Answers { all, failed }
    }

    /// What is seen where these of the answers failed.
    fn seen(old: Answers, new: Answers) -> Watched {
        let figures = |answers, ready| VersionFigures { answers, ready, ..Default::default() };
        Watched { old: figures(old, 4), new: figures(new, 1) }
    }

    fn after_ms(watched: &Watched, ms: u64) -> Verdict {
        judge(watched, VERSION, Duration::from_millis(ms), WATCH)
    }

    fn is_bad(old: Answers, new: Answers) -> bool {
        matches!(after_ms(&seen(old, new), 1_000), Verdict::Bad(_))
    }

    #[test]
    fn a_version_that_nothing_speaks_against_is_good_when_its_time_is_over_and_not_before() {
        for watched in [seen(answers(0, 0), answers(0, 0)), seen(answers(0, 400), answers(2, 100))]
        {
            assert_eq!(after_ms(&watched, 4_999), Verdict::GoesOn);
            assert_eq!(after_ms(&watched, 5_000), Verdict::Good);
        }
    }

    #[test]
    fn a_few_failed_answers_tell_nothing() {
        for new in [answers(1, 1), answers(2, 2), answers(2, 4), answers(3, 300)] {
            assert!(!is_bad(answers(0, 200), new), "{new:?}");
        }
    }

    #[test]
    fn every_second_answer_failing_is_told_by_the_sixth_of_them_or_sooner() {
        let first = |old_instances: u64| {
            (1..100).find(|failed| {
                let new = answers(*failed, 2 * failed);
                is_bad(answers(0, 2 * failed * old_instances), new)
            })
        };
        assert_eq!([1, 2, 4, 20].map(first), [Some(6), Some(4), Some(3), Some(3)]);
        assert!(is_bad(answers(0, 4), answers(4, 4)), "all of them");
    }

    #[test]
    fn what_fails_in_the_old_version_as_well_is_not_held_against_the_new_one() {
        assert!(!is_bad(answers(50, 100), answers(50, 100)));
        assert!(!is_bad(answers(500, 10_000), answers(60, 1_000)), "a sixth more than 5 %");
        assert!(is_bad(answers(500, 10_000), answers(100, 1_000)), "twice as many");
        assert!(is_bad(answers(60, 100), answers(100, 100)));
    }

    #[test]
    fn with_nothing_to_compare_it_with_no_answer_is_held_against_it() {
        assert!(!is_bad(answers(0, 0), answers(40, 40)));
        assert!(is_bad(answers(0, 2), answers(40, 40)));
    }

    /// A stream of chance that is the same in each run (Knuth's multiplier and increment).
    fn chances(mut state: u64) -> impl FnMut(f64) -> bool {
        move |share| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) as f64) < share * f64::from(1_u32 << 31)
        }
    }

    #[test]
    fn a_version_that_fails_as_often_as_the_old_one_is_seldom_given_up_however_often_it_is_looked_at()
     {
        let mut chance = chances(7);
        for share in [0.001, 0.01, 0.05, 0.2, 0.5] {
            let mut given_up = |_: &u32| {
                let (mut old, mut new) = (answers(0, 0), answers(0, 0));
                (0..500).any(|_| {
                    for side in [&mut old, &mut new] {
                        *side += answers(u64::from(chance(share)), 1);
                    }
                    is_bad(old, new)
                })
            };
            let wrong = (0..1_000).filter(|watch| given_up(watch)).count();
            let allowed = if share < 0.01 { 10 } else { 40 };
            assert!(wrong <= allowed, "{wrong} of 1,000 watches at {share}");
        }
    }

    #[test]
    fn an_instance_that_ends_by_itself_or_is_unwell_alone_is_enough() {
        let calm = seen(answers(0, 9), answers(0, 3));
        let ended = VersionFigures { ended: 1, ..calm.new };
        let verdict = after_ms(&Watched { new: ended, ..calm }, 100);
        assert_eq!(
            verdict,
            Verdict::Bad("the new version's instance ended by itself while it was watched".into())
        );
        let unwell = |figures| VersionFigures { unwell: 1, ..figures };
        let new = unwell(calm.new);
        assert!(matches!(after_ms(&Watched { new, ..calm }, 100), Verdict::Bad(_)));
        let one = VersionFigures { unwell: 1, ..calm.old };
        let two = VersionFigures { unwell: 2, ..calm.old };
        assert!(matches!(after_ms(&Watched { old: one, new }, 100), Verdict::Bad(_)));
        // Seen on a host that stood still for 3 s: HAProxy's checks of two of four timed out, and of the new one.
        assert_eq!(after_ms(&Watched { old: two, new }, 100), Verdict::GoesOn);
        assert_eq!(after_ms(&Watched { old: two, ..calm }, 100), Verdict::GoesOn);
    }

    #[test]
    fn a_reason_has_the_figures_of_both() {
        let Verdict::Bad(reason) = after_ms(&seen(answers(0, 310), answers(12, 24)), 900) else {
            panic!("it goes on")
        };
        insta::assert_snapshot!(reason, @"12 of 24 answers of the new version were 5xx or broke off, and 0 of 310 of version 00000001");
    }

    #[test]
    fn looks_add_up_by_version_and_what_is_of_neither_is_left_out() {
        let ready = |slot, version| {
            let healthy = RotationState::In { healthy: true };
            let seen = observation(slot, ContainerPresence::Running, healthy);
            InstanceObservation { version, ..seen }
        };
        let third = Version::new(3);
        let all =
            [(1, Some(VERSION)), (2, Some(VERSION)), (3, Some(NEW)), (4, Some(third)), (5, None)];
        let all = all.map(|(slot, version)| ready(slot, version)).to_vec();
        let ended = [(Some(VERSION), 1), (Some(third), 4), (None, 5)].map(|(version, slot)| {
            Ended { instance: ready(slot, version).name, version, last_lines: Vec::new() }
        });
        let fleet = Fleet::observed(&Fleet::default(), all, WATCH, seconds(0));
        let counted = [(VERSION, answers(1, 9)), (NEW, answers(2, 3)), (third, answers(5, 5))];
        let look = Look { answers: &counted.into(), fleet: &fleet, ended: &ended };
        let twice = look.after(look.after(Watched::default(), VERSION, NEW), VERSION, NEW);
        let old = VersionFigures { answers: answers(2, 18), ended: 2, ready: 2, unwell: 0 };
        let new = VersionFigures { answers: answers(4, 6), ended: 0, ready: 1, unwell: 0 };
        assert_eq!(twice, Watched { old, new });
    }
}
