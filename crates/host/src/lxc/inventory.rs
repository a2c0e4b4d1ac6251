//! What containers there are and which of them run, read from LXC's folder and its command
//! sockets: a read of two files where `lxc-ls` forks and asks every container.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use model::names::{CONTAINER_PREFIX, InstanceName, TemplateName};

use super::layer;
use crate::files::{FileError, file_error, names_in};

/// Where the kernel lists its Unix sockets.
const SOCKETS: &str = "/proc/net/unix";

/// An instance as the host has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Its name, which holds its service and its slot.
    pub name: InstanceName,
    /// What it was cloned from; `None` while the clone is being made, and for one that a crash left
    /// half made.
    pub template: Option<TemplateName>,
    /// Whether it runs.
    pub state: ContainerState,
}

/// Whether a container runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContainerState {
    /// LXC's monitor of the container answers: it starts, runs or stops.
    Running,
    /// The container has a folder and no monitor. An instance in this state is about to start or
    /// was left over; it never starts again by itself.
    Stopped,
}

/// The names in LXC's folder that carry the prefix, sorted, with whether they run.
///
/// # Errors
/// When LXC's folder or the kernel's list of sockets cannot be read.
pub fn container_states(lxc: &Path) -> Result<Vec<(String, ContainerState)>, FileError> {
    let mut names = names_in(lxc)?;
    let layers = layer::folders_among(lxc, &names);
    for layer in &layers {
        names.extend(names_in(layer)?);
    }
    names.retain(|name| name.starts_with(CONTAINER_PREFIX));
    names.sort();
    let sockets = Path::new(SOCKETS);
    // Read after the folder: a container that starts in between shows as running.
    let text = fs::read(sockets).map_err(file_error("read", sockets))?;
    let active = parse_active(&String::from_utf8_lossy(&text), lxc, &layers);
    Ok(names
        .into_iter()
        .map(|name| match active.contains(&name) {
            true => (name, ContainerState::Running),
            false => (name, ContainerState::Stopped),
        })
        .collect())
}

/// The names of the containers whose monitor listens, from the text of `/proc/net/unix`. This is
/// what `lxc-ls --active` itself reads. Any user chooses names of sockets in it, with line breaks
/// and bytes that are not UTF-8, so what does not read like a line of ours is passed over: readers
/// that refuse the whole table would let a user stop the scaler.
fn parse_active(text: &str, lxc: &Path, layers: &[PathBuf]) -> BTreeSet<String> {
    let homes = layers.iter().map(PathBuf::as_path).chain([lxc]);
    let homes: Vec<_> = homes.map(|home| format!("@{}/", home.display())).collect();
    // A layer's folder lies in LXC's, where no container has a name with a slash.
    let name = |path: &str| {
        let path = path.strip_suffix("/command")?;
        homes.iter().find_map(|home| path.strip_prefix(home.as_str())).map(str::to_owned)
    };
    let paths = text.lines().filter_map(|line| line.split_ascii_whitespace().nth(7));
    paths.filter_map(name).collect()
}

/// Whether the monitor of a container listens, in whatever folder the container is.
pub(super) fn is_active_anywhere(name: &str) -> Result<bool, FileError> {
    let sockets = Path::new(SOCKETS);
    let text = fs::read(sockets).map_err(file_error("read", sockets))?;
    let end = format!("/{name}/command");
    Ok(String::from_utf8_lossy(&text).lines().any(|line| line.ends_with(&end)))
}

/// The template that an instance's configuration names as its lower layer.
fn parse_template(config: &str, lxc: &Path) -> Option<TemplateName> {
    let path = config.lines().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == "lxc.rootfs.path").then_some(value.trim())
    })?;
    let (lower, _) = path.strip_prefix("overlay:")?.split_once(':')?;
    let folder = Path::new(lower).strip_prefix(lxc).ok()?.parent()?;
    folder.to_str()?.parse().ok()
}

