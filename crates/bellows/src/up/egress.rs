//! Whether what services are to reach lies beyond this host, and the way there is free.

use std::net::IpAddr;

use anyhow::anyhow;
use host::network::is_own;
use host::settings::NetworkSettings;
use host::slots::Subnet;
use model::egress::Destination;
use model::service::ServiceSpec;

use crate::error::BadInput;

/// Refuses services that name an address of this host, or of instances, and one that others would reach by the
/// port of the way out.
pub(crate) fn check(services: &[&ServiceSpec], network: &NetworkSettings) -> Result<(), BadInput> {
    let problems = services.iter().flat_map(|spec| {
        let taken = port_taken(spec, network.egress_port);
        problems(spec, network.subnet, is_own).into_iter().chain(taken)
    });
    BadInput(problems.map(|problem| anyhow!(problem)).collect()).or(())
}

/// What is said of a service that takes connections on the port of the way out: the firewall leads a port of the
/// bridge's address to one of both.
fn port_taken(spec: &ServiceSpec, egress_port: u16) -> Option<String> {
    (spec.tcp_port() == Some(egress_port)).then(|| {
        format!(
            "service {}: instance.port is {egress_port}, by which instances find the way out: choose \
             another one, or another network.egress_port",
            spec.name
        )
    })
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
            "service {}: egress names {address}, which is {whose}: name what lies beyond this host",
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
        service object-store: egress names 10.117.0.1:80, which is in 10.117.0.0/22, the network of instances: name what lies beyond this host
        service object-store: egress names 192.0.2.1:80, which is this host's own: name what lies beyond this host
        ");
    }

    #[test]
    fn no_service_takes_connections_where_the_way_out_is() {
        let text = include_str!("../../../../services/object-store.toml");
        let (head, rest) = text.split_once("[route]").unwrap();
        let (_, tail) = rest.split_once("[instance]").unwrap();
        // Actions are for who has a route.
        let (tail, _) = tail.split_once("[actions.").unwrap();
        let text = format!("{head}[instance]\nprotocol = \"tcp\"{tail}")
            .replacen("health_path = \"/healthz\"", "", 1)
            .replacen("port = 8000", "port = 3128", 1);
        let spec: ServiceSpec = config_file::from_toml("store.toml", &text).unwrap();
        assert_eq!(port_taken(&spec, 3129), None);
        let told = port_taken(&spec, 3128).unwrap();
        assert!(
            told.contains("instance.port is 3128, by which instances find the way out"),
            "{told}"
        );
    }
}
