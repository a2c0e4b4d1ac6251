//! What `.gitignore` files name, as git reads them: the innermost that says anything of a path decides.

use std::fs::Metadata;
use std::path::{Path, PathBuf};

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::error::ReadError;
use super::{file, texts};
use crate::path::EntryPath;

/// Its name.
const NAME: &str = ".gitignore";

/// The patterns of a folder and of those around it, up to the application's: what lies above that is another
/// project's, or names what is built, and that may be the very folder to deploy.
#[derive(Default)]
pub(super) struct Ignored(Vec<Gitignore>);

impl Ignored {
    /// Adds the patterns of a folder at `place`, which is `folder` of the application's.
    pub(super) fn enter(
        &mut self,
        place: &Path,
        folder: Option<&EntryPath>,
    ) -> Result<(), ReadError> {
        let mut builder = GitignoreBuilder::new(rooted(folder));
        let file = place.join(NAME);
        // Git follows no link here either.
        if file.symlink_metadata().as_ref().is_ok_and(Metadata::is_file) {
            let unread = |source| ReadError::unread(&file, source);
            let text = texts::read(&mut file::open(&file).map_err(unread)?, &file)?;
            for (number, line) in text.lines().enumerate() {
                builder.add_line(None, line).map_err(|source| ReadError::Pattern {
                    file: file.clone(),
                    line: number + 1,
                    source: Box::new(source),
                })?;
            }
        }
        let unbuilt =
            |source| ReadError::Pattern { file: file.clone(), line: 1, source: Box::new(source) };
        self.0.push(builder.build().map_err(unbuilt)?);
        Ok(())
    }

    /// Takes away the patterns of the folder that was entered last.
    pub(super) fn leave(&mut self) {
        self.0.pop();
    }

    /// Whether a path is named.
    pub(super) fn names(&self, path: &EntryPath, is_folder: bool) -> bool {
        let path = rooted(Some(path));
        let matches = self.0.iter().rev().map(|patterns| patterns.matched(&path, is_folder));
        let said = matches.into_iter().find_map(|said| match said {
            Match::None => None,
            Match::Ignore(_) => Some(true),
            Match::Whitelist(_) => Some(false),
        });
        said.unwrap_or(false)
    }
}

/// The path as if the application's folder were the root, so that patterns with a slash are read from there.
fn rooted(path: Option<&EntryPath>) -> PathBuf {
    Path::new("/").join(path.map_or("", EntryPath::as_str))
}
