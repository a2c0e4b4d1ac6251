//! `bellows support`: what a report of a fault needs, in one file, without secrets.

mod archive;
mod mask;
mod parts;

use std::fs;
use std::path::{Path, PathBuf};

use command_line::terminal;
use host::settings::Settings;
use model::time::Timestamp;

use self::parts::Part;
use crate::clock::{moment, now};

/// What is told of what is masked, at the end and in the archive.
const MASKED: &str = "\
Values of environments, of [application], of arguments and of secrets, keys of certificates, and passwords in addresses are
masked as `(masked)`, wherever they stand. Names of services, hosts, users and files are not: look through it before you
give it to others.
";

/// Writes the archive, and says what is in it and what is not. `output` is whether what instances wrote goes in.
pub(crate) async fn run(
    settings: &Settings,
    file: Option<PathBuf>,
    output: bool,
) -> anyhow::Result<()> {
    let at = now();
    let file = file.unwrap_or_else(|| format!("{}.tar.gz", name(at)).into());
    // Before the work, so that a name that is taken is told at once.
    let created = archive::create(&file)?;
    let parts = parts::gather(settings, output).await;
    let told = told(&parts, output);
    let contents = ("contents.txt", told.as_str());
    let texts =
        parts.iter().filter_map(|part| Some((part.name.as_str(), part.text.as_deref().ok()?)));
    let written = archive::write(
        created,
        &folder(&file, at),
        [contents].into_iter().chain(texts),
        at.as_millis() / 1000,
    );
    if written.is_err() {
        // Half of one is of no use; the disk is full.
        let _ = fs::remove_file(&file);
    }
    written?;
    terminal::print_line(format_args!(
        "{} is written, which you alone may read.\n\n{told}",
        file.display()
    ));
    Ok(())
}

/// A name with the time in it: letters and digits alone, which any file system takes.
fn name(at: Timestamp) -> String {
    format!("bellows-support-{}", moment(at).replace(['-', ':'], ""))
}

/// The folder that it unpacks to: as the file is called.
fn folder(file: &Path, at: Timestamp) -> String {
    let name_of_file = file.file_name().map(|name| name.to_string_lossy().into_owned());
    let stem = name_of_file.and_then(|it| it.split('.').next().map(str::to_owned));
    stem.filter(|stem| !stem.is_empty()).unwrap_or_else(|| name(at))
}

/// What is in it, and what is not.
fn told(parts: &[Part], output: bool) -> String {
    let of = |is_in: bool| parts.iter().filter(move |part| part.text.is_ok() == is_in);
    let mut text = "In it:\n".to_owned();
    text.extend(of(true).map(|part| format!("  {}\n", part.name)));
    text.push_str("Left out:\n");
    text.extend(of(false).map(|part| {
        let why = part.text.as_ref().err().map_or("", String::as_str);
        format!("  {}: {}\n", part.name, why.lines().next().unwrap_or_default())
    }));
    if !output {
        text.push_str("  what instances wrote: --output puts it in\n");
    }
    format!("{text}\n{MASKED}")
}

#[cfg(test)]
mod tests;
