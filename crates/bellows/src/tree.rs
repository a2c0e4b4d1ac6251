//! The operator's own files: settings and services, read and checked before anything is changed.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use command_line::files;
use config_file::{Checked as _, ConfigError, from_toml_or_problems};
use host::deployments::{Origin, with_figures};
use host::settings::{DEFAULT_FILE, SHIPPED, Settings};
use model::names::ServiceName;
use model::service::{RawService, ServiceSpec, check_mounts, check_reaches, check_routes};
use model::size::Sizes;
use policy::slots;

use crate::cli::Place;
use crate::code::Code;
use crate::deployed::{self, OfFolder};
use crate::error::BadInput;

/// The folder of the services' files.
const SERVICES: &str = "services";

/// Everything that the operator's files say.
#[derive(Debug)]
pub(crate) struct Tree {
    /// The folder that holds them, absolute.
    pub(crate) root: PathBuf,
    pub(crate) settings: Settings,
    /// The settings as written; empty when there is no file and the defaults hold.
    pub(crate) settings_text: String,
    /// The services, in the order of their names.
    pub(crate) services: Vec<ServiceFile>,
    /// The services that were deployed from folders or by the API, which are served beside these.
    pub(crate) of_folders: Vec<OfFolder>,
}

/// A service's file.
#[derive(Debug)]
pub(crate) struct ServiceFile {
    pub(crate) spec: ServiceSpec,
    /// The file as written, with the figures of a size in its place.
    pub(crate) text: String,
}

/// Reads the settings: the file that was named, else `bellows.toml` of the tree if there is one,
/// else the defaults. Gives the text too, which is empty for the defaults.
///
/// # Errors
/// A file that cannot be read or used; the text names file, key, value and what is allowed.
pub(crate) fn settings(place: &Place) -> Result<(Settings, String), BadInput> {
    let shipped = place.tree().join(DEFAULT_FILE);
    let file = match &place.settings {
        Some(named) => named,
        None if shipped.exists() => &shipped,
        None => return Ok((Settings::default(), String::new())),
    };
    let is_bad = |problems: BadInput| problems.coded(Code::BadSettings);
    let text = config_file::read_text(file).map_err(BadInput::new).map_err(is_bad)?;
    let read = from_toml_or_problems(file.display(), &text, SHIPPED, Settings::from_raw);
    Ok((read.map_err(problems).map_err(is_bad)?, text))
}

impl Tree {
    /// Reads and checks all files.
    ///
    /// # Errors
    /// Every problem of every file.
    pub(crate) fn load(place: &Place) -> Result<Self, BadInput> {
        let root = fs::canonicalize(place.tree()).with_context(|| unread(place.tree()));
        let root = root.map_err(BadInput::new)?;
        let read = settings(place);
        // With the default ones where they are wrong: what is wrong with services is told too.
        let known = read.as_ref().map(|(settings, _)| settings.clone()).unwrap_or_default();
        let (of_folders, _) = deployed::of_folders(&known);
        let services = services(&place.tree().join(SERVICES), &known, &of_folders);
        let ((settings, settings_text), services) = match (read, services) {
            (Ok(settings), Ok(services)) => (settings, services),
            (settings, services) => {
                let problems = [settings.err(), services.err()].into_iter().flatten();
                return Err(BadInput(problems.flat_map(|BadInput(problems)| problems).collect()));
            }
        };
        Ok(Self { root, settings, settings_text, services, of_folders })
    }

    /// The same beside what is deployed from folders by now: whoever has the operators' lock reads it again, since a
    /// deploy may have ended since.
    ///
    /// # Errors
    /// What does not go together with it.
    pub(crate) fn read_again(mut self) -> Result<Self, BadInput> {
        (self.of_folders, _) = deployed::of_folders(&self.settings);
        let problems = together(&self.services, &self.settings, &self.of_folders, true);
        BadInput(problems).or(self)
    }

