//! What shells and `man` read of the command: completions and manual pages, made from the command line itself.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Command, CommandFactory as _};
use clap_complete::{Shell, generate};
use command_line::terminal;
use host::releases::{Content, Releases};
use host::settings::Settings;

use crate::cli::Cli;
use crate::progress::Outcome;

/// The folder of all of it, in a release and beside the folder of programs.
const SHARE: &str = "share";

/// The command, as it is called.
const NAME: &str = "bellows";

/// Where manual pages are, below the folder.
const MANUAL: &str = "man/man1";

/// The shells that it is completed in, and where each looks for that, below the folder.
const COMPLETIONS: [(Shell, &str); 3] = [
    (Shell::Bash, "bash-completion/completions/bellows"),
    (Shell::Zsh, "zsh/site-functions/_bellows"),
    (Shell::Fish, "fish/vendor_completions.d/bellows.fish"),
];

/// Prints what completes the command in a shell.
///
/// # Errors
/// It cannot be written.
pub(crate) fn print(shell: Shell) -> anyhow::Result<()> {
    let mut text = Vec::new();
    generate(shell, &mut visible(), NAME, &mut text);
    Ok(terminal::tell(String::from_utf8(text)?)?)
}

/// Writes all of it below a folder.
///
/// # Errors
/// A file cannot be written.
fn write(folder: &Path) -> io::Result<()> {
    for (shell, path) in COMPLETIONS {
        let file = folder.join(path);
        fs::create_dir_all(file.parent().unwrap_or(folder))?;
        generate(shell, &mut visible(), NAME, &mut File::create(file)?);
    }
    let manual = folder.join(MANUAL);
    fs::create_dir_all(&manual)?;
    clap_mangen::generate_to(Cli::command(), &manual)
}

/// The command without what only programs call.
fn visible() -> Command {
    let cli = Cli::command();
    let shown = cli.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    let about = cli.get_about().cloned().unwrap_or_default();
    // As in `Cli`, which has a help of its own.
    let command = Command::new(NAME).about(about).disable_help_subcommand(true);
    command.args(cli.get_arguments().cloned()).subcommands(shown)
}

/// Links all of it, from where shells and `man` look, to the release in force, and removes links of ours to what that
/// has not. A file of somebody else stays. Where `paths.bin` is no `bin`, nobody would look beside it.
///
/// # Errors
/// A link cannot be made.
pub(crate) fn link(settings: &Settings) -> anyhow::Result<Outcome> {
    let Some(folder) = beside(&settings.paths.bin) else { return Ok(Outcome::Unchanged) };
    let releases = Releases::new(&settings.paths.state);
    let files = files(&releases.current().join(SHARE));
    let mut changed = 0;
    for file in &files {
        let name = Path::new(SHARE).join(file);
        let made = releases.link(&folder.join(file), &name.to_string_lossy())?;
        changed += usize::from(made == Some(true));
    }
    changed += sweep(&folder, &releases, &files)?;
    Ok(Outcome::changed_if(changed > 0, format!("{changed} in {} changed", folder.display())))
}

/// The folder of shared data that belongs to a folder of programs: `/usr/local/share` to `/usr/local/bin`.
fn beside(bin: &Path) -> Option<PathBuf> {
    let parent = bin.parent().filter(|_| bin.ends_with("bin"))?;
    Some(parent.join(SHARE))
}

/// The files that a release has, as paths below its folder: none of one from before there were any.
fn files(share: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(share.join(MANUAL)).into_iter().flatten().flatten();
    let pages = entries.map(|entry| Path::new(MANUAL).join(entry.file_name()));
    let completions = COMPLETIONS.map(|(_, path)| PathBuf::from(path)).into_iter();
    let mut files: Vec<_> =
        pages.chain(completions.filter(|path| share.join(path).is_file())).collect();
    files.sort();
    files
}

