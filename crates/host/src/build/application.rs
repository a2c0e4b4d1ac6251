//! The image of an application: its files, above the packages that it needs, above the userland of a recipe.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Seek as _};
use std::path::{Path, PathBuf};

use application::{Bounds, Chosen, Declared, Found, Needed};
use model::egress::Egress;
use model::names::ServiceName;
use sha2::{Digest as _, Sha256};

use super::error::BuildError;
use super::{Build, Builds, Input};
use crate::command::Runner;
use crate::files::file_error;
use crate::lxc::{Image, ImageStart, Recipe};

/// Where an image has the application's files.
const FILES: &str = "/srv/app";

/// Where programs are looked for: what was installed for the application comes first.
const PATH: &str = "/srv/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// An application that lies in a folder of root's, which nobody changes meanwhile.
#[derive(Debug, Clone, Copy)]
pub struct Application<'a> {
    /// Its service.
    pub service: &'a ServiceName,
    /// What lies in the folder.
    pub found: &'a Found,
    /// What is to be made of it.
    pub chosen: &'a Chosen,
    /// The image that it stands on.
    pub base: &'a Image,
    /// The recipe of that image, which says how packages are installed.
    pub recipe: &'a Recipe,
}

impl<R: Runner> Builds<R> {
    /// Makes the image of a Python application, and of that what is not there: its packages, its files. Packages are installed anew when what they are made of changes, and when the application's other files do only
    /// where its requirements name some of them. `on_line` is given each line that the build of the packages writes.
    ///
    /// # Errors
    /// [`BuildError`], whose text says what to do.
    pub async fn build_application(
        &self,
        application: &Application<'_>,
        on_line: impl FnMut(&str) + Send,
    ) -> Result<Image, BuildError> {
        let Application { service, found, chosen, base, .. } = *application;
        let application::Recipe::Python { declared, added } = &chosen.recipe else {
            return Err(BuildError::NotPython);
        };
        let (packages, built) = self.packages(application, *declared, added, on_line).await?;
        let files = digest([service.as_str(), &found.contents.digest().to_string()]);
        let folder = self.add_files(service, found, &files)?;
        Ok(Image {
            folder,
            digest: digest([base.digest.as_str(), &built, &files]),
            bases: [&packages, &base.folder].into_iter().chain(&base.bases).cloned().collect(),
            start: start(chosen),
        })
    }

    /// The folder of the application's packages, and their digest.
    async fn packages(
        &self,
        application: &Application<'_>,
        declared: Declared,
        added: &[&str],
        on_line: impl FnMut(&str) + Send,
    ) -> Result<(PathBuf, String), BuildError> {
        let Application { service, found, base, recipe, .. } = *application;
        let (script, egress) = recipe.packages().ok_or(BuildError::NoScript)?;
        let needed = Needed::of(found, declared);
        let text = std::fs::read_to_string(script).map_err(file_error("read", script))?;
        let input = needed.digest(found).to_string();
        let parts = [service.as_str(), &base.digest, &text, &input];
        let digest = digest(parts.into_iter().chain(added.iter().copied()));
        let declared = [needed.declared].into_iter().chain(added.iter().copied());
        let build = Build {
            service,
            base,
            digest: &digest,
            script,
            arguments: declared.map(str::to_owned).collect(),
            environment: BTreeMap::new(),
            input: Input::Files { folder: &found.folder, files: needed.paths(found) },
            egress: [egress, &self.egress].into_iter().fold(Egress::default(), joined),
            limits: self.limits,
        };
        let folder = self.build(&build, on_line).await?;
        Ok((folder, digest))
    }

    /// The folder of what the application's own files are in an image.
    fn add_files(
        &self,
        service: &ServiceName,
        found: &Found,
        digest: &str,
    ) -> Result<PathBuf, BuildError> {
        let name = format!("{service}.files");
        if let Some(folder) = self.parts.find(&name, digest) {
            return Ok(folder);
        }
        let part = self.parts.begin(&name, FILES, found.contents.bytes())?;
        self.lay_out(found, &part.inner)?;
        self.parts.keep(part, digest)
    }

    /// As they would be received: what goes along alone, and only if it still is what was found.
    fn lay_out(&self, found: &Found, folder: &Path) -> Result<(), BuildError> {
        let failed = |source: io::Error| file_error("pack", &found.folder)(source);
        let mut archive: File = tempfile::tempfile().map_err(failed)?;
        application::pack(found, &archive).map_err(BuildError::Pack)?;
        archive.rewind().map_err(failed)?;
        let bounds = Bounds { entries: usize::MAX, bytes: u64::MAX };
        application::unpack(io::BufReader::new(archive), folder, bounds)
            .map_err(BuildError::Unpack)?;
        Ok(())
    }
}

fn joined(all: Egress, more: &Egress) -> Egress {
    Egress::new(all.destinations().iter().chain(more.destinations()).cloned().collect())
}

/// How the application starts: in its folder, with what was installed for it before what the userland has.
fn start(chosen: &Chosen) -> ImageStart {
    let environment = chosen.environment.iter();
    let environment = environment.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let own = [("PATH", PATH), ("VIRTUAL_ENV", "/srv/venv")];
    let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
    ImageStart::Application {
        command: chosen.start.as_ref().map(application::Start::command).unwrap_or_default(),
        environment: environment.chain(own).collect(),
        working_folder: FILES.to_owned(),
    }
}

/// The digest of these texts, none of which can look like two, in the length of an image's.
fn digest<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(text);
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
