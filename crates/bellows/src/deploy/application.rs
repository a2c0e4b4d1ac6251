//! An application in its folder: what it is, and the whole service's file that is made for it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use application::{Bounds, Choice, Found, detect, read};
use config_file::{ConfigError, from_partial_toml_or_problems};
use host::deployments::with_figures;
use host::settings::DEFAULT_FILE;
use model::names::ServiceName;
use model::service::{RawService, ServiceSpec};
use model::size::Sizes;
use toml::{Table, Value};

use super::complete::{complete, name_of};
use crate::error::BadInput;

/// The file of a service that lies in the application's folder, with whatever of it is to be said.
pub(super) const OWN_FILE: &str = DEFAULT_FILE;

/// An application that is to be deployed.
#[derive(Debug)]
pub(super) struct Application {
    /// Where it lies, absolute.
    pub(super) folder: PathBuf,
    pub(super) found: Found,
    /// What is known of it as a service.
    pub(super) spec: ServiceSpec,
    /// The whole service's file.
    pub(super) file: String,
    /// The program and its arguments, where the application's own file says them.
    pub(super) command: Option<Vec<String>>,
    /// Whether its own file says how an instance shows that it can serve.
    pub(super) says_health: bool,
    /// What was found and chosen.
    pub(super) notes: Vec<Choice>,
}

/// Reads an application's folder, with the rights of whoever calls. Nothing of it is run.
///
/// # Errors
/// Everything that is wrong with it.
pub(super) fn load(
    folder: &Path,
    name: Option<&ServiceName>,
    sizes: &Sizes,
) -> Result<Application, BadInput> {
    let place = fs::canonicalize(folder);
    let place = place.with_context(|| format!("{} cannot be read", folder.display()));
    let folder = place.map_err(BadInput::new)?;
    if folder.to_str().is_none() {
        let told = anyhow!("{} is no text in UTF-8: rename the folder", folder.display());
        return Err(BadInput::new(told));
    }
    let found = read(&folder, Bounds::default()).map_err(BadInput::new)?;
    let text = own_text(&folder)?;
    let shown = folder.join(OWN_FILE).display().to_string();
    // What is wrong with it is told below.
    let written: Table = text.parse().unwrap_or_default();
    let name = service_name(name, &written, &folder)?;
    let command = command(&written);
    let chosen = detect(&found, command.as_deref());
    let chosen = match chosen {
        Ok(chosen) => chosen,
        Err(refusal) => {
            let refusal = anyhow!(refusal).context(format!("{} is not deployed", folder.display()));
            return Err(BadInput::new(refusal));
        }
    };
    let mut notes = chosen.notes.clone();
    let mut chosen_for_file = Vec::new();
    let whole = |written: Table| {
        let (whole, notes) = complete(written, &name, &chosen);
        chosen_for_file = notes;
        whole
    };
    let check = |raw: RawService| raw.checked(sizes);
    let read = from_partial_toml_or_problems(shown, &text, whole, RawService::EXAMPLE, check);
    let (spec, whole) = read.map_err(problems)?;
    notes.extend(chosen_for_file);
    let file = toml::to_string(&whole).context("the service's file cannot be written");
    let file = with_figures(&file.map_err(BadInput::new)?, &spec);
    let says_health = says_health(&written);
    Ok(Application { folder, found, spec, file, command, says_health, notes })
}

/// The application's own file; empty where it has none.
fn own_text(folder: &Path) -> Result<String, BadInput> {
    let file = folder.join(OWN_FILE);
    // A link would have a file shown that whoever calls may read, and whoever wrote the folder may not.
    match fs::symlink_metadata(&file) {
        Ok(found) if found.is_file() => config_file::read_text(&file).map_err(BadInput::new),
        Ok(_) => Err(BadInput::new(anyhow!("{} is no file: write one", file.display()))),
        Err(_) => Ok(String::new()),
    }
}