/// Removes manual pages of ours that the release in force has not, and says how many.
fn sweep(folder: &Path, releases: &Releases, files: &[PathBuf]) -> anyhow::Result<usize> {
    let ours = releases.current().join(SHARE).join(MANUAL);
    let manual = folder.join(MANUAL);
    let mut removed = 0;
    for entry in fs::read_dir(&manual).into_iter().flatten().flatten() {
        let path = Path::new(MANUAL).join(entry.file_name());
        let is_ours =
            fs::read_link(entry.path()).is_ok_and(|target| target == ours.join(entry.file_name()));
        if is_ours && !files.contains(&path) {
            let link = entry.path();
            fs::remove_file(&link)
                .with_context(|| format!("{} cannot be removed", link.display()))?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Adds all of it to what a release is made of; `draft` is a folder that lasts until that is made.
///
/// # Errors
/// A file cannot be written or read.
pub(crate) fn add(content: &mut Content, draft: &Path) -> anyhow::Result<()> {
    write(draft).context("completions and manual pages cannot be written; check the disk")?;
    Ok(content.add_folder(Path::new(SHARE), draft)?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn every_command_that_people_call_has_a_manual_page_and_is_completed() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path()).unwrap();
        let page = |name: &str| {
            let file = folder.path().join(MANUAL).join(format!("{name}.1"));
            fs::read_to_string(&file).unwrap_or_else(|error| panic!("{name}: {error}"))
        };
        let cli = Cli::command();
        let texts = COMPLETIONS
            .map(|(shell, path)| (shell, fs::read_to_string(folder.path().join(path)).unwrap()));
        for command in cli.get_subcommands() {
            let name = command.get_name();
            let is_completed = |text: &str| {
                let words = text.split(|c: char| !c.is_alphanumeric() && c != '-' && c != '_');
                words.into_iter().any(|word| word == name)
            };
            let completed = texts.iter().filter(|(_, text)| is_completed(text)).count();
            let expected = if command.is_hide_set() { 0 } else { texts.len() };
            assert_eq!(completed, expected, "{name}");
            if !command.is_hide_set() {
                assert!(page(&format!("bellows-{name}")).contains(".SH SYNOPSIS"), "{name}");
            }
        }
        assert!(page("bellows-token-make").contains("rights"));
        assert!(page("bellows").contains("Exit codes"));
    }

    #[test]
    fn the_completion_of_bash_is_one_that_bash_reads() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path()).unwrap();
        let file = folder.path().join(COMPLETIONS[0].1);
        let read = std::process::Command::new("bash").arg("-n").arg(file).status().unwrap();
        assert!(read.success());
    }

    /// A host with a release of these files below `share`.
    struct World {
        root: tempfile::TempDir,
        settings: Settings,
    }

    impl World {
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            let mut settings = Settings::default();
            settings.paths.state = root.path().join("state");
            settings.paths.bin = root.path().join("local/bin");
            Self { root, settings }
        }

        fn install(&self, files: &[&str]) {
            let tree = tempfile::tempdir().unwrap();
            let mut content = Content::default();
            for file in files {
                let source = tree.path().join(file.replace('/', "-"));
                fs::write(&source, file).unwrap();
                content.add(Path::new(SHARE).join(file), source);
            }
            Releases::new(&self.settings.paths.state).install(&content).unwrap();
        }

        fn link(&self) -> bool {
            matches!(link(&self.settings).unwrap(), Outcome::Changed(_))
        }

        fn manual(&self) -> PathBuf {
            self.root.path().join("local/share").join(MANUAL)
        }

        fn pages(&self) -> BTreeSet<String> {
            let entries = fs::read_dir(self.manual()).unwrap();
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
        }
    }

    #[test]
    fn links_follow_the_release_in_force_and_what_it_has_not_goes() {
        let world = World::new();
        let bash = COMPLETIONS[0].1;
        world.install(&["man/man1/bellows.1", "man/man1/bellows-old.1", bash]);
        assert!(world.link());
        assert!(!world.link(), "run again, it changes nothing");
        let completion = world.root.path().join("local/share").join(bash);
        assert_eq!(fs::read_to_string(completion).unwrap(), bash);
        symlink("/nowhere", world.manual().join("theirs.1")).unwrap();
        world.install(&["man/man1/bellows.1", "man/man1/bellows-new.1", bash]);
        assert!(world.link());
        let pages = ["bellows-new.1", "bellows.1", "theirs.1"].map(str::to_owned);
        assert_eq!(world.pages(), pages.into());
    }

    #[test]
    fn a_file_of_somebody_else_stays_and_a_folder_that_is_no_bin_gets_none() {
        let mut world = World::new();
        world.install(&["man/man1/bellows.1"]);
        fs::create_dir_all(world.manual()).unwrap();
        fs::write(world.manual().join("bellows.1"), "theirs").unwrap();
        assert!(!world.link());
        assert_eq!(fs::read_to_string(world.manual().join("bellows.1")).unwrap(), "theirs");
        world.settings.paths.bin = world.root.path().join("opt/tools");
        assert!(!world.link());
        assert!(!world.root.path().join("opt").exists());
    }
}
