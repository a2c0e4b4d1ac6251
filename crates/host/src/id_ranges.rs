//! Which ids of the host the users of each service map to, and those of what builds. Each service has a range of its
//! own, and builds have one, which is written down in the state folder and given to no other.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

use model::names::ServiceName;
use model::service::{STATEFUL, ServiceSpec};

use crate::files::{FileError, file_error, replace_file};
use crate::id_map::{Grant, IdMap, IdMapError};
use crate::settings::{IdRange, Settings};

/// The file in the state folder that has a line for each service: its name, the first of its ids and
/// how many there are.
const RECORD: &str = "id_ranges";

/// The file beside it that has those of builds: the first of them and how many there are. A line of the record would be
/// one that the release before cannot read.
const BUILDS_RECORD: &str = "id_range_of_builds";

/// Ids below belong to users of the host, and so no folder to a service.
const LOWEST: u32 = 100_000;

/// A range that no service can be given.
#[derive(Debug, thiserror::Error)]
pub enum IdRangeError {
    /// The tables of the host do not grant it.
    #[error(transparent)]
    IdMap(#[from] IdMapError),
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// All ids are somebody's.
    #[error(
        "above {first} no {count} ids in a row are free: set a lower id_map.first in bellows.toml, or \
         remove ranges that nobody needs from /etc/subuid and /etc/subgid"
    )]
    NoneLeft {
        /// Where the search began.
        first: u32,
        /// How many a service is given.
        count: u32,
    },
    /// Folders that it mounts belong to two ranges.
    #[error(
        "service {service} mounts folders that belong to two services, by their owners in the state folder: \
         mount those of one, or give all to one by `chown -R` of the host while neither service runs"
    )]
    TwoOwners {
        /// The service.
        service: ServiceName,
    },
    /// The record holds something else.
    #[error(
        "{}, line {line}: it is no name with two numbers; write `NAME FIRST COUNT`, of which FIRST is the \
         owner of the service's folders",
        file.display()
    )]
    Record {
        /// The record.
        file: PathBuf,
        /// The line.
        line: usize,
    },
    /// The file of builds does.
    #[error("{} does not hold two numbers: remove it while nothing is built, and builds get other ids", file.display())]
    BuildsRecord {
        /// The file.
        file: PathBuf,
    },
}

/// The ranges of this host's services.
#[derive(Debug, Clone)]
pub struct IdRanges {
    state: PathBuf,
    lxc: PathBuf,
    /// The range of the first service; those of others follow it.
    first: IdRange,
}

impl IdRanges {
    /// The ranges on a host with these settings.
    pub fn new(settings: &Settings) -> Self {
        let paths = &settings.paths;
        Self { state: paths.state.clone(), lxc: paths.lxc.clone(), first: settings.id_map }
    }

