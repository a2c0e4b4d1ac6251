//! The image of an application: its files, above the packages that it needs if it needs some, above the image of a
//! recipe.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Seek as _};
use std::path::{Path, PathBuf};

use application::{Bounds, Chosen, Declared, Found, Needed, Recipe as Kind};
use model::egress::Egress;
use model::names::ServiceName;
use sha2::{Digest as _, Sha256};

use super::error::BuildError;
use super::{Build, Builds, Input};
use crate::command::Runner;
use crate::files::file_error;
use crate::lxc::{Image, ImageStart, Recipe};

/// Where an image has the files of an application that is started.
const FOLDER: &str = "/srv/app";

/// Where the server of files has what it serves.
const SERVED: &str = "/srv/files";

/// Where programs are looked for after what comes with the application.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// An application that lies in a folder of root's, which nobody changes meanwhile.
#[derive(Debug, Clone, Copy)]
pub struct Application<'a> {
    /// Its service.
    pub service: &'a ServiceName,
    /// What lies in the folder.
    pub found: &'a Found,
    /// What is to be made of it.
    pub chosen: &'a Chosen,
    /// The image of the recipe [`Chosen::image`], that it stands on.
    pub base: &'a Image,
    /// That recipe, which says how packages are installed.
    pub recipe: &'a Recipe,
}

impl<R: Runner> Builds<R> {
    /// Makes the image of an application, and of that what is not there: its packages, where it is one of Python, and
    /// its files. Packages are installed anew when what they are made of changes, and when the application's other
    /// files do only where its requirements name some of them. `on_line` is given each line that the build of the
    /// packages writes.
    ///
    /// # Errors
    /// [`BuildError`], whose text says what to do.
    pub async fn build_application(
        &self,
        application: &Application<'_>,
        on_line: impl FnMut(&str) + Send,
    ) -> Result<Image, BuildError> {
        let Application { service, found, chosen, base, .. } = *application;
        let packages = match &chosen.recipe {
            Kind::Python { declared, added } => {
                Some(self.packages(application, *declared, added, on_line).await?)
            }
            Kind::Program { .. } | Kind::Files => None,
        };
        let (packages, built) = packages.unzip();
        let place = place(&chosen.recipe);
        let files = digest([service.as_str(), place, &found.contents.digest().to_string()]);
        let folder = self.add_files(service, found, place, &files)?;
        let parts = [&base.digest].into_iter().chain(&built).chain([&files]);
        Ok(Image {
            folder,
            digest: digest(parts.map(String::as_str)),
            bases: packages.iter().chain([&base.folder]).chain(&base.bases).cloned().collect(),
            start: start(chosen, base),
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
        place: &str,
        digest: &str,
    ) -> Result<PathBuf, BuildError> {
        let name = format!("{service}.files");
        if let Some(folder) = self.parts.find(&name, digest) {
            return Ok(folder);
        }
        let part = self.parts.begin(&name, place, found.contents.bytes())?;
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

/// Where the application's files are in an instance.
fn place(recipe: &Kind) -> &'static str {
    match recipe {
        Kind::Program { .. } | Kind::Python { .. } => FOLDER,
        Kind::Files => SERVED,
    }
}

/// How the application starts: in its folder, with what comes with it before what a userland has. Files are served by
/// what the image below starts.
fn start(chosen: &Chosen, base: &Image) -> ImageStart {
    let (first, own) = match &chosen.recipe {
        Kind::Files => return base.start.clone(),
        Kind::Program { .. } => (FOLDER, None),
        Kind::Python { .. } => ("/srv/venv/bin", Some(("VIRTUAL_ENV", "/srv/venv"))),
    };
    let path = format!("{first}:{PATH}");
    let chosen_ones = chosen.environment.iter().map(|(name, value)| (*name, *value));
    let environment = chosen_ones.chain(own).chain([("PATH", path.as_str())]);
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
    ImageStart::Application {
        command: chosen.start.as_ref().map(application::Start::command).unwrap_or_default(),
        environment: environment.collect(),
        working_folder: FOLDER.to_owned(),
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
