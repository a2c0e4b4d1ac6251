//! The key `stateful`: a service that keeps what it writes in a folder of its own, and so has one instance at most.

use serde::Deserialize;

use super::places::lies_in;
use super::{Mount, Replacement, ServiceSpec};
use crate::bounds::{Bounds, RawBounds};
use crate::names::ServiceName;
use crate::value::{Invalid, check};

/// Where below the state directory each stateful service has the folder of its own. No mount of a service's file
/// leads there: a source has no `/`.
pub const STATEFUL: &str = "stateful";

/// Where an instance has that folder unless its service's file says otherwise.
const TARGET: &str = "/data";

/// The folder of a service's own below the state directory, whether or not the service is stateful now.
pub fn own_folder(service: &ServiceName) -> String {
    format!("{STATEFUL}/{service}")
}

impl ServiceSpec {
    /// The folder below the state directory that is the state of this service and of no other; `None` where it has
    /// none. It outlives every version, and the service.
    pub fn own_folder(&self) -> Option<&str> {
        let sources = self.instance.mounts.iter().map(|mount| mount.source.as_str());
        sources.into_iter().find(|source| *source == own_folder(&self.name))
    }
}

/// A mount as it is written.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", schemars(rename = "Mount"))]
pub(super) struct RawMount {
    /// Name of the folder below the state directory. Without it, the folder of a stateful service's own.
    source: Option<String>,
    /// Absolute path in the instance.
    target: String,
    /// Whether other services that say the same may mount it too: `false` unless it is said.
    #[serde(default)]
    shared: bool,
}

/// The mounts of a service, with `own` as the folder of its own where it is stateful.
pub(super) fn mounts(written: Vec<RawMount>, own: Option<String>) -> Result<Vec<Mount>, Invalid> {
    let mut mounts = Vec::new();
    let mut placed = None;
    for (index, RawMount { source, target, shared }) in written.into_iter().enumerate() {
        let source = match source {
            Some(source) => Mount::check_source(&source).map(|()| source),
            None => own_source(own.as_deref(), placed.replace(index)),
        };
        let source = source.map_err(|error| error.of_item("instance.mounts", index))?;
        mounts.push(Mount { source, target, shared });
    }
    if let Some(source) = own.filter(|_| placed.is_none()) {
        check_apart(&mounts)?;
        mounts.push(Mount { source, target: TARGET.to_owned(), shared: false });
    }
    Ok(mounts)
}

/// The source of a mount that says none.
fn own_source(own: Option<&str>, placed: Option<usize>) -> Result<String, Invalid> {
    let told = match (own, placed) {
        (Some(own), None) => return Ok(own.to_owned()),
        (Some(_), Some(_)) => {
            "it is missing, and the folder of the service's own has a place already: name another folder"
        }
        (None, _) => {
            "it is missing: name a folder, or say stateful = true for one of the service's own"
        }
    };
    Err(Invalid::form("instance.mounts.source", &told))
}

/// That nothing else is mounted where the folder of the service's own will be.
fn check_apart(mounts: &[Mount]) -> Result<(), Invalid> {
    for (index, Mount { target, .. }) in mounts.iter().enumerate() {
        check(
            !lies_in(target, TARGET) && !lies_in(TARGET, target),
            format!("instance.mounts[{index}].target"),
            target,
            "another path, since stateful = true has its folder at /data; a mount without a source says where else",
        )?;
    }
    Ok(())
}

/// How one instance takes the place of another.
pub(super) fn replacement(
    stateful: bool,
    written: Option<Replacement>,
) -> Result<Replacement, Invalid> {
    match (stateful, written) {
        (true, Some(Replacement::Surge)) => Err(Invalid::new(
            "rollout.replacement",
            "\"surge\"",
            "\"recreate\" or leave it out, since stateful = true never has two instances that open its data at once",
        )),
        (true, _) => Ok(Replacement::Recreate),
        (false, written) => Ok(written.unwrap_or_default()),
    }
}

/// How many instances there may be.
pub(super) fn bounds(stateful: bool, written: Option<RawBounds>) -> Result<Bounds, Invalid> {
    let bounds = match (stateful, written) {
        (_, Some(written)) => Bounds::try_from(written)?,
        (true, None) => Bounds::new(1, 1)?,
        (false, None) => {
            let told = "it is missing: say min and max, the fewest and the most instances, or stateful = true for \
                        a service of one";
            return Err(Invalid::form("bounds", &told));
        }
    };
    check(
        !stateful || bounds.max() == 1,
        "bounds.max",
        bounds.max(),
        "1 or leave [bounds] out, since stateful = true never has two instances that open its data at once",
    )?;
    Ok(bounds)
}

