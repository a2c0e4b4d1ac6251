//! The files that a template adds to its image: what it is given, and folders to mount on.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use super::merged;
use super::template_error::TemplateError;
use crate::files::{FileError, file_error, remove_file};
use crate::settings::IdRange;

/// The folder in which a template's own files are put, and those of its image, if they lie below it and not in it.
pub(super) struct OwnFiles<'a> {
    folder: PathBuf,
    below: Vec<&'a Path>,
    ids: IdRange,
}

impl<'a> OwnFiles<'a> {
    /// Files that are added to a copy of the image.
    pub(super) fn in_copy(copy: PathBuf, ids: IdRange) -> Self {
        Self { folder: copy, below: Vec::new(), ids }
    }

    /// Files that lie above the folders of an image, the topmost first. `folder` is made.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(super) fn above(
        below: Vec<&'a Path>,
        folder: PathBuf,
        ids: IdRange,
    ) -> Result<Self, FileError> {
        let files = Self { folder, below, ids };
        files.make("")?;
        Ok(files)
    }

    /// Makes a folder to mount on or to write to, where the image has none: in a root that is read-only LXC
    /// cannot. A symbolic link would lead to a folder of the host.
    ///
    /// # Errors
    /// [`TemplateError::MountPoint`] where the image has something else.
    pub(super) fn make_folder(&self, target: &str) -> Result<(), TemplateError> {
        let ends = target.match_indices('/').map(|(end, _)| end).chain([target.len()]);
        for path in ends.map(|end| target[..end].trim_matches('/')).filter(|path| !path.is_empty())
        {
            let is_folder = |place: &Path| fs::symlink_metadata(place).map(|found| found.is_dir());
            let below = merged::find(&self.below, path);
            match (is_folder(&self.folder.join(path)), below.map(|place| is_folder(&place))) {
                (Ok(true), _) => {}
                (Ok(false), _) | (_, Some(Ok(false))) => {
                    return Err(TemplateError::MountPoint { target: target.to_owned() });
                }
                _ => self.make(path)?,
            }
        }
        Ok(())
    }

    /// Makes a folder with the owner and the mode that the image's has, if it has one: of folders that lie on each
    /// other, those of the topmost are seen.
    fn make(&self, path: &str) -> Result<(), FileError> {
        let folder = self.folder.join(path);
        let seen = merged::find(&self.below, path);
        let seen = seen.map(|seen| fs::symlink_metadata(&seen).map_err(file_error("read", &seen)));
        let (user, group, mode) = seen
            .transpose()?
            .map_or((0, 0, 0o755), |seen| (seen.uid(), seen.gid(), seen.mode() & 0o7777));
        fs::create_dir(&folder).map_err(file_error("make", &folder))?;
        chown(&folder, Some(self.ids.first + user), Some(self.ids.first + group))
            .map_err(file_error("change the owner of", &folder))?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(mode))
            .map_err(file_error("change the mode of", &folder))
    }

    /// Writes a file that everybody can read and run or only read: to the host's kernel an instance's root is
    /// neither the owner of what the host's root owns nor in its group.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn write(
        &self,
        path: &str,
        content: impl AsRef<[u8]>,
        mode: u32,
    ) -> Result<(), FileError> {
        let file = self.folder.join(path);
        // One that the image has, which may be a link to a file of the host.
        remove_file(&file)?;
        fs::write(&file, content).map_err(file_error("write", &file))?;
        fs::set_permissions(&file, fs::Permissions::from_mode(mode))
            .map_err(file_error("change the mode of", &file))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_folder_above_an_image_looks_as_the_images_does() {
        let root = tempfile::tempdir().unwrap();
        let (image, base) = (root.path().join("image"), root.path().join("base"));
        for folder in ["image/var", "base/var/lib", "base/opt"] {
            fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        symlink("/var", base.join("run")).unwrap();
        chown(base.join("var/lib"), Some(33), Some(7)).unwrap();
        fs::set_permissions(base.join("var/lib"), fs::Permissions::from_mode(0o1777)).unwrap();
        fs::set_permissions(&image, fs::Permissions::from_mode(0o751)).unwrap();
        let ids = IdRange { first: 3_000_000, count: 65_536 };
        let own = root.path().join("own");
        let files = OwnFiles::above(vec![&image, &base], own.clone(), ids).unwrap();
        files.make_folder("/var/lib/app").unwrap();
        files.make_folder("/var/lib/app").unwrap();
        let seen = |path: &str| {
            let seen = fs::metadata(own.join(path)).unwrap();
            (seen.uid() - ids.first, seen.gid() - ids.first, seen.mode() & 0o7777)
        };
        assert_eq!(seen(""), (0, 0, 0o751));
        assert_eq!(seen("var"), (0, 0, 0o755));
        assert_eq!(seen("var/lib"), (33, 7, 0o1777));
        assert_eq!(seen("var/lib/app"), (0, 0, 0o755));
        assert!(!own.join("opt").exists(), "nobody asked for it");
        for path in ["/run/app", "/run"] {
            let error = files.make_folder(path).unwrap_err();
            assert!(matches!(error, TemplateError::MountPoint { .. }), "{error}");
        }
    }
}
