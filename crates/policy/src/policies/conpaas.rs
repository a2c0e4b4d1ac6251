//! `ConPaaS`: several predictors, of which the best of late is believed.
//!
//! H. Fernandez, G. Pierre and T. Kielmann, "Autoscaling Web Applications in Heterogeneous Cloud
//! Infrastructures", IC2E 2014; read in the first author's program (`ConPaaS-team/conpaas`,
//! `autoscaling/scaler.py` and `prediction_models.py`) and in A. Ali-Eldin's excerpt of it
//! (`ahmedaley/Autoscalers`, `ConPaaSAutoscaler.py`): linear regression, autoregression and
//! exponential smoothing over the last 20 readings, of which the one that erred least on the
//! reading just made is believed for the next one. The gains of smoothing are the program's.
//! Otherwise than there, each forecasts one interval ahead instead of a weighted mean of the next 2
//! to 30, autoregression is of the first order instead of up to the ninth, smoothing has no season,
//! and the vector autoregression with CPU is left out, as in the excerpt. Profiles of unlike
//! instances are left out too: instances of a service are alike. The program reads every 5 minutes
//! and lets 10 minutes pass between changes. The paper itself was not at hand.

use std::collections::VecDeque;

use model::decision::Reason;
use model::policies::Conpaas;
use model::trail::WentBy;
use serde::{Deserialize, Serialize};

use super::holt_winters::{Gains, HoltWinters};
use super::load_reader::{LoadReader, push_bounded};
use super::rounding;
use crate::advice::Advice;
use crate::input::PolicyInput;

/// What it remembers.
pub(super) type State = LoadReader<Predictors>;

/// The readings, and what each predictor made of those before the last.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Predictors {
    /// Loads in instances, newest last.
    #[serde(with = "crate::exact")]
    loads: VecDeque<f64>,
    #[serde(with = "crate::exact")]
    forecasts: Option<[f64; 3]>,
}

/// How smoothing follows level and trend, as in `prediction_models.py`.
const SMOOTHING: Gains = Gains { level: 0.2, trend: 0.1, season: 0.0 };

pub(super) fn advise(figures: &Conpaas, state: &mut State, input: &PolicyInput) -> Advice {
    state.advise(figures.interval_ms, input, |predictors, load| step(figures, predictors, load))
}

pub(super) fn went_by(
    _: &Conpaas,
    state: &State,
    input: &PolicyInput,
    _: Reason,
) -> Option<WentBy> {
    state.went_by(input)
}

fn step(figures: &Conpaas, predictors: &mut Predictors, load: f64) -> Advice {
    let best = predictors.forecasts.map(|forecasts| nearest(forecasts, load));
    push_bounded(&mut predictors.loads, load, figures.readings);
    if predictors.loads.len() < figures.readings {
        return Advice::ready(rounding::ceil(load), Reason::OfferedLoad);
    }
    let loads = &predictors.loads;
    let forecasts = [line(loads), autoregression(loads), smoothing(loads)];
    predictors.forecasts = Some(forecasts);
    let believed = forecasts[best.unwrap_or(0)];
    Advice::ready(rounding::ceil(believed), Reason::Forecast)
}

/// Which forecast came nearest; the first of equal ones.
fn nearest(forecasts: [f64; 3], seen: f64) -> usize {
    let error = |index: &usize| (forecasts[*index] - seen).abs();
    (0..3).min_by(|a, b| error(a).total_cmp(&error(b))).unwrap_or(0)
}

fn mean(values: &VecDeque<f64>) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The next value of the straight line through equidistant values.
fn line(values: &VecDeque<f64>) -> f64 {
    let (mean_x, mean_y) = ((values.len() as f64 - 1.0) / 2.0, mean(values));
    let (mut xx, mut xy) = (0.0, 0.0);
    for (x, y) in (0..).map(f64::from).zip(values) {
        xx += (x - mean_x) * (x - mean_x);
        xy += (x - mean_x) * (y - mean_y);
    }
    let slope = if xx > 0.0 { xy / xx } else { 0.0 };
    // The next x lies half the number of values and a half past the middle.
    mean_y + slope * (mean_x + 1.0)
}

/// The next value of a process that falls back to its mean by a factor: the correlation of each
/// value with the one before.
fn autoregression(values: &VecDeque<f64>) -> f64 {
    let mean = mean(values);
    let product = |lag: usize| -> f64 {
        values.iter().zip(values.iter().skip(lag)).map(|(a, b)| (a - mean) * (b - mean)).sum()
    };
    let variance = product(0);
    let factor = if variance > 0.0 { product(1) / variance } else { 0.0 };
    mean + factor * (values.back().copied().unwrap_or(mean) - mean)
}

/// The next value after smoothing level and trend.
fn smoothing(values: &VecDeque<f64>) -> f64 {
    let mut model = HoltWinters::default();
    for value in values {
        model.observe(*value, 0, 0, SMOOTHING);
    }
    model.ahead(1.0, 0).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loads(values: &[f64]) -> VecDeque<f64> {
        values.iter().copied().collect()
    }

    #[test]
    fn each_predictor_does_what_its_name_says() {
        assert!((line(&loads(&[1.0, 3.0, 5.0, 7.0])) - 9.0).abs() < 1e-9);
        // Mean 2, deviations 1, -1, 1, -1: lag 1 gives -3 / 4, and the last deviation is -1.
        assert!((autoregression(&loads(&[3.0, 1.0, 3.0, 1.0])) - 2.75).abs() < 1e-9);
        // Levels 10, 12 and trend 0.1 x 2.
        assert!((smoothing(&loads(&[10.0, 20.0])) - 12.2).abs() < 1e-9);
        assert!((autoregression(&loads(&[4.0; 5])) - 4.0).abs() < 1e-9);
    }

    #[test]
    fn until_there_are_enough_readings_the_load_decides() {
        let (policy, mut predictors) = (Conpaas::default(), Predictors::default());
        for _ in 0..19 {
            let advice = step(&policy, &mut predictors, 2.5);
            assert_eq!(advice, Advice::ready(3, Reason::OfferedLoad));
        }
        assert_eq!(step(&policy, &mut predictors, 2.5), Advice::ready(3, Reason::Forecast));
    }

    #[test]
    fn the_predictor_that_erred_least_is_believed_next() {
        let policy = Conpaas { readings: 4, ..Conpaas::default() };
        let mut predictors = Predictors::default();
        for load in [3.0, 1.0, 3.0, 1.0] {
            let _ = step(&policy, &mut predictors, load);
        }
        // Autoregression said 2.75, the line 1, smoothing 2.24: seen was 3.
        assert_eq!(nearest(predictors.forecasts.unwrap(), 3.0), 1);
        let advice = step(&policy, &mut predictors, 3.0);
        // Now of 1, 3, 1, 3: mean 2, factor -3 / 4, last deviation 1: 1.25.
        assert_eq!(advice, Advice::ready(2, Reason::Forecast));
    }
}
