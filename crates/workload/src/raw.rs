//! The scenario file as it stands, before any value is judged. Unknown keys are refused here.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::objects::Objects;
use crate::phases::{Pacing, Phase, RateUnit};
use crate::scenario::Limits;
use crate::stages::Stage;

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
    pub(crate) phases: Vec<Phase>,
    pub(crate) delay_factor: Option<f64>,
    #[serde(default)]
    pub(crate) stages: Vec<Stage>,
    pub(crate) objects: Option<Objects>,
    #[serde(default)]
    pub(crate) requests: Vec<RawHttpRequest>,
    #[serde(default)]
    pub(crate) limits: Limits,
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
