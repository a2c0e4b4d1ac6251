//! Which services use which: what can only be judged of all services together.

use std::collections::{BTreeMap, BTreeSet};

use super::ServiceSpec;
use crate::names::ServiceName;
use crate::value::Invalid;

/// Services that do not go together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReachError {
    /// One reaches what is not there.
    #[error(
        "instance.reaches of {service} names {reached}, and there is no such service: add it, or take \
         the name out"
    )]
    NoService {
        /// Who reaches.
        service: ServiceName,
        /// What it names.
        reached: ServiceName,
    },
    /// One reaches what takes no requests.
    #[error(
        "instance.reaches of {service} names {reached}, which takes no requests: give that a \
         [capacity], which may be empty, or take the name out"
    )]
    NoRequests {
        /// Who reaches.
        service: ServiceName,
        /// What it names.
        reached: ServiceName,
    },
    /// One reaches two that it could not tell apart.
    #[error(
        "instance.reaches of {service} names {first} and {second}, which both take TCP on port {port}, by which \
         they are told apart: give one another instance.port"
    )]
    SamePort {
        /// Who reaches.
        service: ServiceName,
        /// What it names.
        first: ServiceName,
        /// What it names too.
        second: ServiceName,
        /// The port of both.
        port: u16,
    },
    /// Services reach each other in a circle.
    #[error(
        "{}: in a circle each would wait for the next; take one name out of an instance.reaches",
        told(.0)
    )]
    Circle(Vec<ServiceName>),
    /// Nobody can ask for what a service offers.
    #[error(
        "{0} is scaled on requests, and there is no [route] that could bring any, and no other service reaches \
         it: add a route, have another reach it, or give it no [capacity] and a policy that goes by the clock or \
         by CPU time"
    )]
    Unreached(ServiceName),
}

/// `a reaches b, which reaches a`.
fn told(circle: &[ServiceName]) -> String {
    let (first, rest) = circle.split_first().map_or(("", circle), |(f, rest)| (f.as_str(), rest));
    let names: Vec<_> = rest.iter().map(ServiceName::as_str).collect();
    format!("{first} reaches {}", names.join(", which reaches "))
}

/// Checks what one service's own file says: in its hosts file an instance needs its own name, and
/// `localhost`, for itself.
pub(super) fn check_names(spec: &ServiceSpec) -> Result<(), Invalid> {
    let own = [spec.name.as_str(), "localhost"];
    let mut names = spec.instance.reaches.iter();
    match names.find(|name| own.contains(&name.as_str())) {
        Some(name) => Err(Invalid::new(
            "instance.reaches",
            name,
            "the names of other services, which `localhost` cannot be",
        )),
        None => Ok(()),
    }
}

/// Checks that only what speaks HTTP has a route.
pub(super) fn check_route(spec: &ServiceSpec) -> Result<(), Invalid> {
    match spec.route().filter(|_| spec.tcp_port().is_some()) {
        Some(route) => Err(Invalid::new(
            "route",
            route,
            "no [route] with instance.protocol = \"tcp\": have other services reach it",
        )),
        None => Ok(()),
    }
}

/// All that is wrong with what these services, which are all there are, reach of each other.
pub fn check_reaches(services: &[&ServiceSpec]) -> Vec<ReachError> {
    let by_name: BTreeMap<_, _> = services.iter().map(|spec| (&spec.name, *spec)).collect();
    let mut errors = Vec::new();
    let mut all_reached = BTreeSet::new();
    for spec in by_name.values() {
        for reached in &spec.instance.reaches {
            all_reached.insert(reached);
            let (service, reached) = (spec.name.clone(), reached.clone());
            match by_name.get(&reached) {
                None => errors.push(ReachError::NoService { service, reached }),
                Some(other) if other.requests().is_none() => {
                    errors.push(ReachError::NoRequests { service, reached });
                }
                Some(_) => {}
            }
        }
    }
    errors.extend(by_name.values().filter_map(|spec| same_port(&by_name, spec)));
    let is_unreached = |spec: &&&ServiceSpec| {
        let gets_none = spec.requests().is_some() && spec.route().is_none();
        gets_none && !all_reached.contains(&spec.name)
    };
    let unreached = by_name.values().filter(is_unreached);
    errors.extend(unreached.map(|spec| ReachError::Unreached(spec.name.clone())));
    let circles = by_name.keys().filter_map(|first| circle(&by_name, first));
    errors.extend(circles.map(ReachError::Circle));
    errors
}

/// Two services with one TCP port that a service reaches.
fn same_port(
    services: &BTreeMap<&ServiceName, &ServiceSpec>,
    spec: &ServiceSpec,
) -> Option<ReachError> {
    let mut ports = BTreeMap::new();
    spec.instance.reaches.iter().find_map(|second| {
        let port = services.get(second)?.tcp_port()?;
        let first = ports.insert(port, second)?.clone();
        let (service, second) = (spec.name.clone(), second.clone());
        Some(ReachError::SamePort { service, first, second, port })
    })
}

