//! Whether the services fit in the memory of this host.

use host::settings::Settings;
use model::service::ServiceSpec;
use policy::memory_pool::{MemoryNeed, suffice};

use crate::error::BadInput;

/// Refuses services whose lower bounds do not fit, and warns of upper bounds that cannot be reached.
pub(crate) fn check(services: &[&ServiceSpec], settings: &Settings) -> anyhow::Result<()> {
    let total_mib = host::memory::for_instances(settings)?;
    let lower = services.iter().map(|spec| need(spec, spec.bounds.min()));
    suffice(lower, total_mib).map_err(BadInput::new)?;
    if let Some(warning) = warning(services, settings, total_mib) {
        eprintln!("{warning}");
    }
    Ok(())
}

/// What is said where not all services can have as many instances as their upper bounds allow.
fn warning(services: &[&ServiceSpec], settings: &Settings, total_mib: u64) -> Option<String> {
    let needed_mib: u64 = services.iter().map(|spec| need(spec, spec.bounds.max()).mib()).sum();
    let reserved_mib = settings.memory_reserved_mib;
    (needed_mib > total_mib).then(|| {
        format!(
            "warning: the upper bounds of all services ask for {needed_mib} MiB of memory, and the host \
             has {total_mib} MiB beside the {reserved_mib} MiB of memory.reserved_mib: a launch that does \
             not fit is not made, with the reason HostMemory"
        )
    })
}

fn need(spec: &ServiceSpec, instances: u32) -> MemoryNeed<'_> {
    MemoryNeed { service: &spec.name, instances, instance_mib: spec.instance.memory_mib }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upper_bounds_that_do_not_fit_are_a_warning_with_both_figures() {
        let text = include_str!("../../../../services/object-store.toml");
        let spec = config_file::from_toml("object-store.toml", text).unwrap();
        let services = [&spec];
        let settings = Settings::default();
        assert_eq!(warning(&services, &settings, 1280), None);
        let warning = warning(&services, &settings, 1279).unwrap();
        assert!(warning.contains("ask for 1280 MiB") && warning.contains("1279 MiB"), "{warning}");
    }
}
