//! React: the reactive baseline.
//!
//! T. C. Chieu, A. Mohindra, A. A. Karve and A. Segal, "Dynamic Scaling of Web Applications in a
//! Virtualized Cloud Computing Environment", ICEBE 2009: more when the instances are used above a
//! share, fewer when some idle. They count sessions per instance; here, as in A. Ali-Eldin's
//! implementation (`ahmedaley/Autoscalers`, `Reactive.py`), which later comparisons ran, the load
//! in instances stands for them, with that file's headroom and slack. It could ask for more on the
//! way in (9 instances' load of 10 became 10.8); here it asks for what is at most. The paper itself
//! was not at hand.

use model::decision::Reason;
use model::policies::React;
use model::trail::WentBy;

use super::load_reader::LoadReader;
use super::rounding;
use crate::advice::Advice;
use crate::input::PolicyInput;

/// It remembers the load.
pub(super) type State = LoadReader<()>;

pub(super) fn advise(figures: &React, state: &mut State, input: &PolicyInput) -> Advice {
    state.advise(figures.interval_ms, input, |(), load| scale(figures, load, input.current))
}

pub(super) fn went_by(_: &React, state: &State, input: &PolicyInput, _: Reason) -> Option<WentBy> {
    state.went_by(input)
}

fn scale(figures: &React, load: f64, current: u32) -> Advice {
    let needed = rounding::ceil(load);
    let with_headroom =
        |instances: u32| f64::from(instances) * (100.0 + figures.headroom_percent) / 100.0;
    if needed > current {
        let missing = rounding::floor(with_headroom(needed - current));
        return Advice::ready(current.saturating_add(missing), Reason::OfferedLoad);
    }
    if load * (100.0 + figures.slack_percent) / 100.0 < f64::from(current) {
        let enough = rounding::ceil(with_headroom(needed)).min(current);
        return Advice::ready(enough, Reason::OfferedLoad);
    }
    Advice::ready(current, Reason::InBand)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn out_by_what_is_missing_and_a_fifth_in_to_what_is_needed_and_a_fifth() {
        let asked = |load, current| scale(&React::default(), load, current);
        assert_eq!(asked(9.5, 5), Advice::ready(11, Reason::OfferedLoad), "5 + floor(5 x 1.2)");
        assert_eq!(asked(5.5, 5), Advice::ready(6, Reason::OfferedLoad), "5 + floor(1 x 1.2)");
        assert_eq!(asked(3.5, 10), Advice::ready(5, Reason::OfferedLoad), "ceil(4 x 1.2)");
        assert_eq!(
            asked(9.0, 10),
            Advice::ready(10, Reason::OfferedLoad),
            "never more on the way in"
        );
        assert_eq!(asked(9.5, 10), Advice::ready(10, Reason::InBand), "within the slack");
    }
}
