//! Folders that several services mount: each of them has to mean it, since who names another's folder has its data.

use std::collections::BTreeMap;

use super::{Mount, ServiceSpec};
use crate::names::ServiceName;

/// A folder that two services mount, one of which does not say that it shares it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "services {} and {} both mount the folder {folder}, and {silent} does not say that it shares it: say shared = true at \
     both mounts if both are to have it, or name another folder",
    .services[0],
    .services[1]
)]
pub struct NotShared {
    /// The folder below the state directory.
    pub folder: String,
    /// Two that mount it, in the order of their names.
    pub services: [ServiceName; 2],
    /// The one that does not say it.
    pub silent: ServiceName,
}

/// Each service that mounts a folder of another's without both saying so.
pub fn check_mounts(services: &[&ServiceSpec]) -> Vec<NotShared> {
    let mut folders: BTreeMap<&str, BTreeMap<&ServiceName, bool>> = BTreeMap::new();
    for service in services {
        for Mount { source, shared, .. } in &service.instance.mounts {
            let says = folders.entry(source).or_default().entry(&service.name).or_insert(true);
            *says &= *shared;
        }
    }
    let several = folders.into_iter().filter(|(_, mounted)| mounted.len() > 1);
    several.flat_map(|(folder, mounted)| not_shared(folder, &mounted)).collect()
}

fn not_shared(folder: &str, mounted: &BTreeMap<&ServiceName, bool>) -> Vec<NotShared> {
    let silent = mounted.iter().filter(|(_, says)| !**says).map(|(name, _)| *name);
    let with_other = |silent: &ServiceName| {
        let other = mounted.keys().find(|name| **name != silent)?;
        let mut services = [silent.clone(), ServiceName::clone(other)];
        services.sort();
        Some(NotShared { folder: folder.to_owned(), services, silent: silent.clone() })
    };
    silent.filter_map(with_other).collect()
}

#[cfg(test)]
mod tests {
    use super::super::raw::tests::{GOOD, parse};
    use super::*;

    fn service(name: &str, mounts: &str) -> ServiceSpec {
        let text = GOOD.replacen("\"store\"", &format!("\"{name}\""), 1);
        let own = "{ source = \"objects\", target = \"/objects\" }";
        assert!(text.contains(own));
        parse(&text.replacen(own, mounts, 1)).unwrap()
    }

    fn told(services: &[ServiceSpec]) -> Vec<String> {
        let services: Vec<_> = services.iter().collect();
        check_mounts(&services).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_folder_is_mounted_by_several_services_only_where_all_of_them_say_so() {
        let silent = "{ source = \"objects\", target = \"/a\" }";
        let shared = "{ source = \"objects\", target = \"/a\", shared = true }";
        let other = "{ source = \"others\", target = \"/a\" }";
        assert_eq!(told(&[service("a", silent), service("b", other)]), [""; 0]);
        assert_eq!(told(&[service("a", shared), service("b", shared)]), [""; 0]);
        assert_eq!(
            told(&[service("intruder", shared), service("store", silent)]),
            [
                "services intruder and store both mount the folder objects, and store does not say that it shares it: say \
              shared = true at both mounts if both are to have it, or name another folder"
            ]
        );
        assert_eq!(
            told(&[service("a", silent), service("b", silent), service("c", shared)]).len(),
            2
        );
        // One that has it twice is not another.
        let twice = format!("{silent}, {}", silent.replace("/a", "/b"));
        assert_eq!(told(&[service("a", &twice)]), [""; 0]);
    }
}
