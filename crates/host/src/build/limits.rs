//! What one build may take.

use std::time::Duration;

use crate::settings::BuildSettings;

/// Of the cores: what serves comes first.
const CPUS: f64 = 1.0;

/// A compiler has a handful of processes for each core, pip one and its helpers.
const PROCESSES: u32 = 256;

/// What the caller is given of what a build writes. pip writes some 100 bytes for each package.
const OUTPUT_BYTES: usize = 1 << 20;

/// What one build may take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BuildLimits {
    /// How long it may last.
    pub deadline: Duration,
    /// Its memory.
    pub memory_mib: u32,
    /// Its share of CPU time, in cores.
    pub cpus: f64,
    /// Processes and threads at a time.
    pub processes: u32,
    /// What it may write, with what is kept for the next build of the same service.
    pub disk_mib: u32,
    /// How much of what it writes to its outputs is handed on.
    pub output_bytes: usize,
}

impl BuildLimits {
    /// Those of a host with these settings.
    pub fn of(settings: &BuildSettings) -> Self {
        Self {
            deadline: settings.deadline,
            memory_mib: settings.memory_mib,
            cpus: CPUS,
            processes: PROCESSES,
            disk_mib: settings.disk_mib,
            output_bytes: OUTPUT_BYTES,
        }
    }
}
