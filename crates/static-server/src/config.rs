//! The settings of the service, as its file gives them and as they are checked.

use std::path::PathBuf;

use config_file::{Checked, Invalid};
use serde::Deserialize;
use service::program::Serving;

/// The file as it is written. Every key has a default: `listen` all addresses at the port in `PORT`, or 8000.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawConfig {
    listen: Option<String>,
    folder: PathBuf,
    single_page: bool,
    max_connections: usize,
    drain_timeout_ms: u64,
}

/// The checked settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Config {
    /// Where to listen, and for whom.
    pub(crate) serving: Serving,
    /// What is served.
    pub(crate) folder: PathBuf,
    /// Whether a path without a file is answered with `index.html`, whose script knows it.
    pub(crate) single_page: bool,
}

impl Default for RawConfig {
    fn default() -> Self {
        Self {
            listen: None,
            folder: "/srv/files".into(),
            single_page: false,
            max_connections: 512,
            drain_timeout_ms: 30_000,
        }
    }
}

impl Checked for Config {
    type Raw = RawConfig;

    fn from_raw(raw: RawConfig) -> Result<Self, Invalid> {
        let RawConfig { listen, folder, single_page, max_connections, drain_timeout_ms } = raw;
        let shown = folder.display();
        config_file::check(folder.is_absolute(), "folder", shown, "an absolute path")?;
        let port = std::env::var("PORT").ok();
        let listen = listen.unwrap_or_else(|| everywhere(port.as_deref()));
        let serving = Serving::checked(&listen, max_connections, drain_timeout_ms)?;
        Ok(Self { serving, folder, single_page })
    }
}

/// At all addresses, where the file names none: at the port of the instance, which Bellows gives in `PORT`.
fn everywhere(port: Option<&str>) -> String {
    format!("0.0.0.0:{}", port.unwrap_or("8000"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        config_file::from_toml("f", text).map_err(|error| error.to_string())
    }

    #[test]
    fn an_empty_file_gives_the_defaults() {
        let Config { serving, folder, single_page } = parse("").unwrap();
        assert_eq!(serving, Serving::checked("0.0.0.0:8000", 512, 30_000).unwrap());
        assert_eq!((folder, single_page), (PathBuf::from("/srv/files"), false));
    }

    #[test]
    fn the_port_is_the_instances_where_the_file_names_none() {
        assert_eq!(everywhere(Some("3000")), "0.0.0.0:3000");
        assert_eq!(everywhere(None), "0.0.0.0:8000");
    }

    #[test]
    fn bad_values_are_named_with_what_is_allowed() {
        let texts = ["listen = 'here'", "folder = 'site'", "single_page = 1"];
        let refusals = texts.map(|text| parse(text).unwrap_err()).join("\n");
        insta::assert_snapshot!(refusals, @r#"
        f, line 1: listen is here: use an address and a port as in "0.0.0.0:8000"
        f, line 1: folder is site: use an absolute path
        f: TOML parse error at line 1, column 15
          |
        1 | single_page = 1
          |               ^
        invalid type: integer `1`, expected a boolean
        "#);
    }
}
