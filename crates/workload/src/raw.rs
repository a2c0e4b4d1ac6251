//! The scenario file as it stands, before any value is judged. Unknown keys are refused here.

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawScenario {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) description: String,
    pub(crate) service: String,
    pub(crate) seed: u64,
    pub(crate) pacing: Option<RawPacing>,
    pub(crate) unit: Option<RawUnit>,
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
    #[serde(default)]
    pub(crate) mix: RawMix,
    #[serde(default)]
    pub(crate) keys: RawKeys,
    #[serde(default)]
    pub(crate) size: RawSize,
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

#[derive(Deserialize, Default, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RawPacing {
    #[default]
    Poisson,
    Even,
}

#[derive(Deserialize, Default, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RawUnit {
    #[default]
    RequestsPerSecond,
    Instances,
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
#[serde(deny_unknown_fields)]
pub(crate) struct RawMix {
    pub(crate) get: u32,
    #[serde(default)]
    pub(crate) put: u32,
    #[serde(default)]
    pub(crate) delete: u32,
}

impl Default for RawMix {
    fn default() -> Self {
        Self { get: 1, put: 0, delete: 0 }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawKeys {
    pub(crate) count: u32,
    #[serde(default)]
    pub(crate) zipf_exponent: f64,
}

impl Default for RawKeys {
    fn default() -> Self {
        Self { count: 100, zipf_exponent: 0.0 }
    }
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum RawSize {
    Fixed { bytes: u32 },
    Uniform { min_bytes: u32, max_bytes: u32 },
    Lognormal { median_bytes: u32, sigma: f64, min_bytes: u32, max_bytes: u32 },
}

impl Default for RawSize {
    fn default() -> Self {
        Self::Fixed { bytes: 1_024 }
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawLimits {
    pub(crate) max_failed: Option<u64>,
    pub(crate) max_dropped: Option<u64>,
    #[serde(default)]
    pub(crate) back_to_min: bool,
}
