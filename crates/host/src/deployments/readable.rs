//! What of a deployment can be used where one service of it cannot: another release wrote its record, or it was spoilt.

use std::collections::BTreeMap;

use model::names::ServiceName;
use model::service::{ReachError, ServiceSpec, check_reaches, check_routes};

use super::{DeployedService, Deployment, DeploymentError, read};

/// The services that can be read and go together, and what is wrong with each of the others.
#[derive(Debug, Default)]
pub struct Readable {
    /// The services, in the order of their names.
    pub services: Vec<DeployedService>,
    /// Why others are not among them.
    pub problems: BTreeMap<ServiceName, DeploymentError>,
}

impl Readable {
    /// The same, with those that cannot be used as they were `known` before, where they go with the rest.
    #[must_use]
    pub fn or_known(mut self, known: &[DeployedService]) -> Self {
        for old in known.iter().filter(|old| self.problems.contains_key(&old.spec.name)) {
            let mut services = self.services.clone();
            services.push(old.clone());
            services.sort_by(|one, other| one.spec.name.cmp(&other.spec.name));
            if conflict(&services).is_none() {
                self.services = services;
            }
        }
        self
    }
}

impl Deployment {
    /// The services with their files read, without those that do not read as a service's or do not go with the others.
    /// One that nobody could ask is no trouble for the others.
    pub fn readable(&self) -> Readable {
        let mut readable = Readable::default();
        for (name, record) in &self.services {
            match read(name, record) {
                Ok(service) => readable.services.push(service),
                Err(problem) => drop(readable.problems.insert(name.clone(), problem)),
            }
        }
        while let Some((services, problem)) = conflict(&readable.services) {
            let service = self.to_leave_out(&services);
            readable.services.retain(|kept| kept.spec.name != service);
            readable.problems.insert(service.clone(), self.told(&service, problem));
        }
        readable
    }

    /// Which of these, of which there is one at least: the last one of a folder, since an `up` is about to mend the others.
    fn to_leave_out(&self, services: &[ServiceName]) -> ServiceName {
        let of_folder =
            |name: &&ServiceName| self.folders().any(|(of_folder, _)| of_folder == *name);
        let last = services.iter().rev().find(of_folder).or(services.last());
        last.cloned().expect("a conflict is one of services")
    }

    /// The problem in words that tell what to do about this service.
    fn told(&self, service: &ServiceName, problem: DeploymentError) -> DeploymentError {
        let Some((_, folder)) = self.folders().find(|(name, _)| *name == service) else {
            return problem;
        };
        let problem = match problem {
            DeploymentError::Routes(problem) => problem.to_string(),
            DeploymentError::Reaches(problem) => problem.to_string(),
            other => return other,
        };
        DeploymentError::OfFolder { service: service.clone(), folder: folder.to_owned(), problem }
    }
}

