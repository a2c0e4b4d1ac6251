//! A Python application: what it needs, and what calls it.

mod entry;
pub(crate) mod requirements;
mod server;
mod source;

use std::collections::{BTreeMap, BTreeSet};

use self::entry::AppEntry;
use super::Given;
use super::chosen::{Choice, Chosen, Declared, Recipe, Start, Workers};
use super::refusal::Refusal;
use crate::folder::Found;
use crate::path::EntryPath;

/// Requests that an instance takes at once in threads: eight that wait for a database or another service share one
/// core, and each thread has some 8 MiB of address space and 0.1 MiB of memory.
const THREADS: u32 = 8;

/// How a server of Python calls an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interface {
    /// One call for each request, in a thread: Flask, Django.
    Wsgi,
    /// Calls that wait for each other in one thread: FastAPI, Starlette.
    Asgi,
}

/// What is needed, as far as names tell.
struct Needs {
    declared: Declared,
    /// Names as PyPI compares them.
    names: BTreeSet<String>,
}

/// What is started.
struct Started {
    start: Start,
    added: Vec<&'static str>,
    workers: Option<Workers>,
    note: Choice,
}

/// Chooses Python where the folder says what a Python application needs.
pub(super) fn choose(found: &Found, given: Given<'_>) -> Result<Option<Chosen>, Refusal> {
    let Some(needs) = needs(found)? else {
        return Ok(None);
    };
    let started = match given.start() {
        Some((start, place)) => given_start(found, &needs, start, place),
        None => found_start(found, &needs, &entry::find(found).ok_or(Refusal::NoStart)?),
    };
    let note = Choice::of(match needs.declared {
        Declared::Requirements => {
            "requirements.txt: a Python application with the packages that it names"
        }
        Declared::Project => {
            "pyproject.toml: a Python application with the packages that it depends on"
        }
    });
    let beside =
        [added_note(&started.added), version_note(found), started.workers.map(Choice::of_workers)];
    let recipe = Recipe::Python { declared: needs.declared, added: started.added };
    let mut chosen = Chosen::new(recipe, note);
    chosen.notes.push(started.note);
    chosen.notes.extend(beside.into_iter().flatten());
    Ok(Some(Chosen {
        start: Some(started.start),
        workers: started.workers,
        environment: environment(),
        ..chosen
    }))
}

/// A module with an application that no file says the needs of.
pub(super) fn undeclared(found: &Found) -> Option<EntryPath> {
    entry::find(found).and_then(|entry| EntryPath::new(entry.file.as_bytes()).ok())
}

fn needs(found: &Found) -> Result<Option<Needs>, Refusal> {
    if found.text("requirements.txt").is_some() {
        let names = requirements::names(found);
        return Ok(Some(Needs { declared: Declared::Requirements, names }));
    }
    let Some(text) = found.text("pyproject.toml") else {
        return Ok(None);
    };
    let names = requirements::names_of_project(text);
    let names = names.map_err(|reason| Refusal::Unreadable { file: "pyproject.toml", reason })?;
    Ok(names.map(|names| Needs { declared: Declared::Project, names }))
}

fn environment() -> BTreeMap<&'static str, &'static str> {
    BTreeMap::from([
        // Output comes as it is written; a pipe would hold back 8 KiB of it.
        ("PYTHONUNBUFFERED", "1"),
        // Who asks, and whether by HTTPS, is told in X-Forwarded-*. Both servers believe that of the addresses
        // named here alone; nobody but the load balancer reaches an instance, and it takes away what clients say.
        ("FORWARDED_ALLOW_IPS", "*"),
    ])
}

/// What the user wrote.
fn given_start(found: &Found, needs: &Needs, start: Start, place: &str) -> Started {
    let note = Choice::of(format!("{place}: started by `{start}`"));
    started(needs, start, note, found.has_file("gunicorn.conf.py"))
}

/// The server for an application that was found.
fn found_start(found: &Found, needs: &Needs, entry: &AppEntry) -> Started {
    let target = format!("{}:{}", entry.module, entry.variable);
    let start = match entry.interface(&needs.names) {
        // Gunicorn listens at 0.0.0.0 and the port in PORT by itself. With threads it keeps connections open
        // between requests; without, each of the load balancer's requests would open one.
        Interface::Wsgi => {
            let threads = THREADS.to_string();
            let words = ["gunicorn", "--workers", "1", "--threads", &threads, &target];
            Start::Words(words.map(str::to_owned).to_vec())
        }
        // Uvicorn does not read PORT. The shell gives way to it, so that signals get there.
        Interface::Asgi => {
            Start::Shell(format!("exec uvicorn --host 0.0.0.0 --port \"$PORT\" {target}"))
        }
    };
    let (file, variable) = (&entry.file, entry.variable);
    let told = format!("{file}: {variable} is the application, started by `{start}`");
    let line = format!("instance.command = {}", toml::Value::from(start.command()));
    started(needs, start, Choice::with(told, line), found.has_file("gunicorn.conf.py"))
}

/// What the command that is started needs and takes. Gunicorn reads a file of its own unasked, if there is one.
fn started(needs: &Needs, start: Start, note: Choice, has_file: bool) -> Started {
    let server = server::of(&start);
    let packages = server.iter().flat_map(|server| server.packages(&needs.names));
    let (added, workers) =
        (packages.collect(), server.as_ref().and_then(|server| server.workers(has_file)));
    Started { start, added, workers, note }
}

fn added_note(added: &[&str]) -> Option<Choice> {
    let told =
        || format!("{}: installed too, since it is started and nothing names it", added.join(", "));
    (!added.is_empty()).then(|| Choice::of(told()))
}

fn version_note(found: &Found) -> Option<Choice> {
    let file = [".python-version", "runtime.txt"].into_iter().find(|file| found.has_file(file))?;
    Some(Choice::of(format!("{file}: not read, Python is the one of the image")))
}
