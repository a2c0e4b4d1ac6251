//! Whether what services are to reach lies beyond this host.

use std::net::IpAddr;

use anyhow::anyhow;
use host::network::is_own;
use host::slots::Subnet;
use model::egress::Destination;
use model::service::ServiceSpec;

use crate::error::BadInput;
use crate::tree::Tree;

/// Refuses services that name an address of this host, or of instances.
pub(super) fn check(tree: &Tree) -> Result<(), BadInput> {
    let subnet = tree.settings.network.subnet;
    let specs = tree.services.iter().map(|file| &file.spec);
    let problems = specs.flat_map(|spec| problems(spec, subnet, is_own));
    BadInput(problems.map(|problem| anyhow!(problem)).collect()).or(())
}

/// What is wrong with each entry. `is_own` tells the host's own addresses.
fn problems(spec: &ServiceSpec, subnet: Subnet, is_own: impl Fn(IpAddr) -> bool) -> Vec<String> {
    let mut problems = Vec::new();
    for destination in spec.egress.destinations() {
        let Destination::Address(address) = destination else { continue };
        let of_instances =
            matches!(address.ip(), IpAddr::V4(address) if subnet.network().contains(&address));
        let whose = match address.ip() {
            _ if of_instances => format!("in {subnet}, the network of instances"),
            own if is_own(own) => "this host's own".to_owned(),
            _ => continue,
        };
        problems.push(format!(
            "services/{}.toml: egress names {address}, which is {whose}: name what lies beyond this host",
            spec.name
        ));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_ours_is_refused_and_one_beyond_is_not() {
        let text = include_str!("../../../../services/object-store.toml");
        let egress =
            "egress = [\"10.117.0.1:80\", \"192.0.2.1:80\", \"192.0.2.2:80\", \"a.example:80\"]";
        let text = text.replacen("[route]", &format!("{egress}\n[route]"), 1);
        let spec: ServiceSpec = config_file::from_toml("object-store.toml", &text).unwrap();
        let own = |address: IpAddr| address == IpAddr::from([192, 0, 2, 1]);
        insta::assert_snapshot!(problems(&spec, Subnet::DEFAULT, own).join("\n"), @"
        services/object-store.toml: egress names 10.117.0.1:80, which is in 10.117.0.0/22, the network of instances: name what lies beyond this host
        services/object-store.toml: egress names 192.0.2.1:80, which is this host's own: name what lies beyond this host
        ");
    }
}
