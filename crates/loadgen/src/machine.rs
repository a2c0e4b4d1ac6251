//! The machine that the generator runs on, in one line for people.

use std::thread::available_parallelism;

/// Cores, their model and the kernel, as far as the system tells.
pub(crate) fn describe() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cores = available_parallelism().map(|cores| match cores.get() {
        1 => "1 core".to_owned(),
        cores => format!("{cores} cores"),
    });
    let model = model(&read("/proc/cpuinfo")).map(|model| format!("({model})"));
    let kernel = read("/proc/sys/kernel/osrelease");
    let kernel = (!kernel.is_empty()).then(|| format!("Linux {}", kernel.trim()));
    let parts = [cores.ok(), model, kernel];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// The name of the first processor.
fn model(cpuinfo: &str) -> Option<&str> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_processor_names_the_model() {
        let text = "processor\t: 0\nmodel name\t: A 9\n\nprocessor\t: 1\nmodel name\t: B\n";
        assert_eq!(model(text), Some("A 9"));
        assert_eq!(model("processor : 0\n"), None);
    }
}