    /// The ranges that services have, in the order of their names.
    ///
    /// # Errors
    /// When the record cannot be read.
    pub fn given(&self) -> Result<BTreeMap<ServiceName, IdRange>, IdRangeError> {
        let file = self.record();
        let text = read_if_there(&file)?.unwrap_or_default();
        let mut given = BTreeMap::new();
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let wrong = || IdRangeError::Record { file: file.clone(), line: index + 1 };
            let (name, range) = line.split_once(' ').ok_or_else(wrong)?;
            let name = name.parse().map_err(|_| wrong())?;
            given.insert(name, parse(range).ok_or_else(wrong)?);
        }
        Ok(given)
    }

    /// The range of what builds images, which no service has. Two callers at once get in each other's way: hold a
    /// lock.
    ///
    /// # Errors
    /// When no range is left, or a record cannot be read or written.
    pub fn ensure_builds(&self) -> Result<IdRange, IdRangeError> {
        let given = self.given()?;
        // The release before knows nothing of builds, and may have given it to a service.
        let is_a_services = |range: &IdRange| given.values().any(|other| overlap(*other, *range));
        if let Some(range) = self.builds()?.filter(|range| !is_a_services(range)) {
            return Ok(range);
        }
        let range = self.next(&given)?;
        let file = self.state.join(BUILDS_RECORD);
        self.write(&file, &format!("{} {}\n", range.first, range.count))?;
        Ok(range)
    }

    /// What builds have, if they have any.
    fn builds(&self) -> Result<Option<IdRange>, IdRangeError> {
        let file = self.state.join(BUILDS_RECORD);
        let Some(text) = read_if_there(&file)? else { return Ok(None) };
        parse(text.trim()).map(Some).ok_or(IdRangeError::BuildsRecord { file })
    }

    /// The range of a service, which gets one if it has none, and the folders that it mounts, which are
    /// made and belong to it. Services that mount the same folder share its range. Two callers at once get
    /// in each other's way: hold a lock.
    ///
    /// # Errors
    /// When no range is left, or the service mounts folders of two others.
    pub fn ensure(&self, service: &ServiceSpec) -> Result<IdRange, IdRangeError> {
        let mut given = self.given()?;
        let folders: Vec<PathBuf> =
            service.instance.mounts.iter().map(|mount| self.state.join(&mount.source)).collect();
        let owners = folders.iter().filter_map(|folder| self.owning(folder, &given).transpose());
        let owners = owners.collect::<Result<Vec<_>, _>>()?;
        let before = given.get(&service.name).copied();
        let range = match (owners.first(), before) {
            (Some(owner), _) if owners.iter().any(|other| other != owner) => {
                return Err(IdRangeError::TwoOwners { service: service.name.clone() });
            }
            // The files there belong to it, whoever they were made by.
            (Some(owner), _) => *owner,
            (None, Some(range)) => range,
            (None, None) => self.next(&given)?,
        };
        if before != Some(range) {
            given.insert(service.name.clone(), range);
            self.write_down(&given)?;
        }
        for folder in &folders {
            fs::create_dir_all(folder).map_err(file_error("make", folder))?;
            // A user of the service that its root gave the folder to is as good an owner as its root.
            if !owner(folder)?.is_some_and(|owner| holds(range, owner)) {
                chown(folder, Some(range.first), Some(range.first))
                    .map_err(file_error("change the owner of", folder))?;
            }
        }
        Ok(range)
    }

    /// Takes back the range of a service of which nothing is left, for others to be given: no folder of the state
    /// directory and no template belongs to it. Says whether it had one and has none now. Two callers at once get in
    /// each other's way: hold a lock.
    ///
    /// # Errors
    /// When the record cannot be read or written.
    pub fn forget(&self, service: &ServiceName) -> Result<bool, IdRangeError> {
        let mut given = self.given()?;
        let Some(range) = given.remove(service) else { return Ok(false) };
        // What belongs to it may be another's, which has the same range then, and keeps it.
        let is_shared = given.values().any(|other| overlap(*other, range));
        if !is_shared && self.owners()?.iter().any(|owner| holds(range, *owner)) {
            return Ok(false);
        }
        self.write_down(&given)?;
        Ok(true)
    }

    /// The range that the next service gets, when these are given: the lowest of which nothing belongs to
    /// another user of the host, to another service, to builds, or to what one left.
    ///
    /// # Errors
    /// When none is left.
    pub fn next(&self, given: &BTreeMap<ServiceName, IdRange>) -> Result<IdRange, IdRangeError> {
        let owners = self.owners()?;
        let builds = self.builds()?;
        let mut next = Some(self.first);
        while let Some(range) = next.filter(|range| range.first.checked_add(range.count).is_some())
        {
            let is_given = given.values().chain(&builds).any(|other| overlap(*other, range));
            let left = owners.iter().any(|owner| holds(range, *owner));
            if !is_given && !left {
                match IdMap::of_host(&self.state, range).check() {
                    Ok(Grant::Present | Grant::Absent) => return Ok(range),
                    Err(IdMapError::Taken { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            let first = range.first.checked_add(range.count);
            next = first.map(|first| IdRange { first, ..range });
        }
        Err(IdRangeError::NoneLeft { first: self.first.first, count: self.first.count })
    }

    /// The range that a folder belongs to: one that was given, or that can have been. A folder of a user
    /// of the host is given to its service.
    fn owning(
        &self,
        folder: &Path,
        given: &BTreeMap<ServiceName, IdRange>,
    ) -> Result<Option<IdRange>, FileError> {
        let Some(owner) = owner(folder)? else { return Ok(None) };
        let known = given.values().find(|range| holds(**range, owner)).copied();
        let above = owner.checked_sub(self.first.first).map(|above| above % self.first.count);
        let can_be = above.map(|above| IdRange { first: owner - above, ..self.first });
        // Its root, or a user of it if the host grants root that range: else it is a user of the host.
        let is_ours = |range: &IdRange| {
            range.first == owner
                || matches!(IdMap::of_host(&self.state, *range).check(), Ok(Grant::Present))
        };
        Ok(known.or(can_be.filter(is_ours)))
    }

    /// Who owns what services left: the folders of the state directory, and the root file systems of
    /// templates.
    fn owners(&self) -> Result<Vec<u32>, FileError> {
        let shared = entries(&self.state)?.into_iter().chain(entries(&self.state.join(STATEFUL))?);
        let templates = entries(&self.lxc)?.into_iter().map(|folder| folder.join("rootfs"));
        let owners = shared.chain(templates).filter_map(|it| owner(&it).transpose());
        owners.collect()
    }

    fn write_down(&self, given: &BTreeMap<ServiceName, IdRange>) -> Result<(), IdRangeError> {
        let line = |(name, range): (&ServiceName, &IdRange)| {
            format!("{name} {} {}\n", range.first, range.count)
        };
        let text: String = given.iter().map(line).collect();
        self.write(&self.record(), &text)
    }

    fn write(&self, file: &Path, text: &str) -> Result<(), IdRangeError> {
        fs::create_dir_all(&self.state).map_err(file_error("make", &self.state))?;
        Ok(replace_file(file, text, 0o644).map_err(file_error("write", file))?)
    }

    fn record(&self) -> PathBuf {
        self.state.join(RECORD)
    }
}

/// The service or what it left that a folder belongs to, by its owner; `None` where there is no folder, or it
/// is the host's.
fn owner(folder: &Path) -> Result<Option<u32>, FileError> {
    match fs::symlink_metadata(folder) {
        Ok(found) => Ok(Some(found.uid()).filter(|owner| *owner >= LOWEST)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(file_error("look at", folder)(error)),
    }
}

/// What is in a folder; nothing where there is none.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, FileError> {
    let read = || fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect();
    match read() {
        Err(error) if is_absent(&error) => Ok(Vec::new()),
        read => read.map_err(file_error("read", folder)),
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn holds(range: IdRange, id: u32) -> bool {
    overlap(range, IdRange { first: id, count: 1 })
}

fn overlap(one: IdRange, other: IdRange) -> bool {
    let end = |range: IdRange| u64::from(range.first) + u64::from(range.count);
    u64::from(one.first) < end(other) && u64::from(other.first) < end(one)
}

/// The text of a file; `None` where there is none.
fn read_if_there(file: &Path) -> Result<Option<String>, FileError> {
    match fs::read_to_string(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some).map_err(file_error("read", file)),
    }
}

/// Reads `FIRST COUNT`.
fn parse(text: &str) -> Option<IdRange> {
    let (first, count) = text.split_once(' ')?;
    Some(IdRange { first: first.parse().ok()?, count: count.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use model::service::{Mount, own_folder};

    use super::*;

    fn service(name: &str, folders: &[&str]) -> ServiceSpec {
        let mounts: Vec<String> = folders
            .iter()
            .map(|folder| format!("{{ source = \"{folder}\", target = \"/{folder}\" }}"))
            .collect();
        let text = format!(
            "name = \"{name}\"\nimage = \"x\"\n[route]\npath_prefix = \"/\"\n[instance]\nport = 1\n\
             health_path = \"/\"\nmemory_mib = 64\ncpus = 1.0\nprocesses = 64\nmounts = [{}]\n\
             [capacity]\nrequests_per_second = 50\nconcurrency = 8\n[bounds]\nmin = 1\nmax = 1\n",
            mounts.join(", ")
        );
        config_file::from_toml("service.toml", &text).unwrap()
    }

    fn host() -> (tempfile::TempDir, IdRanges) {
        let root = tempfile::tempdir().unwrap();
        let mut settings = Settings::default();
        settings.paths.state = root.path().join("state");
        settings.paths.lxc = root.path().join("lxc");
        // Of which no table of this machine says anything.
        settings.id_map.first = 3_000_000_000;
        let ranges = IdRanges::new(&settings);
        (root, ranges)
    }

    #[test]
    fn each_service_has_a_range_of_its_own_for_ever() {
        let (_root, ranges) = host();
        let first = |name: &str, folders: &[&str]| {
            ranges.ensure(&service(name, folders)).unwrap().first - 3_000_000_000
        };
        assert_eq!((first("b", &[]), first("a", &["data"]), first("c", &[])), (0, 65_536, 131_072));
        assert_eq!((first("a", &["data"]), first("b", &[])), (65_536, 0));
        assert_eq!(fs::metadata(ranges.state.join("data")).unwrap().uid(), 3_000_065_536);
        let names: Vec<String> = ranges.given().unwrap().keys().map(ToString::to_string).collect();
        assert_eq!(names, ["a", "b", "c"]);
    }

    #[test]
    fn what_a_service_left_in_its_own_folder_is_given_to_no_other() {
        let (_root, ranges) = host();
        let mut stateful = service("a", &[]);
        let (source, target) = (own_folder(&stateful.name), "/data".to_owned());
        let mount = Mount { source, target, shared: false };
        stateful.instance.mounts.push(mount);
        let first = ranges.ensure(&stateful).unwrap();
        fs::remove_file(ranges.record()).unwrap();
        let other = ranges.ensure(&service("b", &[])).unwrap();
        assert_eq!(other.first, first.first + first.count);
        assert_eq!(ranges.ensure(&stateful).unwrap(), first, "and it is its own again");
    }

    #[test]
    fn a_range_is_taken_back_once_nothing_of_its_service_is_left() {
        let (_root, ranges) = host();
        let a = service("a", &["data"]);
        let first = ranges.ensure(&a).unwrap();
        ranges.ensure(&service("b", &["shared"])).unwrap();
        let shared = ranges.ensure(&service("c", &["shared"])).unwrap();
        assert!(!ranges.forget(&a.name).unwrap(), "a folder of it is left");
        assert_eq!(ranges.given().unwrap()[&a.name], first);
        fs::remove_dir(ranges.state.join("data")).unwrap();
        assert!(ranges.forget(&a.name).unwrap() && !ranges.forget(&a.name).unwrap());
        assert!(ranges.forget(&"b".parse().unwrap()).unwrap(), "the other has the range still");
        assert_eq!(ranges.given().unwrap(), [("c".parse().unwrap(), shared)].into());
        assert_eq!(ranges.ensure(&service("new", &[])).unwrap(), first);
        assert_eq!(ranges.ensure(&service("d", &[])).unwrap().first, shared.first + shared.count);
    }

    #[test]
    fn builds_have_a_range_that_no_service_is_given() {
        let (_root, ranges) = host();
        let first = ranges.ensure(&service("a", &[])).unwrap();
        let builds = ranges.ensure_builds().unwrap();
        assert_eq!(builds.first, first.first + first.count);
        let second = ranges.ensure(&service("b", &[])).unwrap();
        assert_eq!(second.first, builds.first + builds.count);
        assert_eq!(ranges.ensure_builds().unwrap(), builds);
        let names: Vec<String> = ranges.given().unwrap().keys().map(ToString::to_string).collect();
        assert_eq!(names, ["a", "b"]);
        let record = fs::read_to_string(ranges.record()).unwrap();
        assert_eq!(record.lines().count(), 2, "the release before reads services alone: {record}");
    }

    #[test]
    fn builds_get_another_range_when_a_service_was_given_theirs() {
        let (_root, ranges) = host();
        let builds = ranges.ensure_builds().unwrap();
        // As the release before gives it.
        fs::write(ranges.record(), format!("a {} {}\n", builds.first, builds.count)).unwrap();
        let others = ranges.ensure_builds().unwrap();
        assert_eq!(others.first, builds.first + builds.count);
        assert_eq!(ranges.ensure_builds().unwrap(), others);
        fs::write(ranges.state.join(BUILDS_RECORD), "0\n").unwrap();
        let error = ranges.ensure_builds().unwrap_err().to_string();
        assert!(error.contains("id_range_of_builds does not hold two numbers"), "{error}");
    }

    #[test]
    fn who_shares_a_folder_shares_its_range_and_nobody_takes_one_from_two() {
        let (_root, ranges) = host();
        let objects = ranges.ensure(&service("a", &["objects"])).unwrap();
        ranges.ensure(&service("b", &["logs"])).unwrap();
        assert_eq!(ranges.ensure(&service("c", &["objects"])).unwrap(), objects);
        let error = ranges.ensure(&service("d", &["objects", "logs"])).unwrap_err();
        assert!(matches!(error, IdRangeError::TwoOwners { .. }), "{error}");
    }

    #[test]
    fn what_a_service_left_keeps_its_range_from_others_and_is_its_own_again() {
        let (root, ranges) = host();
        let store = ranges.ensure(&service("store", &["objects"])).unwrap();
        let other = ranges.ensure(&service("other", &[])).unwrap();
        // As before there was a record, or when it is lost: what is there tells.
        fs::remove_file(ranges.record()).unwrap();
        let rootfs = root.path().join("lxc/bw-other-t00000001/rootfs");
        fs::create_dir_all(&rootfs).unwrap();
        chown(&rootfs, Some(other.first), Some(other.first)).unwrap();
        let new = ranges.ensure(&service("new", &[])).unwrap();
        assert_eq!(new.first, other.first + other.count);
        assert_eq!(ranges.ensure(&service("store", &["objects"])).unwrap(), store);
    }

    #[test]
    fn a_folder_that_a_service_gave_to_a_user_of_its_own_stays_that_users() {
        let (_root, ranges) = host();
        let service = service("a", &["data"]);
        let range = ranges.ensure(&service).unwrap();
        let folder = ranges.state.join("data");
        chown(&folder, Some(range.first + 33), None).unwrap();
        assert_eq!(ranges.ensure(&service).unwrap(), range);
        assert_eq!(fs::metadata(&folder).unwrap().uid(), range.first + 33);
        let other = self::service("b", &["data"]);
        assert_eq!(ranges.ensure(&other).unwrap(), range, "who shares it shares its range");
    }

    #[test]
    fn an_empty_line_of_the_record_is_passed_over() {
        let (_root, ranges) = host();
        let range = ranges.ensure(&service("a", &[])).unwrap();
        let text = fs::read_to_string(ranges.record()).unwrap();
        fs::write(ranges.record(), format!("\n{text}\n \n")).unwrap();
        assert_eq!(ranges.ensure(&service("a", &[])).unwrap(), range);
    }

    #[test]
    fn a_folder_of_a_user_of_the_host_is_given_to_its_service() {
        let (_root, ranges) = host();
        let folder = ranges.state.join("data");
        fs::create_dir_all(&folder).unwrap();
        chown(&folder, Some(3_000_000_001), None).unwrap();
        let range = ranges.ensure(&service("a", &["data"])).unwrap();
        assert_eq!(range.first, 3_000_065_536, "another user's ids");
        assert_eq!(fs::metadata(folder).unwrap().uid(), range.first);
    }

    #[test]
    fn when_no_ids_are_left_it_says_how_to_get_more() {
        let (_root, mut ranges) = host();
        ranges.first.first = 4_294_910_000;
        let error = ranges.ensure(&service("a", &[])).unwrap_err().to_string();
        assert!(
            error.starts_with("above 4294910000 no 65536 ids in a row are free: set"),
            "{error}"
        );
    }

    #[test]
    fn a_record_that_is_something_else_is_not_guessed_at() {
        let (_root, ranges) = host();
        ranges.ensure(&service("a", &[])).unwrap();
        fs::write(ranges.record(), "a 3000000000 65536\nb\n").unwrap();
        let error = ranges.ensure(&service("c", &[])).unwrap_err().to_string();
        assert!(error.contains("id_ranges, line 2: it is no name with two numbers"), "{error}");
    }
}
