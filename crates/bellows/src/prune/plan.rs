//! What is to be freed, line by line, and what stays though it could be thought of.

use std::fmt;
use std::path::{Path, PathBuf};

use explain::words::mib;
use model::names::ServiceName;

use super::found::{Found, OfService};

/// One thing that is not needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    /// An image that nothing stands on.
    Image(PathBuf),
    /// What builds of a service keep for the next one.
    Cache(ServiceName),
    /// What the last deploy of a service left that is not deployed.
    Deploy(ServiceName),
    /// Templates that a crash left half made.
    Drafts,
    /// A release that is neither in force nor one of the last.
    Release(PathBuf),
}

/// One line of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) what: What,
    /// What comes free.
    pub(super) bytes: u64,
}

/// What is to go.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) items: Vec<Item>,
    /// What stays, and why.
    pub(super) stays: Vec<String>,
}

impl Plan {
    /// What can go of what was found; with `caches`, what builds keep for services that are deployed too.
    pub(super) fn new(found: Found, caches: bool) -> Self {
        let Found { deployed, images, images_unknown, caches: kept, deploys, drafts, releases } =
            found;
        let mut plan = Self { items: Vec::new(), stays: images_unknown.into_iter().collect() };
        plan.add_folders(images, What::Image);
        let is_unneeded = |it: &OfService| !deployed.contains(&it.service);
        for cache in kept.into_iter().filter(|it| caches || is_unneeded(it)) {
            plan.add(cache, What::Cache, "is being built");
        }
        for deploy in deploys.into_iter().filter(is_unneeded) {
            plan.add(deploy, What::Deploy, "is being deployed");
        }
        plan.items.extend(drafts.map(|bytes| Item { what: What::Drafts, bytes }));
        plan.add_folders(releases, What::Release);
        plan
    }

    /// What of it stands in a plan that was made later, too.
    pub(super) fn and_still(mut self, later: &Self) -> Self {
        self.items.retain(|item| later.items.iter().any(|it| it.what == item.what));
        self
    }

    fn add_folders(&mut self, folders: Vec<(PathBuf, u64)>, what: impl Fn(PathBuf) -> What) {
        let item = |(folder, bytes)| Item { what: what(folder), bytes };
        self.items.extend(folders.into_iter().map(item));
    }

    fn add(&mut self, of: OfService, what: impl Fn(ServiceName) -> What, busy: &str) {
        let OfService { service, bytes, is_busy } = of;
        if is_busy {
            self.stays.push(format!("{} stays: {service} {busy}", what(service.clone())));
        } else {
            self.items.push(Item { what: what(service), bytes });
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(folder) => write!(f, "the image {}", name(folder)),
            Self::Cache(service) => write!(f, "the cache of builds of {service}"),
            Self::Deploy(service) => write!(f, "what the last deploy of {service} left"),
            Self::Drafts => write!(f, "templates that were not finished"),
            Self::Release(folder) => write!(f, "the old release {}", name(folder)),
        }
    }
}

fn name(folder: &Path) -> std::borrow::Cow<'_, str> {
    folder.file_name().unwrap_or_default().to_string_lossy()
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Item { what, bytes } in &self.items {
            writeln!(f, "{:>12}  {what}", mib(*bytes))?;
        }
        if self.items.len() > 1 {
            let sum = self.items.iter().map(|item| item.bytes).sum();
            writeln!(f, "{:>12}  in all", mib(sum))?;
        }
        self.stays.iter().try_for_each(|why| writeln!(f, "  {why}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn of(service: &str, mib: u64, is_busy: bool) -> OfService {
        OfService { service: service.parse().unwrap(), bytes: mib * MIB, is_busy }
    }

    /// With `shop` deployed.
    fn found() -> Found {
        Found {
            deployed: ["shop".parse().unwrap()].into(),
            images: vec![(PathBuf::from("/state/images/blog.files-1f"), 3 * MIB)],
            images_unknown: None,
            caches: vec![of("blog", 180, false), of("building", 7, true), of("shop", 40, false)],
            deploys: vec![of("begun", 1, true), of("blog", 0, false), of("shop", 1, false)],
            drafts: Some(MIB),
            releases: vec![(PathBuf::from("/state/releases/0a1b"), 60 * MIB)],
        }
    }

    #[test]
    fn what_nothing_needs_is_told_line_by_line_with_what_it_takes() {
        insta::assert_snapshot!(Plan::new(found(), false), @r"
           3.0 MiB  the image blog.files-1f
           180 MiB  the cache of builds of blog
           0.0 MiB  what the last deploy of blog left
           1.0 MiB  templates that were not finished
          60.0 MiB  the old release 0a1b
           244 MiB  in all
        the cache of builds of building stays: building is being built
        what the last deploy of begun left stays: begun is being deployed
        ");
    }

    #[test]
    fn caches_of_services_that_are_deployed_go_where_that_is_said() {
        let without = Plan::new(found(), false).items.into_iter();
        let with = Plan::new(found(), true).items;
        let shop = Item { what: What::Cache("shop".parse().unwrap()), bytes: 40 * MIB };
        assert!(with.contains(&shop) && !without.clone().any(|it| it == shop));
        assert_eq!(with.len(), without.len() + 1);
    }

    #[test]
    fn images_stay_while_one_is_being_made_and_the_rest_goes() {
        let images_unknown = Some("images stay".to_owned());
        let plan = Plan::new(Found { images: vec![], images_unknown, ..found() }, false);
        assert!(!plan.items.iter().any(|it| matches!(it.what, What::Image(_))));
        assert_eq!((plan.items.len(), plan.stays[0].as_str()), (4, "images stay"));
    }

    #[test]
    fn what_somebody_has_begun_to_use_since_it_was_shown_is_none_of_it_any_more() {
        let deployed = ["shop", "blog"].map(|name| name.parse().unwrap()).into();
        let later = Plan::new(Found { deployed, images: vec![], ..found() }, false);
        let plan = Plan::new(found(), false).and_still(&later);
        let left: Vec<_> = plan.items.iter().map(|item| item.what.to_string()).collect();
        assert_eq!(left, ["templates that were not finished", "the old release 0a1b"]);
    }

    #[test]
    fn where_nothing_is_found_nothing_is_to_go() {
        assert_eq!(Plan::new(Found::default(), true), Plan::default());
    }
}
