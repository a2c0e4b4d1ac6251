//! The host's ids that instances' users map to: root's range in `/etc/subuid` and `/etc/subgid`,
//! without which LXC refuses to map them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::files::replace_file;
use crate::settings::IdRange;

/// The file in the state folder that remembers which line was added to which table. Before services had
/// ranges of their own it named the tables alone.
const RECORD: &str = "id_map.added";

/// A range that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum IdMapError {
    /// Another user has it, or a part of it.
    #[error(
        "{}: ids {first} to {last}, which a service has, overlap `{line}`; give that user other ids",
        file.display()
    )]
    Taken {
        /// The table.
        file: PathBuf,
        /// First id of the range.
        first: u32,
        /// Last id of the range.
        last: u32,
        /// The line that has it.
        line: String,
    },
    /// A table cannot be read or written.
    #[error("{} cannot be read or written; check that this runs as root", file.display())]
    File {
        /// The table.
        file: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

/// Whether root has the range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grant {
    /// The range is root's.
    Present,
    /// Nobody has it.
    Absent,
}

/// The tables that grant ranges, and the file that remembers what was added to them.
#[derive(Debug, Clone)]
pub struct IdMap {
    tables: [PathBuf; 2],
    record: PathBuf,
    range: IdRange,
}

impl IdMap {
    /// The tables of this host. `state` is the folder for the file that remembers what was added.
    pub fn of_host(state: &Path, range: IdRange) -> Self {
        Self::new(Path::new("/etc"), state, range)
    }

    fn new(etc: &Path, state: &Path, range: IdRange) -> Self {
        let tables = [etc.join("subuid"), etc.join("subgid")];
        Self { tables, record: state.join(RECORD), range }
    }

    /// Whether root has the range in both tables.
    ///
    /// # Errors
    /// [`IdMapError::Taken`] when another user has it or a part of it.
    pub fn check(&self) -> Result<Grant, IdMapError> {
        let mut all = Grant::Present;
        for table in &self.tables {
            if check_table(table, &read(table)?, self.range)? == Grant::Absent {
                all = Grant::Absent;
            }
        }
        Ok(all)
    }

    /// Grants root the range where it does not have it. Returns whether anything changed.
    ///
    /// # Errors
    /// When another user has a part of the range, or a table cannot be written.
    pub fn ensure(&self) -> Result<bool, IdMapError> {
        if self.check()? == Grant::Present {
            return Ok(false);
        }
        // What was added is written down first: after a crash in between, `remove` looks for a
        // line that is not there and changes nothing.
        let line = self.line();
        let mut record = String::new();
        let mut edits = Vec::new();
        for table in &self.tables {
            let text = read(table)?;
            if check_table(table, &text, self.range)? == Grant::Absent {
                record.push_str(&format!("{} {line}\n", table.display()));
                let gap = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
                edits.push((table, format!("{text}{gap}{line}\n")));
            }
        }
        if let Some(state) = self.record.parent() {
            let failed = |source| IdMapError::File { file: state.to_owned(), source };
            fs::create_dir_all(state).map_err(failed)?;
        }
        let before = read(&self.record)?;
        replace(&self.record, &(before + &record))?;
        for (table, text) in edits {
            replace(table, &text)?;
        }
        Ok(true)
    }

    /// Takes back the lines that [`IdMap::ensure`] added for any range, and no other. Returns whether there
    /// was one.
    ///
    /// # Errors
    /// When a table cannot be written.
    pub fn remove(&self) -> Result<bool, IdMapError> {
        let record = read(&self.record)?;
        let mut removed = false;
        for table in &self.tables {
            let own = self.line();
            let added: Vec<&str> = record
                .lines()
                .map(|entry| entry.split_once(' ').unwrap_or((entry, &own)))
                .filter(|(name, _)| Path::new(name) == table.as_path())
                .map(|(_, line)| line)
                .collect();
            let text = read(table)?;
            let kept: Vec<&str> = text.lines().filter(|line| !added.contains(line)).collect();
            if kept.len() < text.lines().count() {
                let end = if kept.is_empty() { "" } else { "\n" };
                replace(table, &(kept.join("\n") + end))?;
                removed = true;
            }
        }
        match fs::remove_file(&self.record) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(IdMapError::File { file: self.record.clone(), source })
            }
            _ => Ok(removed),
        }
    }

    fn line(&self) -> String {
        format!("root:{}:{}", self.range.first, self.range.count)
    }
}

