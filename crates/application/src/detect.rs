//! What is to be made of a folder, from what was found in it alone.

mod chosen;
mod files;
mod procfile;
mod program;
mod python;
mod refusal;
mod sources;

pub use self::chosen::{Choice, Chosen, Declared, HEALTH_PATHS, Recipe, Start, Workers};
pub(crate) use self::python::requirements;
pub use self::refusal::Refusal;

use self::procfile::Procfile;
use crate::contents::Entry;
use crate::folder::Found;
use crate::path::EntryPath;

/// Says what a folder is, and what its instances run.
///
/// `command` is the program and its arguments, where the user has written them: then no start is looked for, and a
/// `Procfile` is not read. It is what is started, or the folder is refused: it is never left out.
///
/// # Errors
/// [`Refusal`] says why it is nothing that Bellows runs, and what to write so that it is.
pub fn detect(found: &Found, command: Option<&[String]>) -> Result<Chosen, Refusal> {
    let procfile = match found.text("Procfile") {
        Some(text) if command.is_none() => procfile::parse(text)?,
        Some(_) | None => Procfile::default(),
    };
    let given = Given { command, procfile: &procfile };
    let mut chosen = choose(found, given)?;
    if let Some((program, place)) = bare_program(found, given, &chosen.recipe) {
        return Err(Refusal::BareName { program, place });
    }
    if let Some(file) = unrunnable(found, &chosen) {
        return Err(Refusal::NotExecutable(file));
    }
    let beside = notes_beside(found, &procfile, chosen.start.as_ref());
    chosen.notes.extend(beside.into_iter().map(Choice::of));
    Ok(chosen)
}

/// The program of the folder that is started by its name alone, and where that is written. Whoever starts it looks for
/// such a name on the `PATH`, where the folder is for programs, and not for Python.
fn bare_program(
    found: &Found,
    given: Given<'_>,
    recipe: &Recipe,
) -> Option<(EntryPath, &'static str)> {
    if matches!(recipe, Recipe::Program { .. }) {
        return None;
    }
    let (start, place) = given.start()?;
    let name = start.first_word().filter(|word| !word.contains('/'))?;
    let path = EntryPath::new(name.as_bytes()).ok()?;
    found.programs.contains_key(&path).then_some((path, place))
}

/// The file of the folder that a command starts with, where it may not be run: `execve` answers EACCES.
fn unrunnable(found: &Found, chosen: &Chosen) -> Option<EntryPath> {
    let path = match &chosen.recipe {
        Recipe::Program { program } => program.clone(),
        // A name without a slash is looked for on the `PATH`, and not in the folder.
        Recipe::Python { .. } | Recipe::Files => {
            let word = chosen.start.as_ref()?.first_word().filter(|word| word.contains('/'))?;
            EntryPath::new(word.strip_prefix("./").unwrap_or(&word).as_bytes()).ok()?
        }
    };
    let entry = found.contents.0.get(&path);
    matches!(entry, Some(Entry::File(file)) if !file.executable).then_some(path)
}

/// What was found and is not used, or not as its author may think.
fn notes_beside(found: &Found, procfile: &Procfile, start: Option<&Start>) -> Vec<String> {
    let mut told = Vec::new();
    if matches!(start, Some(Start::Shell(line)) if !line.contains("exec ")) {
        let text = "the shell stays in front of what it runs and passes no signal on: write exec before the \
                    last command, so that it can end what it has under way";
        told.push(text.to_owned());
    }
    if found.has_file("Dockerfile") {
        told.push("Dockerfile: not read, the image is made of the folder itself".to_owned());
    }
    if !procfile.others.is_empty() {
        let others = procfile.others.join(", ");
        told.push(format!("Procfile: only its line web is run, not {others}"));
    }
    told
}

/// What the user wrote of how the application is started.
#[derive(Clone, Copy)]
struct Given<'a> {
    command: Option<&'a [String]>,
    procfile: &'a Procfile,
}

impl Given<'_> {
    /// What is to be started, and where that is written.
    fn start(self) -> Option<(Start, &'static str)> {
        let command = self.command.map(|words| (Start::Words(words.to_vec()), "instance.command"));
        command.or_else(|| self.procfile.web.clone().map(|start| (start, "Procfile")))
    }
}

/// Python before files, since the source of an application is served to nobody; and a program last of what can
/// be started, since a Python application may bring one.
fn choose(found: &Found, given: Given<'_>) -> Result<Chosen, Refusal> {
    if let Some(chosen) = python::choose(found, given)? {
        return Ok(chosen);
    }
    if let Some(chosen) = program::choose(found, given)? {
        return Ok(chosen);
    }
    if let Some(module) = python::undeclared(found) {
        return Err(Refusal::NoRequirements(module));
    }
    refuse_sources(found, given)?;
    if let Some(chosen) = files::choose(found)? {
        return Ok(chosen);
    }
    Err(if found.has_file("Dockerfile") { Refusal::Dockerfile } else { Refusal::Nothing })
}

/// What is to be started is no page, whatever lies beside it, and neither is the source of a program.
fn refuse_sources(found: &Found, given: Given<'_>) -> Result<(), Refusal> {
    let start = given.start();
    match sources::first(found) {
        Some(source) if sources::is_python(source) => Err(Refusal::NoRequirements(source.clone())),
        source => match (start, source) {
            (Some((start, place)), _) => Err(Refusal::Command { start: start.to_string(), place }),
            (None, Some(source)) => Err(Refusal::Source(source.clone())),
            (None, None) => Ok(()),
        },
    }
}
