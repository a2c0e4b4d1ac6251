//! What a run of an experiment is called, and where it lies.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Runs of an experiment at most, with each way of membership.
const RUNS: u32 = 10;

/// A way in which the load balancer learns of members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    /// By commands.
    Runtime,
    /// By reloads.
    Reload,
}

/// The name of a run: `run` of the only one, `1`, `2` and so on of several, and `runtime`, `reload-2` where there are runs
/// with each way of membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RunName {
    pub(crate) way: Option<Way>,
    pub(crate) number: Option<u32>,
}

impl RunName {
    /// The only one.
    pub(crate) const ONLY: Self = Self { way: None, number: None };

    /// The names that runs of one way have: first that of the only one, then those of several.
    pub(super) fn of_way(way: Option<Way>) -> impl Iterator<Item = Self> {
        [None].into_iter().chain((1..=RUNS).map(Some)).map(move |number| Self { way, number })
    }

    /// Its folder below that of the results.
    pub(super) fn folder(self) -> PathBuf {
        let way = self.way.map(Way::word);
        let number = self.number.map(|number| number.to_string());
        let mut folder = PathBuf::from("latest");
        folder.extend(way);
        folder.extend(number);
        folder
    }
}

impl Way {
    /// Both, in the order in which they take turns.
    pub(crate) const BOTH: [Self; 2] = [Self::Runtime, Self::Reload];

    /// Its name.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Runtime => "runtime",
            Self::Reload => "reload",
        }
    }
}

impl fmt::Display for RunName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.way, self.number) {
            (None, None) => f.write_str("run"),
            (None, Some(number)) => write!(f, "{number}"),
            (Some(way), None) => f.write_str(way.word()),
            (Some(way), Some(number)) => write!(f, "{}-{number}", way.word()),
        }
    }
}

/// A text that is no name of a run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoRunName;

impl FromStr for RunName {
    type Err = NoRunName;

    fn from_str(text: &str) -> Result<Self, NoRunName> {
        let ways = [None].into_iter().chain(Way::BOTH.map(Some));
        let mut names = ways.flat_map(Self::of_way);
        names.find(|name| name.to_string() == text).ok_or(NoRunName)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_back_and_leads_to_no_other_folder() {
        for (text, folder) in [
            ("run", "latest"),
            ("10", "latest/10"),
            ("runtime", "latest/runtime"),
            ("reload-2", "latest/reload/2"),
        ] {
            let name: RunName = text.parse().unwrap();
            assert_eq!((name.to_string().as_str(), name.folder()), (text, PathBuf::from(folder)));
        }
        for text in
            ["", "0", "11", "01", "..", "reload/2", "reload-", "runtime-0", "run-1", "latest"]
        {
            assert_eq!(text.parse::<RunName>(), Err(NoRunName), "{text}");
        }
    }
}
