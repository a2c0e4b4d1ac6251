//! Whence a service was deployed that no file of `services/` describes.

use std::fmt;
use std::path::Path;

/// The folder of a service that was deployed by the API, from none. No folder that is deployed is called so: theirs are
/// absolute.
pub fn by_api() -> &'static Path {
    Path::new("the API")
}

/// Whence a service was deployed. Shown as what follows "is deployed".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin<'a> {
    /// From this folder, by `bellows deploy`.
    Folder(&'a Path),
    /// By the API, from no folder.
    Api,
}

impl<'a> Origin<'a> {
    /// That of a service with this folder, [`by_api`] or another one.
    pub fn of(folder: &'a Path) -> Self {
        if folder == by_api() { Self::Api } else { Self::Folder(folder) }
    }
}

impl fmt::Display for Origin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => write!(f, "from {}", folder.display()),
            Self::Api => f.write_str("by the API"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_whence_a_service_was_deployed() {
        let told = |folder| format!("deployed {}", Origin::of(Path::new(folder)));
        assert_eq!(told("/srv/shop"), "deployed from /srv/shop");
        assert_eq!(format!("deployed {}", Origin::of(by_api())), "deployed by the API");
    }
}
