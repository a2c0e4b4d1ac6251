//! A figure: its value and unit, which way is better, and what it says; and how it compares with
//! that of another run.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::numbers::{number, signed};

/// Two values that differ by less than this share of the larger one are called the same: less than
/// what two runs of the same seed on the same machine differ by.
const SAME: f64 = 0.01;

/// What a figure is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// What the clients got.
    Service,
    /// How supply followed demand.
    Elasticity,
    /// What it took.
    Cost,
    /// What the scaler did.
    Scaling,
    /// Whether the generator can be trusted.
    Generator,
}

impl Group {
    /// Its title.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Service => "What the clients got",
            Self::Elasticity => "How supply followed demand",
            Self::Cost => "What it took",
            Self::Scaling => "What the scaler did",
            Self::Generator => "The load generator itself",
        }
    }
}

/// Which values are good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// Small ones.
    Less,
    /// Large ones.
    More,
    /// Those near 0.
    NearZero,
    /// It depends.
    Neither,
}

/// One figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// Its key in JSON, with dots between the levels.
    pub key: String,
    /// What it is about.
    pub group: Group,
    /// Its name.
    pub name: String,
    /// Its value; `None` when it is not known.
    pub value: Option<f64>,
    /// Its unit, as written behind the value.
    pub unit: String,
    /// Which values are good.
    pub better: Better,
    /// What it says, in a sentence or two.
    pub explanation: String,
}

/// How a value compares with another run's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is better.
    Better,
    /// It is worse.
    Worse,
    /// It is the same, within 1%.
    Same,
    /// It is other, which is neither good nor bad, or one of the two is not known.
    Open,
}

/// A figure beside that of another run.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference<'a> {
    /// The figure of this run.
    pub figure: &'a Figure,
    /// The value of the other run.
    pub other: Option<f64>,
    /// This run's value less the other's.
    pub change: Option<f64>,
    /// The same in percent of the other's; `None` when that is 0.
    pub change_percent: Option<f64>,
    /// Which of the two is better.
    pub verdict: Verdict,
}

/// The figures by key, as they are written in JSON; unknown ones are null.
pub fn by_key(figures: &[Figure]) -> BTreeMap<&str, Option<f64>> {
    figures.iter().map(|f| (f.key.as_str(), f.value)).collect()
}

/// This run's figures beside the other's of the same keys.
pub fn differences<'a>(figures: &'a [Figure], other: &[Figure]) -> Vec<Difference<'a>> {
    let other = by_key(other);
    let difference = |figure: &'a Figure| {
        let other = other.get(figure.key.as_str()).copied().flatten();
        let both = figure.value.zip(other);
        let change = both.map(|(own, other)| own - other);
        let change_percent =
            both.filter(|b| b.1 != 0.0).map(|(own, other)| 100.0 * (own - other) / other.abs());
        let verdict = both.map_or(Verdict::Open, |(own, other)| figure.better.judge(own, other));
        Difference { figure, other, change, change_percent, verdict }
    };
    figures.iter().map(difference).collect()
}

impl Difference<'_> {
    /// The change in words, such as `+3 (+50%)`; two values that are written alike are the same.
    pub fn change_told(&self) -> String {
        let (Some(own), Some(other), Some(change)) = (self.figure.value, self.other, self.change)
        else {
            return String::new();
        };
        if number(own) == number(other) {
            return "same".to_owned();
        }
        let percent = self.change_percent;
        let percent = percent.map_or_else(String::new, |p| format!(" ({}%)", signed(p)));
        format!("{}{percent}", signed(change))
    }
}

impl Better {
    fn judge(self, own: f64, other: f64) -> Verdict {
        if (own - other).abs() <= SAME * own.abs().max(other.abs()) {
            return Verdict::Same;
        }
        let is_better = match self {
            Self::Less => own < other,
            Self::More => own > other,
            Self::NearZero => own.abs() < other.abs(),
            Self::Neither => return Verdict::Open,
        };
        if is_better { Verdict::Better } else { Verdict::Worse }
    }
}