/// The service's name: as it is asked for, as its file says, or as its folder is called.
fn service_name(
    asked: Option<&ServiceName>,
    written: &Table,
    folder: &Path,
) -> Result<ServiceName, BadInput> {
    if let Some(name) = asked {
        return Ok(name.clone());
    }
    if let Some(name) = written.get("name").and_then(Value::as_str) {
        return name.parse().map_err(|error| {
            BadInput::new(anyhow!("{}: name: {error}", folder.join(OWN_FILE).display()))
        });
    }
    let last = folder.file_name().unwrap_or_default().to_string_lossy();
    name_of(&last).ok_or_else(|| {
        BadInput::new(anyhow!(
            "no service can be called after {}: name it with --name",
            folder.display()
        ))
    })
}

/// What the file says is to be started, where it is a list of words.
fn command(written: &Table) -> Option<Vec<String>> {
    let words = written.get("instance")?.get("command")?.as_array()?;
    words.iter().map(|word| word.as_str().map(str::to_owned)).collect()
}

/// Whether the file says how an instance shows that it can serve, or that to take connections is all it does.
fn says_health(written: &Table) -> bool {
    let Some(Value::Table(instance)) = written.get("instance") else { return false };
    instance.contains_key("health_path")
        || instance.get("protocol").and_then(Value::as_str) == Some("tcp")
}

fn problems(found: Vec<ConfigError>) -> BadInput {
    BadInput(found.into_iter().map(Into::into).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told of a folder with these files, without its place.
    fn told(files: &[(&str, &str)]) -> String {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let place = folder.path().join("");
        let name = "shop".parse().unwrap();
        match load(folder.path(), Some(&name), &Sizes::default()) {
            Ok(application) => application.file,
            Err(problems) => problems.to_string().replace(&place.display().to_string(), ""),
        }
    }

    #[test]
    fn all_that_is_wrong_with_its_own_file_is_told_with_its_line() {
        let file = "bounds = { min = 3, max = 1 }\n[instance]\nport = 0\ncolour = \"red\"\n";
        let problems = told(&[("index.html", ""), ("bellows.toml", file)]);
        for (line, told) in problems.lines().zip([
            "bellows.toml, line 1: bounds.min is 3, above bounds.max, 1: lower one or raise the other",
            "bellows.toml, line 3: instance.port is 0: use 1 to 65535",
            "bellows.toml, line 4: instance.colour: unknown field `colour`, expected one of `port`",
        ]) {
            assert!(line.starts_with(told), "{line}");
        }
        assert_eq!(problems.lines().count(), 3, "{problems}");
        let told = told(&[("index.html", ""), ("bellows.toml", "name = \n")]);
        assert!(told.contains("bellows.toml: TOML parse error at line 1"), "{told}");
    }

    #[test]
    fn what_is_nothing_that_runs_is_refused_with_what_to_do() {
        let folder = told(&[("notes.txt", "")]);
        assert!(folder.contains("nothing in the folder tells what it is"), "{folder}");
        let docker = told(&[("Dockerfile", "FROM scratch")]);
        assert!(docker.contains("a Dockerfile is not read: put what"), "{docker}");
    }

    #[test]
    fn the_application_says_its_size_and_the_file_has_its_figures() {
        let file =
            told(&[("index.html", ""), ("bellows.toml", "instance = { size = \"medium\" }")]);
        assert!(file.contains("memory_mib = 256") && !file.contains("size"), "{file}");
    }

    #[test]
    fn a_file_that_is_a_link_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("index.html"), "").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join(OWN_FILE)).unwrap();
        let error = load(folder.path(), None, &Sizes::default()).unwrap_err().to_string();
        assert!(error.ends_with("bellows.toml is no file: write one"), "{error}");
    }

    #[test]
    fn whether_it_says_how_it_shows_that_it_can_serve_is_known() {
        let says = |text: &str| says_health(&text.parse().unwrap());
        assert!(says("instance = { health_path = \"/up\" }"));
        assert!(says("instance = { protocol = \"tcp\" }"));
        assert!(!says("instance = { port = 80 }") && !says(""));
    }
}
