//! Whether the services fit on this host.

use anyhow::anyhow;
use command_line::terminal;
use host::settings::Settings;
use model::service::ServiceSpec;
use nix::unistd::{SysconfVar, sysconf};
use policy::memory_pool::{MemoryNeed, suffice};

use crate::error::BadInput;

/// Refuses services of which an instance is larger than the host, or whose lower bounds do not fit into its memory,
/// and warns of upper bounds that cannot be reached.
pub(crate) fn check(services: &[&ServiceSpec], settings: &Settings) -> anyhow::Result<()> {
    let mut problems = BadInput::default();
    for spec in services {
        problems.add(check_size(spec, settings))?;
    }
    problems.or(())?;
    check_sums(services, settings)
}

/// Refuses a service of which an instance is larger than the host.
pub(crate) fn check_size(spec: &ServiceSpec, settings: &Settings) -> anyhow::Result<()> {
    let total_mib = host::memory::for_instances(settings)?;
    // Of the host, and not of whoever calls, who may be kept to some of them.
    let cores = sysconf(SysconfVar::_NPROCESSORS_ONLN)?.unwrap_or(1);
    let problems = too_large(spec, cores, total_mib).into_iter();
    Ok(BadInput(problems.map(|problem| anyhow!(problem)).collect()).or(())?)
}

/// Refuses services whose lower bounds do not fit together, and warns of upper bounds that cannot be reached.
pub(crate) fn check_sums(services: &[&ServiceSpec], settings: &Settings) -> anyhow::Result<()> {
    let total_mib = host::memory::for_instances(settings)?;
    let lower = services.iter().map(|spec| need(spec, spec.bounds.min()));
    suffice(lower, total_mib).map_err(BadInput::new)?;
    if let Some(warning) = warning(services, settings, total_mib) {
        terminal::note(warning);
    }
    Ok(())
}

/// What an instance is given more of than the host has.
fn too_large(spec: &ServiceSpec, cores: i64, total_mib: u64) -> Vec<String> {
    let name = &spec.name;
    let (cpus, memory_mib) = (spec.instance.cpus, spec.instance.memory_mib);
    // A host has fewer cores than a number of 53 bits holds.
    #[allow(clippy::cast_precision_loss)]
    let cpus = (cpus > cores as f64).then(|| {
        format!("instance.cpus is {cpus}, and this host has {cores} cores: use {cores} at most, or another size")
    });
    let memory = (u64::from(memory_mib) > total_mib).then(|| {
        format!(
            "instance.memory_mib is {memory_mib}, and this host has {total_mib} MiB for instances: use less, \
             or another size"
        )
    });
    let told = |problem| format!("service {name}: {problem}");
    cpus.into_iter().chain(memory).map(told).collect()
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
    fn an_instance_that_is_larger_than_the_host_is_refused_also_where_none_has_to_be_there() {
        let text = include_str!("../../../../services/object-store.toml");
        let text = text.replacen("cpus = 1.0", "cpus = 4.0", 1).replacen("min = 1", "min = 0", 1);
        let spec = config_file::from_toml("object-store.toml", &text).unwrap();
        assert_eq!(too_large(&spec, 4, 128), [""; 0]);
        insta::assert_snapshot!(too_large(&spec, 2, 127).join("\n"), @r"
        service object-store: instance.cpus is 4, and this host has 2 cores: use 2 at most, or another size
        service object-store: instance.memory_mib is 128, and this host has 127 MiB for instances: use less, or another size
        ");
    }

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