/// Whether root has the range in one table, of which this is the text.
fn check_table(table: &Path, text: &str, range: IdRange) -> Result<Grant, IdMapError> {
    let (first, end) = (u64::from(range.first), u64::from(range.first) + u64::from(range.count));
    let mut grant = Grant::Absent;
    for line in text.lines() {
        let Some((owner, other_first, other_end)) = parse_line(line) else { continue };
        if matches!(owner, "root" | "0") && other_first <= first && end <= other_end {
            grant = Grant::Present;
        } else if other_first < end && first < other_end {
            return Err(IdMapError::Taken {
                file: table.to_owned(),
                first: range.first,
                last: range.first + (range.count - 1),
                line: line.to_owned(),
            });
        }
    }
    Ok(grant)
}

/// Owner, first id and the id after the last. `None` for a line of another form, which LXC passes
/// over too.
fn parse_line(line: &str) -> Option<(&str, u64, u64)> {
    let mut fields = line.trim().split(':');
    let owner = fields.next()?;
    let first: u64 = fields.next()?.parse().ok()?;
    let count: u64 = fields.next()?.parse().ok()?;
    Some((owner, first, first.checked_add(count)?))
}

fn read(file: &Path) -> Result<String, IdMapError> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(source) => Err(IdMapError::File { file: file.to_owned(), source }),
    }
}

/// A table that is missing is made readable for all, as the ones that `adduser` makes: rootless
/// container programs read it as their users.
fn replace(file: &Path, text: &str) -> Result<(), IdMapError> {
    replace_file(file, text, 0o644)
        .map_err(|source| IdMapError::File { file: file.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANGE: IdRange = IdRange { first: 1_000_000, count: 65_536 };

    fn host(subuid: &str, subgid: &str) -> (tempfile::TempDir, IdMap) {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("subuid"), subuid).unwrap();
        fs::write(root.path().join("subgid"), subgid).unwrap();
        let map = IdMap::new(root.path(), &root.path().join("state"), RANGE);
        (root, map)
    }

    fn tables(root: &tempfile::TempDir) -> [String; 2] {
        ["subuid", "subgid"].map(|name| fs::read_to_string(root.path().join(name)).unwrap())
    }

    #[test]
    fn a_missing_range_is_added_once_and_taken_back() {
        let (root, map) = host("me:100000:65536\n", "");
        assert_eq!(map.check().unwrap(), Grant::Absent);
        assert!(map.ensure().unwrap());
        assert_eq!(
            tables(&root),
            ["me:100000:65536\nroot:1000000:65536\n", "root:1000000:65536\n"]
        );
        assert_eq!(map.check().unwrap(), Grant::Present);
        assert!(!map.ensure().unwrap());
        map.remove().unwrap();
        assert_eq!(tables(&root), ["me:100000:65536\n", ""]);
        map.remove().unwrap();
    }

    #[test]
    fn the_ranges_of_all_services_are_taken_back_at_once_also_those_of_an_older_record() {
        let (root, map) = host("root:5:1\n", "");
        map.ensure().unwrap();
        // As it was written when all services had the same range.
        let [users, groups] = map.tables.each_ref().map(|table| table.display().to_string());
        fs::write(&map.record, format!("{users}\n{groups}\n")).unwrap();
        let next = IdRange { first: 1_065_536, count: 65_536 };
        let second = IdMap::new(root.path(), &root.path().join("state"), next);
        assert!(second.ensure().unwrap());
        assert!(tables(&root)[1].ends_with("root:1000000:65536\nroot:1065536:65536\n"));
        assert!(map.remove().unwrap());
        assert_eq!(tables(&root), ["root:5:1\n", ""]);
        assert!(!map.remove().unwrap());
    }

    #[test]
    fn a_range_that_was_there_before_stays() {
        let line = "root:1000000:65536\n";
        let (root, map) = host(line, line);
        assert!(!map.ensure().unwrap());
        map.remove().unwrap();
        assert_eq!(tables(&root), [line, line]);
    }

    #[test]
    fn a_range_that_overlaps_anothers_is_refused_and_nothing_changes() {
        let taken = "me:1065535:10\n";
        let (root, map) = host("", taken);
        insta::assert_snapshot!(
            map.ensure().unwrap_err().to_string().replace(&root.path().display().to_string(), ""),
            @"/subgid: ids 1000000 to 1065535, which a service has, overlap `me:1065535:10`; give that user other ids"
        );
        assert_eq!(tables(&root), ["", taken]);
    }

    #[test]
    fn a_neighbouring_range_is_no_overlap() {
        let (_root, map) = host("a:934464:65536\nb:1065536:65536\n", "not a line\n");
        assert_eq!(map.check().unwrap(), Grant::Absent);
    }
}