    /// What the services' files say.
    pub(crate) fn specs(&self) -> Vec<&ServiceSpec> {
        self.services.iter().map(|file| &file.spec).collect()
    }

    /// The same, with the services that were deployed from folders.
    pub(crate) fn all_specs(&self) -> Vec<&ServiceSpec> {
        let of_folders = self.of_folders.iter().map(|other| &other.spec);
        self.specs().into_iter().chain(of_folders).collect()
    }

    /// The names of the services that have a file.
    pub(crate) fn names(&self) -> impl Iterator<Item = &ServiceName> {
        self.services.iter().map(|file| &file.spec.name)
    }

    /// Whether a service may reach something beyond this host.
    pub(crate) fn needs_egress(&self) -> bool {
        self.all_specs().iter().any(|spec| !spec.egress.is_none())
    }
}

fn unread(folder: &Path) -> String {
    format!("{} cannot be read; name the project's folder with --tree", folder.display())
}

fn services(
    folder: &Path,
    settings: &Settings,
    of_folders: &[OfFolder],
) -> Result<Vec<ServiceFile>, BadInput> {
    let files = files::with_extension(folder, "toml").map_err(|error| {
        BadInput::new(match error {
            ConfigError::Read { path, cause } => anyhow!(cause).context(unread(&path)),
            error => error.into(),
        })
    })?;
    let mut services: Vec<ServiceFile> = Vec::new();
    let mut problems = BadInput::default();
    if files.is_empty() {
        problems.0.push(anyhow!(
            "{} holds no service: add a file such as services/object-store.toml",
            folder.display()
        ));
    }
    for file in files {
        match service(&file, &settings.sizes) {
            Ok(service) => services.push(service),
            Err(BadInput(found)) => problems.0.extend(found),
        }
    }
    problems.0.extend(together(&services, settings, of_folders, problems.0.is_empty()));
    problems.coded(Code::BadServiceFile).or(services)
}

/// A file whose service's name is that of one of another origin.
pub(crate) fn taken(name: &ServiceName, origin: Origin<'_>) -> anyhow::Error {
    anyhow!(
        "services/{name}.toml: {name} is deployed {origin}: give this service another name, or \
         `bellows destroy {name}` first"
    )
}

/// What keeps these services from being served beside those of folders. What they reach is looked at where
/// all of them could be read.
fn together(
    files: &[ServiceFile],
    settings: &Settings,
    of_folders: &[OfFolder],
    are_all: bool,
) -> Vec<anyhow::Error> {
    let mut problems = Vec::new();
    let (taken, others): (Vec<_>, Vec<_>) = of_folders
        .iter()
        .partition(|other| files.iter().any(|file| file.spec.name == other.spec.name));
    let taken = taken.into_iter();
    problems.extend(taken.map(|other| self::taken(&other.spec.name, Origin::of(&other.folder))));
    let others = others.into_iter().map(|other| &other.spec);
    let specs: Vec<_> = files.iter().map(|file| &file.spec).chain(others).collect();
    problems.extend(check_routes(&specs).into_iter().map(Into::into));
    problems.extend(check_mounts(&specs).into_iter().map(Into::into));
    let lower_bounds = specs.iter().map(|spec| (&spec.name, spec.bounds.min()));
    let enough = slots::suffice(lower_bounds, settings.network.subnet.last_slot());
    problems.extend(enough.err().map(Into::into));
    // A file that cannot be read would be missed here, and is told already.
    if are_all && problems.is_empty() {
        problems.extend(check_reaches(&specs).into_iter().map(Into::into));
    }
    problems
}

fn service(file: &Path, sizes: &Sizes) -> Result<ServiceFile, BadInput> {
    let text = config_file::read_text(file).map_err(BadInput::new)?;
    let (shown, check) = (file.display(), |raw: RawService| raw.checked(sizes));
    let read = from_toml_or_problems(shown, &text, RawService::EXAMPLE, check);
    let spec = read.map_err(problems)?;
    let (shown, name) = (file.display(), &spec.name);
    if files::stem(file) != name.as_str() {
        return Err(BadInput::new(anyhow!(
            "{shown}: name is `{name}`: name the file {name}.toml, or the service after its file"
        )));
    }
    let text = with_figures(&text, &spec);
    Ok(ServiceFile { spec, text })
}

