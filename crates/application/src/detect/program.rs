//! One static program.

use std::env::consts::ARCH;

use super::Given;
use super::chosen::{Choice, Chosen, Recipe, Start, Workers};
use super::refusal::Refusal;
use crate::contents::Entry;
use crate::folder::Found;
use crate::path::EntryPath;
use crate::program::{Linkage, Program};

/// Chooses the program that the user starts, or the only one in the folder itself that can be run.
pub(super) fn choose(found: &Found, given: Given<'_>) -> Result<Option<Chosen>, Refusal> {
    let Some((path, start, note)) = started(found, given)? else {
        return Ok(None);
    };
    check(path, found.programs[path])?;
    let recipe = Recipe::Program { program: path.clone() };
    let mut chosen = Chosen::new(recipe, note);
    chosen.notes.extend(start.needs_a_userland().then(|| userland_note(path, &start)));
    chosen.notes.push(Choice::of_workers(Workers::WAITING));
    Ok(Some(Chosen { start: Some(start), workers: Some(Workers::WAITING), ..chosen }))
}

/// Told where a shell, or `env`, starts the program: neither is in a folder.
fn userland_note(program: &EntryPath, start: &Start) -> Choice {
    let told = format!(
        "started by {}, so the image stands on Debian's userland (186 MB, on disk once for all services); a program \
         that reads PORT by itself needs none",
        start.command()[0]
    );
    Choice::with(told, format!("instance.command = [\"./{program}\"]"))
}

/// The program, how it is started, and what is told of the choice.
fn started<'a>(
    found: &'a Found,
    given: Given<'_>,
) -> Result<Option<(&'a EntryPath, Start, Choice)>, Refusal> {
    if let Some((start, place)) = given.start() {
        let program = named(found, &start);
        return Ok(program.map(|program| {
            let note = Choice::of(format!("{program}: one static program, started by {place}"));
            (program, start, note)
        }));
    }
    let mut programs = found.programs.keys().filter(|path| can_be_run(found, path));
    match (programs.next(), programs.next()) {
        (None, _) => match found.programs.keys().find(|path| path.parent().is_none()) {
            Some(program) => Err(Refusal::NotExecutable(program.clone())),
            None => Ok(None),
        },
        (Some(first), Some(second)) => Err(Refusal::ManyPrograms(first.clone(), second.clone())),
        (Some(only), None) => {
            let start = Start::Words(vec![format!("./{only}")]);
            let line = format!("instance.command = [\"./{only}\", \"ARGUMENT\"]");
            let told = format!("{only}: one static program, started without arguments");
            Ok(Some((only, start, Choice::with(told, line))))
        }
    }
}

fn can_be_run(found: &Found, path: &EntryPath) -> bool {
    let entry = found.contents.0.get(path);
    path.parent().is_none() && matches!(entry, Some(Entry::File(file)) if file.executable)
}

/// The program of the folder that a command starts with, in a shell too. One in the folder itself is found by its name
/// alone as well: the folder is the first on the `PATH`.
fn named<'a>(found: &'a Found, start: &Start) -> Option<&'a EntryPath> {
    let first = start.first_word()?;
    let path = first.strip_prefix("./").unwrap_or(&first);
    found.programs.keys().find(|program| program.as_str() == path)
}

fn check(path: &EntryPath, program: Program) -> Result<(), Refusal> {
    if let Linkage::Spoilt(fault) = program.linkage {
        return Err(Refusal::Spoilt { program: path.clone(), fault });
    }
    if program.machine != Some(ARCH) {
        let built = program.machine.unwrap_or("another machine");
        return Err(Refusal::Machine { program: path.clone(), built, here: ARCH });
    }
    match program.linkage {
        Linkage::Static | Linkage::Spoilt(_) => Ok(()),
        Linkage::Dynamic => Err(Refusal::Dynamic(path.clone())),
    }
}
