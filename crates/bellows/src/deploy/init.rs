//! `bellows init`: the file that an application's folder may have, with what `deploy` would choose.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, anyhow};
use command_line::terminal;
use host::settings::Settings;
use model::names::ServiceName;

use super::application::{self, OWN_FILE};
use crate::error::BadInput;

/// What stands above what was chosen.
const HEAD: &str = "\
# What `bellows deploy` makes of this folder. Every line may go, and what then is not said is chosen anew.
";

/// Writes the file, unless there is one.
pub(crate) fn run(
    settings: &Settings,
    folder: &Path,
    name: Option<&ServiceName>,
) -> anyhow::Result<()> {
    let file = folder.join(OWN_FILE);
    if file.symlink_metadata().is_ok() {
        let problem = anyhow!("{} is there already: change it as you like", file.display());
        return Err(BadInput::new(problem).into());
    }
    let application = application::load(folder, name, &settings.sizes)?;
    let written = File::create_new(&file).and_then(|mut open| {
        open.write_all(HEAD.as_bytes())?;
        open.write_all(application.file.as_bytes())
    });
    written.with_context(|| format!("{} cannot be written", file.display()))?;
    application
        .notes
        .iter()
        .for_each(|note| terminal::print_line(format_args!("  {}.", note.told)));
    terminal::print_line(format_args!("{} says so now.", file.display()));
    Ok(())
}