fn problems(found: Vec<ConfigError>) -> BadInput {
    BadInput(found.into_iter().map(Into::into).collect())
}

#[cfg(test)]
mod tests {
    use host::deployments::{Deployment, Deployments, NewService};
    use model::time::Timestamp;
    use model::version::Version;

    use super::*;

    fn service_text(name: &str, prefix: &str, min: u32) -> String {
        format!(
            "name = \"{name}\"\nimage = \"{name}\"\n[route]\npath_prefix = \"{prefix}\"\n\
             [instance]\nport = 8000\nhealth_path = \"/healthz\"\nmemory_mib = 64\ncpus = 1.0\n\
             processes = 64\n[capacity]\nrequests_per_second = 50\nconcurrency = 8\n\
             [bounds]\nmin = {min}\nmax = 750\n"
        )
    }

    /// The messages about a tree with these services' files, without the folder's own name.
    fn errors(files: &[(&str, String)]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let services = folder.path().join(SERVICES);
        fs::create_dir(&services).unwrap();
        for (name, text) in files {
            fs::write(services.join(name), text).unwrap();
        }
        let place = Place { tree: Some(folder.path().to_owned()), settings: None };
        let errors = Tree::load(&place).expect_err("bad input");
        errors.to_string().replace(&format!("{}/", folder.path().display()), "")
    }

