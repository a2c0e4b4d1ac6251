//! What `.gitignore` files name, as git reads them: the innermost that says anything of a path decides.

use std::path::{Path, PathBuf};

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::error::ReadError;
use super::root::{Listed, Root};
use super::texts;

/// Its name.
const NAME: &str = ".gitignore";

/// The patterns of a folder and of those around it, up to the application's: what lies above that is another
/// project's, or names what is built, and that may be the very folder to deploy.
#[derive(Default)]
pub(super) struct Ignored(Vec<Gitignore>);

impl Ignored {
    /// Adds the patterns of `folder` of the application's at `root`, which lies at `place` and lists these.
    pub(super) fn enter(
        &mut self,
        root: &Root,
        place: &Path,
        folder: &Path,
        listed: &[Listed],
    ) -> Result<(), ReadError> {
        let mut builder = GitignoreBuilder::new(rooted(folder));
        let path = folder.join(NAME);
        let file = place.join(&path);
        // Git follows no link here either.
        if listed.iter().any(|it| it.name == NAME && it.kind().is_file()) {
            let opened = root.file(&path);
            let mut opened = opened.map_err(|source| ReadError::unread(&file, source))?;
            let text = texts::read(&mut opened, &file)?;
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
    pub(super) fn names(&self, path: &Path, is_folder: bool) -> bool {
        let path = rooted(path);
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
fn rooted(path: &Path) -> PathBuf {
    Path::new("/").join(path)
}
