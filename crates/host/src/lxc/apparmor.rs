//! The AppArmor profile that all instances share, where the kernel has AppArmor.
//!
//! LXC can generate a profile for each container. Its parser then takes 290 ms of CPU time before
//! every start, against 40 ms for the rest of a launch. This one is loaded once, in 6 ms.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::error::ContainerError;
use crate::command::{CommandLine, Runner};
use crate::files::file_error;
use crate::render::{RenderError, render};

/// Whether the kernel enforces profiles.
const ENABLED: &str = "/sys/module/apparmor/parameters/enabled";

/// Every loaded profile, a line each: its name and its mode in brackets.
const LOADED: &str = "/sys/kernel/security/apparmor/profiles";

/// Takes the name of a profile to forget.
const REMOVE: &str = "/sys/kernel/security/apparmor/.remove";

/// What the names of our profiles begin with.
const PREFIX: &str = "bellows-instance-";

const TEMPLATE: &str = include_str!("../../../../lxc/apparmor.tera");

/// What instances may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AppArmorProfile {
    /// Its name, which holds a digest of its rules.
    pub(super) name: String,
    /// Its rules, in the language of AppArmor's parser.
    pub(super) text: String,
}

impl AppArmorProfile {
    /// The profile of this release.
    ///
    /// # Errors
    /// When `lxc/apparmor.tera` is wrong.
    pub(super) fn render() -> Result<Self, RenderError> {
        let render =
            |name: &str| render("lxc/apparmor.tera", TEMPLATE, &BTreeMap::from([("name", name)]));
        let digest = Sha256::digest(render("")?);
        let digest: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        let name = format!("{PREFIX}{digest}");
        Ok(Self { text: render(&name)?, name })
    }
}

/// Has the kernel know a profile. One that it knows by this name is left alone. On a kernel without
/// AppArmor there is nothing to do, and LXC ignores the name in an instance's configuration.
///
/// # Errors
/// When the profile cannot be loaded.
pub(super) async fn ensure_profile(
    runner: &impl Runner,
    profile: &AppArmorProfile,
) -> Result<(), ContainerError> {
    if !is_enabled() || loaded()?.contains(&profile.name) {
        return Ok(());
    }
    let parser = CommandLine::new("apparmor_parser").args(["--replace", "--skip-cache"]);
    runner.run(&parser.input(profile.text.as_str())).await?;
    Ok(())
}

/// Has the kernel forget the profiles of all versions, and says whether there were any.
///
/// # Errors
/// When the kernel's list cannot be read or changed.
pub fn remove_profiles() -> Result<bool, ContainerError> {
    if !is_enabled() {
        return Ok(false);
    }
    let ours = loaded()?;
    for name in &ours {
        fs::write(REMOVE, name).map_err(file_error("write", Path::new(REMOVE)))?;
    }
    Ok(!ours.is_empty())
}

pub(super) fn is_enabled() -> bool {
    fs::read_to_string(ENABLED).is_ok_and(|text| text.starts_with('Y'))
}

fn loaded() -> Result<Vec<String>, ContainerError> {
    let text = fs::read_to_string(LOADED).map_err(file_error("read", Path::new(LOADED)))?;
    Ok(ours(&text))
}

/// Of the kernel's list, the names of our profiles.
fn ours(text: &str) -> Vec<String> {
    let names = text.lines().filter_map(|line| line.rsplit_once(" (")).map(|(name, _)| name);
    names.filter(|name| name.starts_with(PREFIX)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_carries_a_digest_of_its_rules() {
        let AppArmorProfile { name, text } = AppArmorProfile::render().unwrap();
        assert_eq!(name.len(), PREFIX.len() + 8);
        assert!(text.contains(&format!("\nprofile {name} flags=")), "{text}");
        assert!(text.contains(&format!("signal peer={name},")), "{text}");
    }

    #[test]
    fn only_our_profiles_are_found_in_the_kernels_list() {
        let text = "lxc-bw-x_</var/lib/lxc> (enforce)\n/usr/bin/lxc-start (enforce)\n\
                    bellows-instance-0a1b2c3d (enforce)\nbellows (complain)\n";
        assert_eq!(ours(text), ["bellows-instance-0a1b2c3d"]);
        assert_eq!(ours(""), [""; 0]);
    }
}
