//! What is to be made of a folder, from what was found in it alone.

mod chosen;
mod files;
mod procfile;
mod program;
mod python;
mod refusal;

pub use self::chosen::{Choice, Chosen, Declared, HEALTH_PATHS, Recipe, Start, Workers};
pub(crate) use self::python::requirements;
pub use self::refusal::Refusal;

use self::procfile::Procfile;
use crate::folder::Found;

/// Says what a folder is, and what its instances run.
///
/// `command` is the program and its arguments, where the user has written them: then no start is looked for, and a
/// `Procfile` is not read.
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
    let beside = notes_beside(found, &procfile, chosen.start.as_ref());
    chosen.notes.extend(beside.into_iter().map(Choice::of));
    Ok(chosen)
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
    if let Some(chosen) = files::choose(found)? {
        return Ok(chosen);
    }
    Err(if found.has_file("Dockerfile") { Refusal::Dockerfile } else { Refusal::Nothing })
}
