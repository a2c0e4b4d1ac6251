//! Why a folder is nothing that Bellows runs.

use crate::path::EntryPath;
use crate::program::ProgramFault;

/// How a command is written, for those who have to write one.
const COMMAND: &str = "instance.command = [\"PROGRAM\", \"ARGUMENT\"]";

/// Why a folder is nothing that Bellows runs, and what to write so that it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nothing is known of it.
    #[error(
        "nothing in the folder tells what it is: an application in Python has requirements.txt or \
         pyproject.toml, one in another language is one static program, and pages begin with index.html"
    )]
    Nothing,
    /// It has a recipe of Docker's alone.
    #[error(
        "a Dockerfile is not read: put what it copies into the folder, write what it installs with pip into \
         requirements.txt, and its CMD into bellows.toml: {COMMAND}; a compiled program is deployed as one \
         static file"
    )]
    Dockerfile,
    /// There is Python, and it is not said what it needs.
    #[error(
        "{0} is there, but no requirements.txt: write one with the packages that it needs, one a line, or with \
         none; where it is no part of the application, name it in .gitignore"
    )]
    NoRequirements(EntryPath),
    /// A source, which everybody could read where it was served as a file.
    #[error(
        "{0} is of the source of a program, which is served to nobody: build it, and deploy the program as one \
         static file; where the pages do without it, name it in .gitignore"
    )]
    Source(EntryPath),
    /// Something is to be started that nothing of the folder has.
    #[error(
        "{place} starts `{start}`, and the folder has nothing that it runs in: start one static program that lies \
         in the folder, by ./NAME; write a requirements.txt where it is Python; or take {place} away, for pages \
         to be served as they are"
    )]
    Command {
        /// What is to be started.
        start: String,
        /// Where that is written.
        place: &'static str,
    },
    /// What is to be started may not be run.
    #[error(
        "{0} may not be run: chmod +x {quoted}; a program that is there to be downloaded belongs into a folder of \
         its own",
        quoted = quoted(.0)
    )]
    NotExecutable(EntryPath),
    /// A file that says what is needed cannot be read as what it is.
    #[error("{file} cannot be read: {reason}")]
    Unreadable {
        /// The file.
        file: &'static str,
        /// What is wrong with it, with the line.
        reason: String,
    },
    /// Nothing says what to start.
    #[error(
        "nothing says what starts the application: assign it to `app` in app.py or main.py, or write into \
         bellows.toml: {COMMAND}; for gunicorn that is instance.command = [\"gunicorn\", \"MODULE:VARIABLE\"]"
    )]
    NoStart,
    /// A line of a Procfile that no shell reads either.
    #[error("Procfile, line {line}: {reason}")]
    Procfile {
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A program that needs what was on the machine that it was built on.
    #[error(
        "{0} needs libraries of the machine that it was built on: link it statically, with Rust by a target of musl, \
         with Go by CGO_ENABLED=0, with C by -static"
    )]
    Dynamic(EntryPath),
    /// It begins as a program, and is none.
    #[error(
        "{program} begins as a program does, and is none: {fault}; build it, or copy it, again"
    )]
    Spoilt {
        /// The file.
        program: EntryPath,
        /// What is wrong with it.
        fault: ProgramFault,
    },
    /// A program for another machine.
    #[error("{program} is built for {built}, and this host is {here}: build it for {here}")]
    Machine {
        /// The program.
        program: EntryPath,
        /// What it is built for.
        built: &'static str,
        /// What this host is.
        here: &'static str,
    },
    /// A program of the folder that is started as one of the userland is.
    #[error(
        "{place} starts `{program}` by its name alone, which is looked for on the PATH and not in the folder: write \
         ./{program}"
    )]
    BareName {
        /// The program.
        program: EntryPath,
        /// Where that is written.
        place: &'static str,
    },
    /// Several programs.
    #[error(
        "{0} and {1} are programs: say which to start in bellows.toml: instance.command = [\"./{0}\"]"
    )]
    ManyPrograms(EntryPath, EntryPath),
    /// Pages that a program makes first.
    #[error(
        "package.json says that the pages are built first: build them, and deploy the folder that this makes, \
         such as dist"
    )]
    Unbuilt,
    /// The pages lie in a folder below.
    #[error("index.html is in {0}: deploy that folder")]
    PagesBelow(EntryPath),
}

/// A path as a shell takes it, and as no option: a path of the folder holds no NUL.
fn quoted(path: &EntryPath) -> String {
    let path = path.as_str();
    let path = if path.starts_with('-') { format!("./{path}") } else { path.to_owned() };
    shlex::try_quote(&path).unwrap_or_default().into_owned()
}
