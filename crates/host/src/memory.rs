//! The memory of this host.

use std::io;

use procfs::{Current as _, Meminfo};

use crate::settings::Settings;

/// What the instances of this host may have together, in MiB: all but what the settings leave to the
/// host itself.
///
/// # Errors
/// The kernel does not say how much there is.
pub fn for_instances(settings: &Settings) -> io::Result<u64> {
    let told = |error| io::Error::other(format!("/proc/meminfo cannot be read: {error}"));
    let total_mib = Meminfo::current().map_err(told)?.mem_total / (1024 * 1024);
    Ok(total_mib.saturating_sub(settings.memory_reserved_mib))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_reserved_is_left_to_the_host() {
        let settings =
            |memory_reserved_mib| Settings { memory_reserved_mib, ..Settings::default() };
        let all = for_instances(&settings(0)).unwrap();
        assert!(all > 64, "{all}");
        assert_eq!(for_instances(&settings(64)).unwrap(), all - 64);
        assert_eq!(for_instances(&settings(all + 1)).unwrap(), 0);
    }
}