/// Lists the instances, and remembers the template of each: it never changes, and reading 50
/// configurations every 100 ms would cost more than the rest of the list.
#[derive(Debug, Default)]
pub(super) struct Inventory {
    templates: Mutex<HashMap<InstanceName, TemplateName>>,
}

impl Inventory {
    /// All instances on the host, by name.
    ///
    /// # Errors
    /// When LXC's folder or the kernel's list of sockets cannot be read.
    pub(super) fn list(&self, lxc: &Path) -> Result<Vec<Container>, FileError> {
        let mut known = self.templates.lock().unwrap_or_else(PoisonError::into_inner);
        let mut seen = HashMap::new();
        let mut containers = Vec::new();
        for (name, state) in container_states(lxc)? {
            let Ok(name) = name.parse::<InstanceName>() else {
                continue;
            };
            let template = known.remove(&name).or_else(|| {
                let folder = layer::home_of(lxc, &name).join(name.as_str());
                let config = fs::read_to_string(folder.join("config")).ok()?;
                parse_template(&config, lxc)
            });
            if let Some(template) = &template {
                seen.insert(name.clone(), template.clone());
            }
            containers.push(Container { name, template, state });
        }
        *known = seen;
        Ok(containers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_command_sockets_of_this_folder_count() {
        let text = "\
Num       RefCount Protocol Flags    Type St Inode Path
00000000cf249d45: 00000002 00000000 00010000 0001 01 23864 @/var/lib/lxc/bw-store-1-a1/command
0000000088cd3a11: 00000003 00000000 00000000 0001 03 24011 @/var/lib/lxc/bw-store-1-a1/command
0000000034d4d1a8: 00000003 00000000 00000000 0001 03 20532
00000000aa11bb22: 00000002 00000000 00010000 0001 01 24112 @/home/me/lxc/bw-other-2-b2/command
00000000aa11bb24: 00000002 00000000 00010000 0001 01 24114 @/var/lib/lxc/bwl-deadbeef/bw-other-4-d4/command
00000000aa11bb23: 00000002 00000000 00010000 0001 01 24113 /run/bellows/admin.sock
";
        let layer = PathBuf::from("/var/lib/lxc/bwl-deadbeef");
        let active = parse_active(text, Path::new("/var/lib/lxc"), &[layer]);
        let active: Vec<_> = active.into_iter().collect();
        assert_eq!(active, ["bw-other-4-d4", "bw-store-1-a1"]);
    }

    #[test]
    fn an_instances_template_is_its_lower_layer() {
        let config = "lxc.init.cmd = /bin/store\n\
            lxc.rootfs.path = overlay:/var/lib/lxc/bw-store-tdeadbeef/rootfs:\
            /var/lib/lxc/bw-store-1-a1/overlay/delta\nlxc.ephemeral = 1\n";
        let template = parse_template(config, Path::new("/var/lib/lxc")).unwrap();
        assert_eq!(template.as_str(), "bw-store-tdeadbeef");
        assert_eq!(parse_template("", Path::new("/var/lib/lxc")), None);
        assert_eq!(parse_template(config, Path::new("/elsewhere")), None);
    }

    #[test]
    fn what_is_not_ours_is_not_listed() {
        let lxc = tempfile::tempdir().unwrap();
        for name in ["bw-store-17-a1", "bw-store-tdeadbeef", "bw-notes", "web"] {
            fs::create_dir(lxc.path().join(name)).unwrap();
        }
        let listed = Inventory::default().list(lxc.path()).unwrap();
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0].name.slot().get(), 17);
        assert_eq!(listed[0].state, ContainerState::Stopped);
        assert_eq!(listed[0].template, None);
    }

    #[test]
    fn a_missing_lxc_folder_holds_nothing() {
        assert_eq!(container_states(Path::new("/does/not/exist")).unwrap(), []);
    }
}
