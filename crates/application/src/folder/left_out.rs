//! What of a folder stays out, and why.

use std::collections::BTreeMap;
use std::path::Path;

/// How many are named of each kind.
const NAMED: usize = 3;

/// Why something stays out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// `bellows.toml` of the folder itself: another bound or route is no other application.
    ServiceFile,
    /// The history of the project: `.git` and its likes.
    History,
    /// `.env` and `.envrc`, and whatever begins with these and a dot: they hold what nobody else is to know.
    Environment,
    /// A `.gitignore` names it.
    Ignored,
    /// What Python makes again: `__pycache__`, and environments of packages, whose links lead to the Python of
    /// this machine.
    MadeByPython,
    /// A link that leads out of the folder.
    LeadsOut,
    /// A device, a socket or a named pipe.
    NoFile,
}

/// What stays out, by why it does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeftOut(BTreeMap<Why, Tally>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Tally {
    count: usize,
    first: Vec<String>,
}

impl Why {
    const fn text(self) -> &'static str {
        match self {
            Self::ServiceFile => "read by Bellows alone",
            Self::History => "the project's history",
            Self::Environment => "secrets belong to `bellows secret set`",
            Self::Ignored => "named in .gitignore",
            Self::MadeByPython => "Python makes it again",
            Self::LeadsOut => "a link that leads out of the folder",
            Self::NoFile => "neither a file nor a folder nor a link",
        }
    }
}

impl LeftOut {
    /// Adds a path, whatever characters it has: what stays out may be called anything.
    pub(super) fn add(&mut self, path: &Path, is_folder: bool, why: Why) {
        let tally = self.0.entry(why).or_default();
        tally.count += 1;
        if tally.first.len() < NAMED {
            let plain = path.to_str().filter(|text| !text.chars().any(char::is_control));
            let shown = plain.map_or_else(|| format!("{path:?}"), str::to_owned);
            tally.first.push(format!("{shown}{}", if is_folder { "/" } else { "" }));
        }
    }

    /// How many files, folders and links stay out for this reason. A folder counts once, with all that it holds.
    pub fn count(&self, why: Why) -> usize {
        self.0.get(&why).map_or(0, |tally| tally.count)
    }

    /// A line for each reason: the first names, how many more there are, and why.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(why, tally)| {
            let more = tally.count - tally.first.len();
            let more = if more == 0 { String::new() } else { format!(" and {more} more") };
            format!("{}{more}: {}", tally.first.join(", "), why.text())
        })
    }
}