/// A way from a service back to it by way of services behind it in the order of their names, so that of
/// all services in a circle one tells it.
fn circle(
    services: &BTreeMap<&ServiceName, &ServiceSpec>,
    first: &ServiceName,
) -> Option<Vec<ServiceName>> {
    let mut seen = BTreeSet::new();
    let mut ways = vec![vec![first.clone()]];
    while let Some(way) = ways.pop() {
        let last = way.last().and_then(|last| services.get(last));
        for next in last.into_iter().flat_map(|spec| &spec.instance.reaches) {
            let longer: Vec<_> = way.iter().chain([next]).cloned().collect();
            if next == first {
                return Some(longer);
            }
            if next > first && seen.insert(next.clone()) {
                ways.push(longer);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::Protocol;
    use super::super::raw::tests::{GOOD, parse};
    use super::*;

    /// A service that reaches others, with these lines in place of its route.
    fn service(name: &str, reaches: &[&str], route: &str) -> ServiceSpec {
        let text = GOOD
            .replacen("name = \"store\"", &format!("name = {name:?}"), 1)
            .replacen("port = 8000", &format!("port = 8000\nreaches = {reaches:?}"), 1)
            .replacen("[route]\n        path_prefix = \"/\"", route, 1);
        parse(&text).unwrap()
    }

    fn errors(services: &[ServiceSpec]) -> Vec<String> {
        let services: Vec<_> = services.iter().collect();
        check_reaches(&services).iter().map(ToString::to_string).collect()
    }

    const ROUTE: &str = "[route]\npath_prefix = \"/\"";

    #[test]
    fn a_service_names_others_and_each_by_a_name() {
        let cases = [
            (r#"["other", "store"]"#, "instance.reaches is store: use the names of other services"),
            (r#"["localhost"]"#, "instance.reaches is localhost: use the names of other services"),
            (r#"["a b"]"#, "`a b` is not a name: use 1 to 31 of"),
        ];
        for (reaches, message) in cases {
            let line = format!("port = 8000\nreaches = {reaches}");
            let error = parse(&GOOD.replacen("port = 8000", &line, 1)).unwrap_err();
            assert!(error.contains(message), "{reaches}: {error}");
        }
    }

    #[test]
    fn services_may_reach_others_along_any_way_that_leads_nowhere_back() {
        let good = [
            service("front", &["api", "store"], ROUTE),
            service("api", &["store"], ""),
            service("store", &[], ""),
        ];
        assert_eq!(errors(&good), [""; 0]);
    }

    #[test]
    fn what_is_not_there_what_takes_no_requests_and_what_nobody_can_ask_are_named() {
        let mut idle = service("idle", &[], ROUTE);
        idle.demand = super::super::Demand::Uncounted;
        let services =
            [service("front", &["gone", "idle"], ROUTE), service("lonely", &[], ""), idle];
        insta::assert_snapshot!(errors(&services).join("\n"), @"
        instance.reaches of front names gone, and there is no such service: add it, or take the name out
        instance.reaches of front names idle, which takes no requests: give that a [capacity], which may be empty, or take the name out
        lonely is scaled on requests, and there is no [route] that could bring any, and no other service reaches it: add a route, have another reach it, or give it no [capacity] and a policy that goes by the clock or by CPU time
        ");
    }

    #[test]
    fn of_services_with_one_tcp_port_a_service_reaches_one() {
        let tcp = |name: &str, port: u16| {
            let mut spec = service(name, &[], "");
            (spec.instance.port, spec.instance.protocol) = (port, Protocol::Tcp);
            spec
        };
        let all = |reaches: &[&str]| {
            [service("front", reaches, ROUTE), service("other", &["b"], ROUTE)]
                .into_iter()
                .chain([tcp("a", 5432), tcp("b", 5432), tcp("c", 6379), service("d", &["a"], "")])
                .collect::<Vec<_>>()
        };
        assert_eq!(errors(&all(&["a", "c", "d"])), [""; 0]);
        insta::assert_snapshot!(errors(&all(&["a", "b", "c", "d"])).join("\n"), @"instance.reaches of front names a and b, which both take TCP on port 5432, by which they are told apart: give one another instance.port");
    }

    #[test]
    fn each_circle_is_told_once_from_the_first_of_its_names() {
        let services = [
            service("a", &["b", "d"], ROUTE),
            service("b", &["c"], ""),
            service("c", &["a", "e"], ""),
            service("d", &[], ""),
            service("e", &["f"], ""),
            service("f", &["e"], ""),
        ];
        insta::assert_snapshot!(errors(&services).join("\n"), @"
        a reaches b, which reaches c, which reaches a: in a circle each would wait for the next; take one name out of an instance.reaches
        e reaches f, which reaches e: in a circle each would wait for the next; take one name out of an instance.reaches
        ");
    }
}
