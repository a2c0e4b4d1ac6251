//! The machine that the generator runs on, in one line for people.

use std::thread::available_parallelism;

use procfs::{CpuInfo, Current as _};

/// Cores, their model and the kernel, as far as the system tells.
pub(crate) fn describe() -> String {
    let cores = available_parallelism().map(|cores| match cores.get() {
        1 => "1 core".to_owned(),
        cores => format!("{cores} cores"),
    });
    let model = CpuInfo::current().ok().and_then(|it| Some(format!("({})", it.model_name(0)?)));
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease");
    let kernel = kernel.map(|release| format!("Linux {}", release.trim()));
    let parts = [cores.ok(), model, kernel.ok()];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}
