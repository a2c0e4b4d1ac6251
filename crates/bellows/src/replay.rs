//! `bellows replay`: a recording decided again, as it was or with another policy.

mod report;
mod shown;

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context as _, anyhow, bail};
use command_line::policies::{Choice, DEFAULT};
use command_line::terminal;
use host::releases::POLICIES;
use model::output::harmless;
use model::policies::PolicySpec;
use policy::recording::Replay;

use self::report::Report;
use crate::code::Code;
use crate::error::{BadInput, Coded};
use crate::release;

/// Decides a recording again and shows what comes of it.
///
/// # Errors
/// It cannot be read or decided again; or a turn comes out otherwise than it did, with the same policy.
pub(crate) fn run(tree: &Path, file: &Path, word: Option<&str>, json: bool) -> anyhow::Result<()> {
    let choice = word.map(|word| choice(tree, word)).transpose()?;
    let report = replayed(file, choice).map_err(BadInput::new)?;
    if json {
        terminal::tell_line(serde_json::to_string_pretty(&report)?)?;
    } else {
        terminal::tell(shown::report(&report))?;
    }
    match &report.first_difference {
        Some(first) => {
            let told = anyhow!(
                "{} of {} turns are decided otherwise than they were, the first in line {}",
                report.turns_that_differ,
                report.turns,
                first.line
            );
            Err(Coded::new(Code::ReplayDiffers, told).into())
        }
        None => Ok(()),
    }
}

/// The policy that `policy=NAME` names.
fn choice(tree: &Path, word: &str) -> Result<(String, PolicySpec), BadInput> {
    let Some(name) = word.strip_prefix("policy=") else {
        let word = harmless(word);
        return Err(BadInput::new(anyhow!(
            "`{word}`: use policy=NAME, or nothing for the policy that decided then"
        )));
    };
    let found = Choice::find(name, &release::find(tree, POLICIES)).map_err(BadInput::new);
    let choice = found.map_err(|wrong| wrong.coded(Code::BadPolicy))?;
    let spec = choice.spec.ok_or_else(|| {
        BadInput::new(anyhow!(
            "policy={DEFAULT}: the service's own file is not in a recording; name a policy, or leave it out for the one \
             that decided then"
        ))
    })?;
    Ok((name.to_owned(), spec))
}

/// What comes of the recording in a file, line by line: an hour of a large service has some 100 MB.
fn replayed(file: &Path, choice: Option<(String, PolicySpec)>) -> anyhow::Result<Report> {
    let name = || file.display().to_string();
    let (policy, spec) = choice.unzip();
    let mut lines = BufReader::new(File::open(file).with_context(name)?);
    let (mut replay, mut report) = (Replay::new(spec), Report::of(policy));
    let mut text = Vec::new();
    for line in 1.. {
        text.clear();
        if lines.read_until(b'\n', &mut text).with_context(name)? == 0 {
            break;
        }
        // What is no text is no JSON either.
        let step = replay.line(line, &String::from_utf8_lossy(&text)).with_context(name)?;
        report.add(line, step);
    }
    if report.turns == 0 {
        bail!("{}: it holds no turn; take the recording anew", name());
    }
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_policy_is_named_by_its_word_and_the_services_own_is_not_there() {
        let tree = tempfile::tempdir().unwrap();
        let (name, spec) = choice(tree.path(), "policy=hpa").unwrap();
        assert_eq!((name.as_str(), spec), ("hpa", model::policies::PolicyKind::Hpa.into()));
        for (word, told) in [
            ("hpa", "`hpa`: use policy=NAME, or nothing"),
            ("policy=magic", "there is no policy `magic`: use default, target_tracking"),
            ("policy=default", "the service's own file is not in a recording"),
        ] {
            let error = choice(tree.path(), word).unwrap_err().to_string();
            assert!(error.contains(told), "{word}: {error}");
        }
    }

    #[test]
    fn a_file_that_is_no_recording_is_told_by_its_name_and_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.jsonl");
        let told = |bytes: &[u8]| {
            std::fs::write(&file, bytes).unwrap();
            format!("{:#}", replayed(&file, None).unwrap_err())
        };
        assert!(told(b"").ends_with("a.jsonl: it holds no turn; take the recording anew"));
        let binary = told(b"\xff\xfe\x00\n");
        assert!(binary.contains("a.jsonl: line 1 should be the first of a recording"), "{binary}");
        let missing = replayed(&folder.path().join("none.jsonl"), None).unwrap_err();
        assert!(format!("{missing:#}").contains("none.jsonl: No such file"), "{missing:#}");
    }
}
