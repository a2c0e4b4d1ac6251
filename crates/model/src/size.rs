//! Sizes of instances by name, so that a service's file need not say four figures.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::names::ServiceName;
use crate::value::{Invalid, within};

/// What an instance may take of the host.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Size {
    /// The most CPU time, in cores.
    pub cpus: f64,
    /// Its share where instances want more than there is: one of 200 gets twice what one of 100 does. `None` is
    /// 100, which the kernel gives whatever says nothing.
    pub cpu_weight: Option<u32>,
    /// The most memory, in MiB.
    pub memory_mib: u32,
    /// The most processes and threads.
    pub processes: u32,
    /// What an instance of it costs for each hour that it is there, in whatever currency; `None` where nobody has
    /// said it.
    pub price_per_hour: Option<f64>,
}

impl Size {
    /// Checks the figures, whose keys stand in this table.
    ///
    /// # Errors
    /// [`Invalid`] names the first key whose value is not allowed.
    pub fn check(&self, table: &str) -> Result<(), Invalid> {
        let key = |name: &str| format!("{table}.{name}");
        within(key("memory_mib"), self.memory_mib, 4..=1_048_576, "4 to 1048576 (MiB)")?;
        within(key("cpus"), self.cpus, 0.01..=1024.0, "0.01 to 1024 (cores)")?;
        let weight = self.cpu_weight.unwrap_or(DEFAULT_CPU_WEIGHT);
        within(key("cpu_weight"), weight, 1..=10_000, "1 to 10000")?;
        within(key("processes"), self.processes, 1..=4_194_304, "1 to 4194304")?;
        let price = self.price_per_hour.unwrap_or(0.0);
        within(key("price_per_hour"), price, 0.0..=1e6, "0 to 1000000, in any currency")
    }
}

/// What the kernel gives whatever says nothing.
pub const DEFAULT_CPU_WEIGHT: u32 = 100;

/// The sizes of a host, by their names.
#[derive(Debug, Clone, PartialEq)]
pub struct Sizes(BTreeMap<String, Size>);

impl Sizes {
    /// The size of a service whose file says none: a Python server of 8 threads has some 50 MiB.
    pub const DEFAULT: &'static str = "small";

    /// The default sizes, and these in their places or beside them.
    ///
    /// # Errors
    /// [`Invalid`] names the key of a size that is not allowed.
    pub fn with(sizes: BTreeMap<String, Size>) -> Result<Self, Invalid> {
        for (name, size) in &sizes {
            let table = format!("sizes.{name}");
            name.parse::<ServiceName>().map_err(|error| Invalid::form(table.clone(), &error))?;
            size.check(&table)?;
        }
        let Self(mut all) = Self::default();
        all.extend(sizes);
        Ok(Self(all))
    }

    /// The size of this name, which stands under `key`.
    ///
    /// # Errors
    /// There is none.
    pub fn named(&self, key: &'static str, name: &str) -> Result<Size, Invalid> {
        let none = || {
            let names: Vec<_> = self.0.keys().map(String::as_str).collect();
            let allowed = format!("{}, or add [sizes.{name}] to bellows.toml", names.join(", "));
            Invalid::new(key, format!("{name:?}"), allowed)
        };
        self.0.get(name).copied().ok_or_else(none)
    }
}

impl Default for Sizes {
    fn default() -> Self {
        let size = |(name, cpus, memory_mib, processes): (&str, f64, u32, u32)| {
            (
                name.to_owned(),
                Size { cpus, cpu_weight: None, memory_mib, processes, price_per_hour: None },
            )
        };
        let sizes = [("small", 0.5, 128, 64), ("medium", 1.0, 256, 128), ("large", 2.0, 1024, 256)];
        Self(sizes.map(size).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(text: &str) -> Result<Sizes, String> {
        Sizes::with(toml::from_str(text).unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_host_may_replace_a_size_and_add_others() {
        let text = "[small]\ncpus = 0.1\nmemory_mib = 64\nprocesses = 16\n\
                    [huge]\ncpus = 8\ncpu_weight = 400\nmemory_mib = 8192\nprocesses = 1024\n";
        let sizes = sizes(text).unwrap();
        let memory_mib = |name| sizes.named("instance.size", name).unwrap().memory_mib;
        assert_eq!(["small", "medium", "huge"].map(memory_mib), [64, 256, 8192]);
    }

    #[test]
    fn a_size_that_is_not_there_is_told_with_those_that_are() {
        let error = Sizes::default().named("instance.size", "huge").unwrap_err().to_string();
        assert_eq!(
            error,
            "instance.size is \"huge\": use large, medium, small, or add [sizes.huge] to bellows.toml"
        );
    }

    #[test]
    fn figures_are_bounded_and_names_are_names() {
        let of = |name: &str, weight: u32| {
            sizes(&format!(
                "[{name}]\ncpus = 1\ncpu_weight = {weight}\nmemory_mib = 64\nprocesses = 16\n"
            ))
        };
        assert_eq!(of("tiny", 0).unwrap_err(), "sizes.tiny.cpu_weight is 0: use 1 to 10000");
        let text = "[tiny]\ncpus = 1\nmemory_mib = 64\nprocesses = 16\nprice_per_hour = -0.1\n";
        let error = sizes(text).unwrap_err();
        assert_eq!(error, "sizes.tiny.price_per_hour is -0.1: use 0 to 1000000, in any currency");
        assert!(of("\"a b\"", 100).unwrap_err().starts_with("sizes.a b: `a b` is not a name"));
    }
}