    #[test]
    fn every_bad_file_is_named_at_once() {
        let good = service_text("store", "/", 10);
        let unknown = good.replace("processes = 64", "processes = 64\ncolour = \"red\"");
        insta::assert_snapshot!(errors(&[
            ("a.toml", service_text("a", "/a", 10).replace("memory_mib = 64\ncpus", "memory_mib = 1\ncpu")),
            ("b.toml", unknown),
            ("c.toml", service_text("other", "/c", 10)),
            ("store.toml", good),
            ("twin.toml", service_text("twin", "/", 10)),
        ]), @r#"
        services/a.toml, line 8: instance.memory_mib is 1: use 4 to 1048576 (MiB)
        services/a.toml, line 9: instance.cpu: unknown field `cpu`, expected one of `port`, `protocol`, `health_path`, `health_status`, `size`, `memory_mib`, `cpus`, `cpu_weight`, `processes`, `price_per_hour`, `open_files`, `capabilities`, `root`, `layer_mib`, `writable`, `mounts`, `reaches`, `command`, `environment`, `user`, `working_folder`, `secrets`
        services/b.toml, line 11: instance.colour: unknown field `colour`, expected one of `port`, `protocol`, `health_path`, `health_status`, `size`, `memory_mib`, `cpus`, `cpu_weight`, `processes`, `price_per_hour`, `open_files`, `capabilities`, `root`, `layer_mib`, `writable`, `mounts`, `reaches`, `command`, `environment`, `user`, `working_folder`, `secrets`
        services/c.toml: name is `other`: name the file other.toml, or the service after its file
        service twin: the route is /, as that of store: give each its own host or path_prefix
        "#);
    }

    #[test]
    fn wrong_settings_hide_no_service() {
        let errors = errors(&[
            ("../bellows.toml", "[scaler]\ntick_ms = 1\n".to_owned()),
            ("a.toml", "name = 1".to_owned()),
        ]);
        for told in ["bellows.toml, line 2: scaler.tick_ms is 1", "services/a.toml, line 1: name: "]
        {
            assert!(errors.contains(told), "{errors}");
        }
    }

    #[test]
    fn services_that_need_more_slots_than_the_host_has_are_refused() {
        insta::assert_snapshot!(errors(&[
            ("a.toml", service_text("a", "/a", 700)),
            ("b.toml", service_text("b", "/b", 300)),
        ]), @"service b always needs 300 slots, and the services before it leave 299 of the host's: lower a bounds.min or widen network.subnet");
    }

    #[test]
    fn services_that_cannot_reach_what_they_name_are_refused() {
        let reaching = |name: &str, reached: &str| {
            let line = format!("port = 8000\nreaches = [\"{reached}\"]");
            service_text(name, &format!("/{name}"), 1).replace("port = 8000", &line)
        };
        insta::assert_snapshot!(errors(&[
            ("a.toml", reaching("a", "b")),
            ("b.toml", reaching("b", "a")),
            ("c.toml", reaching("c", "store")),
        ]), @"
        instance.reaches of c names store, and there is no such service: add it, or take the name out
        a reaches b, which reaches a: in a circle each would wait for the next; take one name out of an instance.reaches
        ");
        insta::assert_snapshot!(errors(&[("a.toml", reaching("a", "a"))]), @"services/a.toml, line 7: instance.reaches is a: use the names of other services, which `localhost` cannot be");
    }

    #[test]
    fn services_that_mount_one_folder_and_do_not_both_share_it_are_refused() {
        let mounting = |name: &str, shared: bool| {
            let mount = format!("{{ source = \"pictures\", target = \"/p\", shared = {shared} }}");
            let lines = format!("port = 8000\nmounts = [{mount}]");
            service_text(name, &format!("/{name}"), 1).replace("port = 8000", &lines)
        };
        insta::assert_snapshot!(errors(&[
            ("a.toml", mounting("a", false)),
            ("b.toml", mounting("b", true)),
        ]), @"services a and b both mount the folder pictures, and a does not say that it shares it: say shared = true at both mounts if both are to have it, or name another folder");
    }

    #[test]
    fn what_was_deployed_from_a_folder_since_the_tree_was_read_is_checked_too() {
        let folder = tempfile::tempdir().unwrap();
        let services = folder.path().join(SERVICES);
        fs::create_dir(&services).unwrap();
        fs::write(services.join("a.toml"), service_text("a", "/a", 1)).unwrap();
        let state = folder.path().join("state");
        let settings = format!("[paths]\nstate = {state:?}\n");
        fs::write(folder.path().join(DEFAULT_FILE), settings).unwrap();
        let deployments = Deployments::new(&state);
        let place = Place { tree: Some(folder.path().to_owned()), settings: None };
        let deploy = |name: &str, prefix: &str| {
            let tree = Tree::load(&place).unwrap();
            let (name, file) = (name.parse().unwrap(), service_text(name, prefix, 1));
            let version = Version::new(1);
            let new = NewService { name: &name, file: &file, version, serving: None, again: false };
            let (deployment, at) = (Deployment::default(), Timestamp::from_millis(1));
            let deployment = deployment.with_folder(&new, Path::new("/srv/b"), 3, at);
            deployments.deploy(&deployment).unwrap();
            let read = tree.read_again().map(|tree| tree.of_folders.len());
            deployments.remove_all().unwrap();
            read.map_err(|error| error.to_string())
        };
        assert_eq!(deploy("b", "/b"), Ok(1));
        assert!(deploy("b", "/a").unwrap_err().contains("the route is /a"));
        assert!(deploy("a", "/b").unwrap_err().contains("a is deployed from /srv/b: "));
    }

    #[test]
    fn a_tree_without_services_is_refused() {
        assert!(errors(&[]).contains("holds no service"));
    }

    #[test]
    fn settings_that_were_named_must_be_there() {
        let place = Place { tree: None, settings: Some("/nowhere/bellows.toml".into()) };
        assert!(settings(&place).unwrap_err().to_string().contains("/nowhere/bellows.toml"));
    }

    #[test]
    fn the_shipped_tree_is_good() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned();
        let tree = Tree::load(&Place { tree: Some(root), settings: None }).unwrap();
        assert!(tree.services.iter().any(|s| s.spec.name.as_str() == "object-store"));
    }
}