#[cfg(test)]
mod tests {
    use super::super::raw::tests::{GOOD, parse};
    use super::*;

    /// A stateful service, with this in its table `[instance]` and this behind all.
    fn stateful(instance: &str, rest: &str) -> Result<ServiceSpec, String> {
        let (head, tail) = GOOD.split_once("[bounds]").unwrap();
        let (_, tail) = tail.split_once("[application]").unwrap();
        let head = head.replacen("[route]", "stateful = true\n[route]", 1);
        let mounts = "mounts = [{ source = \"objects\", target = \"/objects\" }]";
        assert!(head.contains(mounts));
        parse(&format!("{}[application]{tail}\n{rest}", head.replacen(mounts, instance, 1)))
    }

    fn mounted(spec: &ServiceSpec) -> Vec<(&str, &str)> {
        let mounts = spec.instance.mounts.iter();
        mounts.map(|mount| (mount.source.as_str(), mount.target.as_str())).collect()
    }

    #[test]
    fn a_stateful_service_has_one_instance_and_a_folder_of_its_own() {
        let spec = stateful("", "").unwrap();
        assert_eq!(
            (spec.bounds, spec.replacement),
            (Bounds::new(1, 1).unwrap(), Replacement::Recreate)
        );
        assert!(spec.stateful && spec.watch.is_zero());
        assert_eq!(mounted(&spec), [("stateful/store", "/data")]);
        assert_eq!(spec.own_folder(), Some("stateful/store"));
        let idle = stateful("", "[bounds]\nmin = 0\nmax = 1").unwrap();
        assert_eq!(idle.bounds, Bounds::new(0, 1).unwrap());
        let recreate = stateful("", "[rollout]\nreplacement = \"recreate\"").unwrap();
        assert_eq!(recreate.replacement, Replacement::Recreate);
    }

    #[test]
    fn its_folder_is_where_a_mount_without_a_source_says() {
        let mount =
            "mounts = [{ target = \"/var/lib/app\" }, { source = \"shared\", target = \"/data\" }]";
        let spec = stateful(mount, "").unwrap();
        assert_eq!(mounted(&spec), [("stateful/store", "/var/lib/app"), ("shared", "/data")]);
    }

    #[test]
    fn no_other_service_can_name_that_folder() {
        for source in ["stateful", "stateful/store", "stateful/../objects"] {
            let error =
                parse(&GOOD.replacen("\"objects\"", &format!("\"{source}\""), 1)).unwrap_err();
            assert!(
                error.starts_with(&format!("instance.mounts[0].source is {source}: use")),
                "{error}"
            );
        }
        assert_eq!(parse(GOOD).unwrap().own_folder(), None);
    }

    #[test]
    fn what_does_not_go_with_one_instance_is_told_with_both_keys() {
        for (instance, rest, told) in [
            (
                "",
                "[rollout]\nreplacement = \"surge\"",
                "rollout.replacement is \"surge\": use \"recreate\" or leave it out, since stateful = true",
            ),
            (
                "",
                "[bounds]\nmin = 1\nmax = 2",
                "bounds.max is 2: use 1 or leave [bounds] out, since stateful = true",
            ),
            ("", "[rollout]\nwatch_ms = 9", "rollout.watch_ms is 9: use 0"),
            (
                "mounts = [{ source = \"a\", target = \"/data/x\" }]",
                "",
                "instance.mounts[0].target is /data/x: use another path, since stateful = true",
            ),
            (
                "mounts = [{ target = \"/a\" }, { target = \"/b\" }]",
                "",
                "instance.mounts[1].source: it is missing, and the folder",
            ),
            (
                "writable = [{ path = \"/data\", size_mib = 1 }]",
                "",
                "instance.writable is /data: use a path apart",
            ),
        ] {
            let error = stateful(instance, rest).unwrap_err();
            assert!(error.starts_with(told), "{error}");
        }
        let error = parse(&GOOD.replacen("source = \"objects\", ", "", 1)).unwrap_err();
        assert!(
            error.starts_with(
                "instance.mounts[0].source: it is missing: name a folder, or say stateful"
            ),
            "{error}"
        );
        let (head, tail) = GOOD.split_once("[bounds]").unwrap();
        let (_, tail) = tail.split_once("[application]").unwrap();
        let error = parse(&format!("{head}[application]{tail}")).unwrap_err();
        assert!(error.starts_with("bounds: it is missing: say min and max"), "{error}");
    }
}
