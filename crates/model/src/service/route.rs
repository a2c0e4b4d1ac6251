//! Which requests from outside go to a service, and what it sees of their paths.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use serde::Deserialize;

use super::ServiceSpec;
use super::raw::text;
use crate::egress::HostName;
use crate::names::ServiceName;
use crate::paths::PathPrefix;
use crate::value::Invalid;

/// Which requests from outside go to a service.
///
/// Of the routes that match a request, those with a host come before those without, and of these the one with
/// the longest prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The host that requests name, whatever its case and port; `None` for any.
    pub host: Option<HostName>,
    /// The start of their paths.
    pub path_prefix: PathPrefix,
    /// Whether the service sees the paths without the prefix.
    pub strips_prefix: bool,
}

/// Two services that ask for the same requests.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "service {second}: the route is {route}, as that of {first}: give each its own host or path_prefix"
)]
pub struct SameRoute {
    /// One of them.
    pub first: ServiceName,
    /// The other one.
    pub second: ServiceName,
    /// What both say.
    pub route: Box<Route>,
}

/// All services, of these that are all there are, whose route another one has.
pub fn check_routes(services: &[&ServiceSpec]) -> Vec<SameRoute> {
    let routes = services.iter().filter_map(|spec| Some((&spec.name, spec.route()?)));
    let mut taken = BTreeMap::new();
    let mut same = Vec::new();
    for (second, route) in routes {
        match taken.entry(route.matched()) {
            Entry::Vacant(entry) => {
                entry.insert(second);
            }
            Entry::Occupied(entry) => {
                let first = (*entry.get()).clone();
                let route = Box::new(route.clone());
                same.push(SameRoute { first, second: second.clone(), route });
            }
        }
    }
    same
}

/// [`Route`] as it is written.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawRoute {
    /// The name of the host that requests are for.
    host: Option<String>,
    /// The paths that requests are for: this one and all below it.
    path_prefix: Option<String>,
    /// Whether the service sees paths without the prefix.
    #[serde(default)]
    strip_prefix: bool,
}

impl Route {
    /// The requests for these paths, whatever host they name.
    pub const fn below(path_prefix: PathPrefix) -> Self {
        Self { host: None, path_prefix, strips_prefix: false }
    }

    /// What a request is matched by, which no two services may share.
    pub const fn matched(&self) -> (Option<&HostName>, &PathPrefix) {
        (self.host.as_ref(), &self.path_prefix)
    }

    /// The prefix that the service does not see; `None` where it sees paths as they are.
    pub fn stripped(&self) -> Option<&PathPrefix> {
        Some(&self.path_prefix).filter(|prefix| self.strips_prefix && !prefix.is_all())
    }
}

/// The host, if there is one, and the prefix: `shop.example/cart`.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.host.as_ref().map_or("", HostName::as_str), self.path_prefix)
    }
}

impl RawRoute {
    pub(super) fn checked(self) -> Result<Route, Invalid> {
        let Self { host, path_prefix, strip_prefix } = self;
        if host.is_none() && path_prefix.is_none() {
            let missing = "it says nothing: add a host, a path_prefix or both";
            return Err(Invalid::form("route", &missing));
        }
        Ok(Route {
            host: host.as_deref().map(host_name).transpose()?,
            path_prefix: text("route.path_prefix", path_prefix.as_deref().unwrap_or("/"))?,
            strips_prefix: strip_prefix,
        })
    }
}

/// A host in the spelling in which requests are compared with it.
fn host_name(written: &str) -> Result<HostName, Invalid> {
    let name: HostName = text("route.host", written)?;
    if name.as_str() == written {
        return Ok(name);
    }
    let allowed = format!("{name}, in lower case and without a dot at its end");
    Err(Invalid::new("route.host", written, allowed))
}

#[cfg(test)]
mod tests {
    use super::super::raw::tests::{GOOD, parse};
    use super::*;

    fn route(lines: &str) -> Result<Route, String> {
        let spec = parse(&GOOD.replacen("path_prefix = \"/\"", lines, 1))?;
        Ok(spec.route().unwrap().clone())
    }

    #[test]
    fn a_route_is_a_host_a_prefix_or_both_and_keeps_the_prefix_unless_the_file_says_otherwise() {
        let shown = |lines: &str| {
            let route = route(lines).unwrap();
            (route.to_string(), route.stripped().map(ToString::to_string))
        };
        let text = str::to_owned;
        assert_eq!(shown("path_prefix = \"/a\""), (text("/a"), None));
        assert_eq!(shown("host = \"shop.example\""), (text("shop.example/"), None));
        let both = "host = \"shop.example\"\npath_prefix = \"/a\"\nstrip_prefix = true";
        assert_eq!(shown(both), (text("shop.example/a"), Some(text("/a"))));
        assert_eq!(shown("path_prefix = \"/\"\nstrip_prefix = true"), (text("/"), None));
    }

    #[test]
    fn a_host_that_no_request_would_equal_or_that_could_say_more_than_a_name_is_refused() {
        let cases = [
            ("", "route: it says nothing: add a host, a path_prefix or both"),
            ("strip_prefix = true", "route: it says nothing: add a host"),
            (
                "host = \"Shop.Example.\"",
                "route.host is Shop.Example.: use shop.example, in lower case and without a dot",
            ),
            ("path_prefix = \"/a/\"", "route.path_prefix: `/a/` is not a path prefix"),
            ("hosts = [\"a.example\"]", "unknown field `hosts`, expected one of `host`"),
        ];
        for (lines, message) in cases {
            let error = route(lines).unwrap_err();
            assert!(error.contains(message), "{lines}: {error}");
        }
        let long = format!("{}.example", "a".repeat(64));
        let longer = format!("{}example", "a.".repeat(124));
        let bad =
            ["*.example", "a.example:80", "a b.example", "a.example\\n  bind :1", "a}.example"];
        let also = ["b\u{fc}cher.example", "%[src].example", "192.0.2.1", "shop", &long, &longer];
        for host in bad.iter().chain(&also) {
            let error = route(&format!("host = \"{host}\"")).unwrap_err();
            assert!(error.contains("is not the name of a host: use"), "{host}: {error}");
        }
    }
}
