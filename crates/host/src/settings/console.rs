//! What the console may keep.

use config_file::{Checked, Invalid};
use serde::Deserialize;

/// `[console]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConsoleSettings {
    /// What its history may take on the disk, in MiB, with its journal.
    pub history_mib: u32,
}

/// `[console]` as it is written.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct RawConsole {
    history_mib: Option<u32>,
}

impl Default for ConsoleSettings {
    fn default() -> Self {
        Self { history_mib: 200 }
    }
}

impl Checked for ConsoleSettings {
    type Raw = RawConsole;

    fn from_raw(raw: RawConsole) -> Result<Self, Invalid> {
        let default = Self::default();
        let checked = |mib| config_file::in_range("console.history_mib", mib, 32..=1_048_576);
        let history_mib = raw.history_mib.map(checked).transpose()?;
        Ok(Self { history_mib: history_mib.unwrap_or(default.history_mib) })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Settings;

    #[test]
    fn a_history_that_is_too_small_is_refused_with_the_bounds() {
        let read = |text: &str| {
            config_file::from_toml::<Settings>("b.toml", text).map_err(|error| error.to_string())
        };
        let refused = read("[console]\nhistory_mib = 1").unwrap_err();
        insta::assert_snapshot!(refused, @"b.toml, line 2: console.history_mib is 1: use 32 to 1048576");
        assert_eq!(read("[console]\nhistory_mib = 32").unwrap().console.history_mib, 32);
    }
}
