//! An application's folder on a host of the test's own, and images that are built of it.

use std::fs;
use std::path::{Path, PathBuf};

use application::{Bounds, detect, read};
use host::build::{Application, BuildError, Builds};
use host::command::HostRunner;
use host::lxc::{Image, Recipe};

use super::world::{World, built, init_program, run};

/// A host of its own, and the application that is built there.
pub(crate) struct Rig {
    pub(crate) world: World,
    pub(crate) folder: PathBuf,
}

impl Rig {
    pub(crate) async fn new() -> Self {
        Self::on(World::new().await)
    }

    /// The same on this host.
    pub(crate) fn on(world: World) -> Self {
        let folder = world.folder().join("application");
        fs::create_dir(&folder).unwrap();
        // What builds run may not go through the folder of the build.
        run("cp", &[&built("egress").display().to_string(), &egress(&world)]);
        Self { world, folder }
    }

    /// The same of an application of these files.
    pub(crate) async fn of(files: &[(&str, &str)]) -> Self {
        let rig = Self::new().await;
        for (path, text) in files {
            rig.write(path, text);
        }
        rig
    }

    /// The same of one of the examples as it stands.
    pub(crate) fn of_example(self, name: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name);
        Self { folder, ..self }
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let file = self.folder.join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    /// The application's image, which stands on what is chosen for it, and what its build wrote.
    pub(crate) async fn build_for(
        &self,
        service: &str,
    ) -> (Result<Image, BuildError>, Vec<String>) {
        let found = read(&self.folder, Bounds::default()).unwrap();
        let chosen = detect(&found, None).unwrap();
        let recipes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../rootfs");
        let programs = built("static-server").parent().unwrap().to_owned();
        let name = chosen.image().parse().unwrap();
        let recipe = Recipe::load(&name, &[recipes], &programs).unwrap();
        // Debian's userland is made once for all tests.
        let images = match chosen.image() {
            "debian" | "python" => Path::new(env!("CARGO_TARGET_TMPDIR")).join("images"),
            _ => self.world.settings.paths.state.join("images"),
        };
        let base = recipe.ensure(&HostRunner, &images).await.unwrap();
        let application = Application {
            service: &service.parse().unwrap(),
            found: &found,
            chosen: &chosen,
            base: &base,
            recipe: &recipe,
        };
        let builds = Builds::new(&self.world.settings, HostRunner);
        let builds = builds.with_programs(init_program(), egress(&self.world).into());
        let mut lines = Vec::new();
        let line = |line: &str| lines.push(line.to_owned());
        (builds.build_application(&application, line).await, lines)
    }
}

fn egress(world: &World) -> String {
    world.folder().join("egress").display().to_string()
}
