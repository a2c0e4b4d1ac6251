//! What the instances of a run cost: hours as used and as charged, and money under a price table.
//!
//! A. Ilyushkin et al. (ICPE 2017) tabulate hours as accounted (used) beside hours as charged (each
//! instance rounded up to started hours), with the launches: a policy that flaps is cheap by the
//! first and dear by the second.

use model::action::ActionKind;
use model::names::InstanceName;
use model::tick::Tick;
use model::value::{Checked, Invalid, check};
use serde::Deserialize;

/// An hour, in seconds.
const HOUR_S: f64 = 3_600.0;

/// The time from an instance's launch to its stop, in seconds since the start of the load, cut at
/// the ends of the record.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Life {
    /// Its launch was planned, or the record began.
    pub from_s: f64,
    /// It was gone, or the record ended.
    pub to_s: f64,
    /// The launch lies within the record.
    pub launched: bool,
}

/// How a type of instance is charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Billing {
    /// By the second, from a least time on.
    Second,
    /// By the hour, every started one in full.
    StartedHour,
}

/// The price of one type of instance.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstanceType {
    /// Its name, for the table.
    pub name: String,
    /// How its time is charged.
    pub billing: Billing,
    /// Price of an hour, in the table's currency.
    pub price_per_hour: f64,
    /// Seconds that every instance is charged at least; for billing by the second.
    #[serde(default)]
    pub minimum_s: f64,
    /// Price of a launch.
    #[serde(default)]
    pub price_per_launch: f64,
}

/// Prices of instances by type: the run is charged as if it had run on each of them.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceTable {
    /// What the prices are in, such as `EUR`.
    pub currency: String,
    /// The types.
    pub types: Vec<InstanceType>,
}

impl Checked for PriceTable {
    type Raw = Self;

    fn from_raw(table: Self) -> Result<Self, Invalid> {
        for (index, of) in table.types.iter().enumerate() {
            let figures = [
                ("price_per_hour", of.price_per_hour),
                ("minimum_s", of.minimum_s),
                ("price_per_launch", of.price_per_launch),
            ];
            for (key, value) in figures {
                let holds = value.is_finite() && value >= 0.0;
                check(holds, format!("types[{index}].{key}"), value, "a number of at least 0")?;
            }
        }
        Ok(table)
    }
}

impl InstanceType {
    /// What these instances cost, in the table's currency.
    pub fn cost(&self, lives: &[Life]) -> f64 {
        let hours: f64 = match self.billing {
            Billing::Second => lives.iter().map(|l| l.seconds().max(self.minimum_s) / HOUR_S).sum(),
            Billing::StartedHour => charged_hours(lives),
        };
        hours * self.price_per_hour + launches(lives) as f64 * self.price_per_launch
    }
}

impl Life {
    fn seconds(&self) -> f64 {
        (self.to_s - self.from_s).max(0.0)
    }
}

/// Hours as charged by the started hour.
pub fn charged_hours(lives: &[Life]) -> f64 {
    lives.iter().map(|l| (l.seconds() / HOUR_S).ceil().max(1.0)).sum()
}

/// Launches within the record.
pub fn launches(lives: &[Life]) -> usize {
    lives.iter().filter(|l| l.launched).count()
}

/// The lives of all instances from the start of the load, at `started_at_ms`, to `end_s` seconds
/// after it, see [`Lives`].
pub fn lives(ticks: &[Tick], started_at_ms: u64, before: u32, end_s: f64) -> Vec<Life> {
    let mut lives = Lives::new(started_at_ms);
    ticks.iter().for_each(|tick| lives.take(tick));
    lives.until(before, end_s)
}

/// Lives in the making, tick by tick: a fortnight's ticks need not be kept for them.
#[derive(Debug, Clone)]
pub struct Lives {
    started_at_ms: u64,
    /// Since when, in seconds.
    running: Vec<(InstanceName, f64)>,
    ended: Vec<Life>,
    stopped_before: u32,
}

impl Lives {
    /// None yet; the load starts at `started_at_ms`.
    pub const fn new(started_at_ms: u64) -> Self {
        Self { started_at_ms, running: Vec::new(), ended: Vec::new(), stopped_before: 0 }
    }

    /// Takes in the next tick.
    pub fn take(&mut self, tick: &Tick) {
        let started_at_ms = self.started_at_ms as f64;
        let at = |ms: u64| (ms as f64 - started_at_ms) / 1_000.0;
        for action in tick.plan.iter().filter(|a| a.kind == ActionKind::Clone) {
            self.running.push((action.instance.clone(), at(tick.at.as_millis())));
        }
        for done in &tick.done {
            let to_s = at(done.finished_at.as_millis());
            let place = self.running.iter().position(|(name, _)| *name == done.instance);
            match (done.kind, &done.error, place) {
                (ActionKind::Clone, Some(_), Some(place)) => {
                    self.running.swap_remove(place);
                }
                (ActionKind::Stop | ActionKind::Kill, None, Some(place)) => {
                    let (_, from_s) = self.running.swap_remove(place);
                    self.ended.push(Life { from_s, to_s, launched: true });
                }
                (ActionKind::Stop | ActionKind::Kill, None, None) => {
                    self.stopped_before += 1;
                    self.ended.push(Life { from_s: 0.0, to_s, launched: false });
                }
                _ => {}
            }
        }
    }

