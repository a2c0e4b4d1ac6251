//! How programs in an instance learn of the way out: by the variables that curl, pip, apt, npm and most
//! libraries for HTTP go by.

use std::collections::{BTreeMap, BTreeSet};

use model::egress::Egress;
use model::names::ServiceName;

use crate::settings::NetworkSettings;

/// What is asked without the proxy, beside the bridge's address and the services that are reached there: what
/// the instance itself serves.
const NOT_BY_PROXY: &str = "localhost,127.0.0.1,::1";

/// The variables; none for a service that may reach nothing. Programs do not agree on their case.
pub(super) fn variables(
    egress: &Egress,
    reaches: &BTreeSet<ServiceName>,
    network: &NetworkSettings,
) -> BTreeMap<String, String> {
    if egress.is_none() {
        return BTreeMap::new();
    }
    let proxy = format!("http://{}", network.egress());
    let reached = reaches.iter().map(|name| format!(",{name}"));
    let direct =
        format!("{NOT_BY_PROXY},{}{}", network.subnet.gateway(), reached.collect::<String>());
    let values = [("http_proxy", &proxy), ("https_proxy", &proxy), ("no_proxy", &direct)];
    let both = |(name, value): (&str, &String)| {
        [(name.to_owned(), value.clone()), (name.to_uppercase(), value.clone())]
    };
    values.into_iter().flat_map(both).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    #[test]
    fn programs_learn_of_the_way_out_where_there_is_one() {
        let network = Settings::default().network;
        let reaches = ["store".parse().unwrap()].into();
        assert!(variables(&Egress::default(), &reaches, &network).is_empty());
        let any = Egress::new(vec!["any".parse().unwrap()]);
        let lines = variables(&any, &reaches, &network)
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"));
        insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @"
        HTTPS_PROXY=http://10.117.0.1:3128
        HTTP_PROXY=http://10.117.0.1:3128
        NO_PROXY=localhost,127.0.0.1,::1,10.117.0.1,store
        http_proxy=http://10.117.0.1:3128
        https_proxy=http://10.117.0.1:3128
        no_proxy=localhost,127.0.0.1,::1,10.117.0.1,store
        ");
    }
}
