//! The scenario file as it stands, before any value is judged. Unknown keys are refused here.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::phases::{Pacing, RateUnit};

/// A scenario's file as it is written, before any value is checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawScenario {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) description: String,
    pub(crate) service: String,
    pub(crate) seed: u64,
    pub(crate) pacing: Option<Pacing>,
    pub(crate) unit: Option<RateUnit>,
    #[serde(default)]
    pub(crate) warm_up_s: f64,
    #[serde(default)]
    pub(crate) settle_s: f64,
    #[serde(default = "default_timeout_ms")]
    pub(crate) timeout_ms: u32,
    #[serde(default = "default_in_flight")]
    pub(crate) in_flight: u32,
    #[serde(default)]
    pub(crate) phases: Vec<RawPhase>,
    pub(crate) delay_factor: Option<f64>,
    #[serde(default)]
    pub(crate) stages: Vec<RawStage>,
    pub(crate) objects: Option<RawObjects>,
    #[serde(default)]
    pub(crate) requests: Vec<RawHttpRequest>,
    #[serde(default)]
    pub(crate) limits: RawLimits,
    #[serde(default)]
    pub(crate) each_membership: bool,
}

fn default_timeout_ms() -> u32 {
    10_000
}

fn default_in_flight() -> u32 {
    4_096
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum RawPhase {
    Constant { duration_s: f64, rate: f64 },
    Ramp { duration_s: f64, from: f64, to: f64 },
    Steps { duration_s: f64, from: f64, to: f64, steps: u32 },
    Spike { duration_s: f64, base: f64, peak: f64, peak_start_s: f64, peak_s: f64 },
    Sine { duration_s: f64, mean: f64, amplitude: f64, period_s: f64 },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawStage {
    pub(crate) threads: u32,
    pub(crate) requests_per_thread: u32,
    pub(crate) max_delay_ms: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawObjects {
    pub(crate) get: u32,
    pub(crate) put: u32,
    pub(crate) delete: u32,
    pub(crate) count: u32,
    pub(crate) zipf_exponent: f64,
    pub(crate) size: RawSize,
}

impl Default for RawObjects {
    fn default() -> Self {
        let size = RawSize::Fixed { bytes: 1_024 };
        Self { get: 1, put: 0, delete: 0, count: 100, zipf_exponent: 0.0, size }
    }
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum RawSize {
    Fixed { bytes: u32 },
    Uniform { min_bytes: u32, max_bytes: u32 },
    Lognormal { median_bytes: u32, sigma: f64, min_bytes: u32, max_bytes: u32 },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawHttpRequest {
    pub(crate) weight: Option<u32>,
    pub(crate) method: Option<String>,
    pub(crate) path: String,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) body: String,
    pub(crate) expected_statuses: Option<Vec<u16>>,
    pub(crate) expected_text: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawLimits {
    pub(crate) max_failed: Option<u64>,
    pub(crate) max_dropped: Option<u64>,
    #[serde(default)]
    pub(crate) back_to_min: bool,
}