/// Services that do not go together, each of which could be left out, and why.
fn conflict(services: &[DeployedService]) -> Option<(Vec<ServiceName>, DeploymentError)> {
    let specs: Vec<&ServiceSpec> = services.iter().map(|service| &service.spec).collect();
    if let Some(same) = check_routes(&specs).into_iter().next() {
        let both = vec![same.first.clone(), same.second.clone()];
        return Some((both, DeploymentError::Routes(same)));
    }
    check_reaches(&specs).into_iter().find_map(|problem| {
        let who = match &problem {
            ReachError::Unreached(_) => return None,
            ReachError::NoService { service, .. }
            | ReachError::NoRequests { service, .. }
            | ReachError::SamePort { service, .. } => vec![service.clone()],
            ReachError::Circle(circle) => circle.clone(),
        };
        Some((who, DeploymentError::Reaches(problem)))
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use model::time::Timestamp;
    use model::version::Version;

    use super::*;
    use crate::deployments::{Deployments, FILE, NewService};

    const STORE: &str = include_str!("../../../../services/object-store.toml");

    /// The store's file under this name and prefix, with a line more for its instances.
    fn named(name: &str, prefix: &str, line: &str) -> String {
        STORE
            .replacen("name = \"object-store\"", &format!("name = {name:?}"), 1)
            .replacen("path_prefix = \"/\"", &format!("path_prefix = {prefix:?}"), 1)
            .replacen("port = 8000", &format!("port = 8000\n{line}"), 1)
    }

    fn new<'a>(name: &'a ServiceName, file: &'a str) -> NewService<'a> {
        NewService { name, file, version: Version::new(1), serving: None, again: false }
    }

    /// The store of a file in a tree, and these services of folders.
    fn deployment(of_folders: &[(&str, &str)]) -> Deployment {
        let at = Timestamp::from_millis(1);
        let store = "object-store".parse().unwrap();
        let deployment = Deployment::default().followed_by(&[new(&store, STORE)], 3, at);
        of_folders.iter().fold(deployment, |before, (name, file)| {
            let folder = Path::new("/srv").join(name);
            let name = name.parse().unwrap();
            before.with_folder(&new(&name, file), &folder, 3, at)
        })
    }

    fn names(services: &[DeployedService]) -> Vec<String> {
        services.iter().map(|service| service.spec.name.to_string()).collect()
    }

    #[test]
    fn a_service_that_cannot_be_used_holds_up_no_other_and_says_what_to_do() {
        let (good, twin) = (named("good", "/good", ""), named("twin", "/good", ""));
        let first = named("alone", "/", "");
        let lost = named("lost", "/lost", "reaches = [\"gone\"]");
        let services = [
            ("alone", first.as_str()),
            ("bad", "colour = 1"),
            ("good", &good),
            ("lost", &lost),
            ("twin", &twin),
        ];
        let deployment = deployment(&services);
        assert!(deployment.deployed().is_err());
        let Readable { services, problems } = deployment.readable();
        assert_eq!(names(&services), ["good", "object-store"]);
        let told: Vec<_> = problems.values().map(ToString::to_string).collect();
        assert_eq!(told.len(), 4);
        for (told, name) in told.iter().zip(["alone", "bad", "lost", "twin"]) {
            let cure = format!("deploy /srv/{name} again, or `bellows destroy {name}`");
            assert!(told.contains(&cure) && told.starts_with("service "), "{told}");
        }
    }

    #[test]
    fn a_service_that_cannot_be_used_is_as_it_was_known_where_it_goes_with_the_others() {
        let (old, other) = (named("shop", "/shop", ""), named("other", "/shop", ""));
        let known = deployment(&[("shop", &old)]).readable().services;
        let bad = ("shop", "colour = 1");
        let readable = deployment(&[bad]).readable().or_known(&known);
        assert_eq!(names(&readable.services), ["object-store", "shop"]);
        let taken = deployment(&[bad, ("other", &other)]).readable().or_known(&known);
        assert_eq!(names(&taken.services), ["object-store", "other"]);
    }

    #[test]
    fn of_a_file_that_cannot_be_read_the_records_stay_that_can_be() {
        let state = tempfile::tempdir().unwrap();
        let deployments = Deployments::new(state.path());
        let (good, bad) = (named("good", "/good", ""), named("bad", "/bad", ""));
        deployments.deploy(&deployment(&[("good", &good), ("bad", &bad)])).unwrap();
        let file = state.path().join(FILE);
        let text = fs::read_to_string(&file).unwrap();
        let mut spoilt: serde_json::Value = serde_json::from_str(&text).unwrap();
        spoilt["services"]["bad"]["wanted"] = "later".into();
        fs::write(&file, spoilt.to_string()).unwrap();
        assert!(deployments.load().is_err());
        let (kept, lost) = deployments.salvaged().unwrap();
        assert_eq!(
            kept.folders().collect::<Vec<_>>(),
            [(&"good".parse().unwrap(), Path::new("/srv/good"))]
        );
        assert_eq!(lost, [("bad".parse().unwrap(), PathBuf::from("/srv/bad"))].into());
        spoilt["format"] = 2.into();
        fs::write(&file, spoilt.to_string()).unwrap();
        let (kept, lost) = deployments.salvaged().unwrap();
        assert_eq!((kept, lost.len()), (Deployment::default(), 2));
        fs::write(&file, &text[..text.len() / 2]).unwrap();
        assert_eq!(deployments.salvaged(), None);
    }
}
