//! Whose a service's name is: a file's in `services/`, or a folder's.

use std::path::Path;

use anyhow::anyhow;
use host::deployments::{Deployment, Origin};
use model::names::ServiceName;

/// Refuses a name that is another's: with it go its secrets, its data and its route. Who `replaces` has named it, and
/// means to put this folder in the place of the other one.
///
/// # Errors
/// With whose it is.
pub(super) fn check(
    deployment: &Deployment,
    name: &ServiceName,
    folder: &Path,
    replaces: bool,
) -> anyhow::Result<()> {
    match deployment.origin(name) {
        Some(other) if other == Origin::of(folder) || replaces => Ok(()),
        Some(other) => Err(anyhow!(
            "{name} is deployed {other}: name this one with --name, {name} to put it in the place of that"
        )),
        None if deployment.names().any(|taken| taken == name) => Err(anyhow!(
            "services/{name}.toml describes a service of this name: name this one with --name"
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use host::deployments::{NewService, by_api};
    use model::time::Timestamp;
    use model::version::Version;

    use super::*;

    #[test]
    fn a_name_is_one_folders_or_a_files_and_is_taken_over_by_who_says_it_alone() {
        let (shop, store): (ServiceName, ServiceName) =
            ("shop".parse().unwrap(), "store".parse().unwrap());
        let new = |name| NewService {
            name,
            file: "",
            version: Version::new(1),
            serving: None,
            again: false,
        };
        let (own, other) = (Path::new("/home/anna/shop"), Path::new("/tmp/shop"));
        let at = Timestamp::from_millis(1);
        let deployment = Deployment::default().followed_by(&[new(&store)], 3, at).with_folder(
            &new(&shop),
            own,
            3,
            at,
        );
        let of_api = deployment.clone().with_folder(&new(&shop), by_api(), 3, at);
        let refused = check(&of_api, &shop, own, false).unwrap_err().to_string();
        assert!(refused.starts_with("shop is deployed by the API: "), "{refused}");
        let told = |name, folder, replaces| {
            check(&deployment, name, folder, replaces).map_err(|error| error.to_string())
        };
        assert_eq!(told(&shop, own, false), Ok(()));
        assert_eq!(told(&shop, other, true), Ok(()));
        let refused = told(&shop, other, false).unwrap_err();
        assert!(refused.starts_with("shop is deployed from /home/anna/shop: "), "{refused}");
        for replaces in [false, true] {
            let refused = told(&store, own, replaces).unwrap_err();
            assert!(refused.starts_with("services/store.toml describes"), "{refused}");
        }
        assert_eq!(told(&"new".parse().unwrap(), own, false), Ok(()));
    }
}
