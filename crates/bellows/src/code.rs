//! The codes of what commands end with, and the page of each.

use strum::IntoEnumIterator as _;

/// What kind of fault a command ended with, for which `bellows help` has a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display, strum::EnumIter, strum::EnumString)]
#[strum(serialize_all = "kebab-case")]
pub(crate) enum Code {
    /// The command line is not understood.
    Usage,
    /// Something that was given cannot be used, and has no page of its own.
    BadInput,
    /// `bellows.toml` cannot be used.
    BadSettings,
    /// A service's file cannot be used.
    BadServiceFile,
    /// There is no such policy, or its file cannot be used.
    BadPolicy,
    /// The folder is no application that can be deployed.
    BadApplication,
    /// There is no service of that name.
    NoSuchService,
    /// That version is not kept.
    NoSuchVersion,
    /// Nobody said yes.
    NotConfirmed,
    /// A file of that name is there already.
    FileExists,
    /// The scaler gives no answer.
    ScalerAway,
    /// What answers is no scaler of this release.
    ScalerStrange,
    /// The console gives no answer.
    ConsoleAway,
    /// The scaler or the console did not do what was asked.
    Refused,
    /// This needs root.
    NotRoot,
    /// The caller is not one of the operators.
    NotOperator,
    /// Something else is at it.
    UnderWay,
    /// This machine cannot run Bellows as it is.
    HostNotReady,
    /// Another program has a port that Bellows needs.
    PortTaken,
    /// There is no room on the disk.
    DiskFull,
    /// A program that Bellows calls cannot be started.
    ProgramMissing,
    /// A program that Bellows called has failed.
    ToolFailed,
    /// The deploy of an application came to nothing.
    DeployFailed,
    /// The image could not be built.
    ImageNotBuilt,
    /// The new version was given up.
    VersionGivenUp,
    /// A service gives no good answer.
    NoGoodAnswer,
    /// A recording was decided otherwise than when it was taken.
    ReplayDiffers,
    /// It ran and failed, and has no page of its own.
    Failed,
}

impl Code {
    /// All of them, in the order in which they are listed.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        Self::iter()
    }

    /// What it means, why it happens, and what to do, as Markdown.
    pub(crate) const fn page(self) -> &'static str {
        match self {
            Self::Usage => include_str!("help/codes/usage.md"),
            Self::BadInput => include_str!("help/codes/bad-input.md"),
            Self::BadSettings => include_str!("help/codes/bad-settings.md"),
            Self::BadServiceFile => include_str!("help/codes/bad-service-file.md"),
            Self::BadPolicy => include_str!("help/codes/bad-policy.md"),
            Self::BadApplication => include_str!("help/codes/bad-application.md"),
            Self::NoSuchService => include_str!("help/codes/no-such-service.md"),
            Self::NoSuchVersion => include_str!("help/codes/no-such-version.md"),
            Self::NotConfirmed => include_str!("help/codes/not-confirmed.md"),
            Self::FileExists => include_str!("help/codes/file-exists.md"),
            Self::ScalerAway => include_str!("help/codes/scaler-away.md"),
            Self::ScalerStrange => include_str!("help/codes/scaler-strange.md"),
            Self::ConsoleAway => include_str!("help/codes/console-away.md"),
            Self::Refused => include_str!("help/codes/refused.md"),
            Self::NotRoot => include_str!("help/codes/not-root.md"),
            Self::NotOperator => include_str!("help/codes/not-operator.md"),
            Self::UnderWay => include_str!("help/codes/under-way.md"),
            Self::HostNotReady => include_str!("help/codes/host-not-ready.md"),
            Self::PortTaken => include_str!("help/codes/port-taken.md"),
            Self::DiskFull => include_str!("help/codes/disk-full.md"),
            Self::ProgramMissing => include_str!("help/codes/program-missing.md"),
            Self::ToolFailed => include_str!("help/codes/tool-failed.md"),
            Self::DeployFailed => include_str!("help/codes/deploy-failed.md"),
            Self::ImageNotBuilt => include_str!("help/codes/image-not-built.md"),
            Self::VersionGivenUp => include_str!("help/codes/version-given-up.md"),
            Self::NoGoodAnswer => include_str!("help/codes/no-good-answer.md"),
            Self::ReplayDiffers => include_str!("help/codes/replay-differs.md"),
            Self::Failed => include_str!("help/codes/failed.md"),
        }
    }

    /// What it is in half a sentence: the heading of its page, behind the code.
    pub(crate) fn title(self) -> &'static str {
        let heading = self.page().lines().next().unwrap_or_default();
        heading.split_once(": ").map_or(heading, |(_, title)| title)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn each_code_has_a_page_with_what_it_means_why_and_what_to_do() {
        for code in Code::all() {
            let lines: Vec<&str> = code.page().lines().collect();
            assert_eq!(lines[0], format!("# {code}: {}", code.title()));
            let heads: Vec<_> = lines.iter().filter(|line| line.starts_with("## ")).collect();
            assert_eq!(
                heads,
                [&"## What it means", &"## Why it happens", &"## What to do"],
                "{code}"
            );
            let parts: Vec<&str> = code.page().split("\n## ").collect();
            let has_text = |part: &&str| part.lines().skip(1).any(|line| line.ends_with('.'));
            assert!(parts.iter().skip(1).all(has_text), "{code}");
            assert!(lines.iter().all(|line| line.chars().count() <= 110), "{code}");
            assert_eq!(code.to_string().parse(), Ok(code));
        }
    }

    #[test]
    fn each_page_is_that_of_a_code() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/help/codes");
        let files: BTreeSet<String> = folder
            .read_dir()
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert_eq!(files, Code::all().map(|code| format!("{code}.md")).collect());
    }
}