    /// All of them, where `before` instances existed at the start. An instance that breaks and that
    /// no stop is recorded of counts to the end; a launch that failed does not count.
    pub fn until(self, before: u32, end_s: f64) -> Vec<Life> {
        let mut lives = self.ended;
        let kept = before.saturating_sub(self.stopped_before);
        lives.extend((0..kept).map(|_| Life { from_s: 0.0, to_s: end_s, launched: false }));
        let running = self.running.iter();
        lives.extend(running.map(|&(_, from_s)| Life { from_s, to_s: end_s, launched: true }));
        lives
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(from_s: f64, to_s: f64) -> Life {
        Life { from_s, to_s, launched: from_s > 0.0 }
    }

    const TABLE: &str = r#"
        currency = "EUR"
        [[types]]
        name = "by the second"
        billing = "second"
        price_per_hour = 0.036
        minimum_s = 60
        [[types]]
        name = "by the hour"
        billing = "started_hour"
        price_per_hour = 0.05
        price_per_launch = 0.01
    "#;

    #[test]
    fn costs_by_hand() {
        // Two hours and a second, and twice ten seconds.
        let lives = [life(0.0, 7_201.0), life(10.0, 20.0), life(30.0, 40.0)];
        assert!((charged_hours(&lives) - 5.0).abs() < 1e-12);
        assert_eq!(launches(&lives), 2);
        let table = config_file::from_toml::<PriceTable>("prices.toml", TABLE).unwrap();
        // 0.01 EUR for 1,000 s: 7,201 s and twice the least of 60 s.
        assert!((table.types[0].cost(&lives) - 0.073_21).abs() < 1e-9);
        assert!((table.types[1].cost(&lives) - (0.25 + 0.02)).abs() < 1e-9);
    }

    #[test]
    fn an_impossible_price_is_named() {
        let error = |from: &str, to: &str| {
            let text = TABLE.replace(from, to);
            config_file::from_toml::<PriceTable>("prices.toml", &text).unwrap_err().to_string()
        };
        assert_eq!(
            error("0.036", "-1"),
            "prices.toml, line 6: types[0].price_per_hour is -1: use a number of at least 0"
        );
        assert!(error("started_hour", "moon").contains("expected `second` or `started_hour`"));
        assert!(error("minimum_s", "least_s").contains("unknown field `least_s`"));
    }

    fn tick(at_ms: u64, plan: &str, done: &str) -> Tick {
        let json = format!(
            r#"{{"sequence":1,"at_ms":{at_ms},"service":"a","observation":{{"offered_rps":null,
            "served_rps":null,"rejected_rps":null,"queued":null,"in_flight":null,"cpu_cores":null,
            "phases":{{"starting":0,"ready":1,"draining":0,"failed":0}}}},
            "decision":{{"kind":"hold","reasons":["NoData"]}},"plan":[{plan}],"blocked":[],
            "done":[{done}]}}"#
        );
        serde_json::from_str(&json).unwrap()
    }

    fn done(action: &str, slot: u32, finished_at_ms: u64, error: &str) -> String {
        format!(
            r#"{{"action":"{action}","instance":"bw-a-{slot}-x","slot":{slot},"planned_at_ms":0,
            "finished_at_ms":{finished_at_ms},"error":{error}}}"#
        )
    }

    #[test]
    fn a_life_goes_from_the_planned_launch_to_the_end_of_the_stop() {
        let clone =
            |slot| format!(r#"{{"action":"clone","instance":"bw-a-{slot}-x","slot":{slot}}}"#);
        let ticks = [
            tick(11_000, &format!("{},{},{}", clone(2), clone(3), clone(4)), ""),
            tick(
                12_000,
                "",
                &format!(
                    "{},{}",
                    done("clone", 2, 11_900, "null"),
                    done("clone", 3, 11_950, "\"no\"")
                ),
            ),
            tick(
                15_000,
                "",
                &format!("{},{}", done("stop", 2, 14_500, "null"), done("stop", 1, 14_600, "null")),
            ),
        ];
        let lives = lives(&ticks, 10_000, 2, 9.0);
        let life = |from_s, to_s, launched| Life { from_s, to_s, launched };
        assert_eq!(
            lives,
            [
                life(1.0, 4.5, true),
                life(0.0, 4.6, false),
                life(0.0, 9.0, false),
                life(1.0, 9.0, true)
            ]
        );
    }
}
