//! Whether a request was meant for this host, and by a page of its own: any page in a browser can send one to loopback.

use std::net::IpAddr;

use axum::http::{HeaderMap, StatusCode, header};

use crate::problem::Problem;

/// Where a request comes from, by the name that it has for this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// From wherever an address of this host leads here from.
    Here,
    /// From wherever a name of the settings is known.
    Beyond,
}

/// Refuses a request that a browser sends for a page of somebody else. One whose name leads here by a trick
/// with DNS has its name in `Host`; of others a browser says so in `Sec-Fetch-Site`, or has their place in
/// `Origin`. `hosts` are the names that this host is known by, beside its addresses and `localhost`.
///
/// Who follows a link of another page asks himself, and is shown what that page cannot read.
///
/// # Errors
/// 403 says which it is.
pub fn check(headers: &HeaderMap, hosts: &[String]) -> Result<Place, Problem> {
    // One that is sent twice is judged by both.
    let all = |name, is_own: &dyn Fn(&str) -> bool| {
        let mut values = headers.get_all(name).iter();
        values.all(|value| is_own(value.to_str().unwrap_or_default()))
    };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let place = place(host, hosts).ok_or_else(|| {
        let message = format!(
            "This host is not known as {host:?}: use its address, or add the name to \
             listen.api_hosts in bellows.toml."
        );
        Problem::new(StatusCode::FORBIDDEN, "unknown_host", message)
    })?;
    let own = |origin: &str| {
        let authority = origin.strip_prefix("http://").or(origin.strip_prefix("https://"));
        authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
    };
    let own_site = |site: &str| matches!(site, "same-origin" | "none");
    if all("origin", &own) && (all("sec-fetch-site", &own_site) || follows_a_link(headers)) {
        return Ok(place);
    }
    let message = "Pages of other origins may not ask here.";
    Err(Problem::new(StatusCode::FORBIDDEN, "foreign_origin", message))
}

/// Whether the answer is for a whole window (Fetch Metadata, 2). It is not for a frame of another page, and a form that is sent
/// has an `Origin`.
fn follows_a_link(headers: &HeaderMap) -> bool {
    let is = |name, word| headers.get_all(name).iter().eq([word]);
    is("sec-fetch-mode", "navigate") && is("sec-fetch-dest", "document")
}

/// No name can be made to lead to an address by somebody else, so any address will do.
fn place(host: &str, hosts: &[String]) -> Option<Place> {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    if name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok() {
        return Some(Place::Here);
    }
    hosts.iter().any(|known| known.eq_ignore_ascii_case(name)).then_some(Place::Beyond)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn refused(host: &'static str, origin: Option<&'static str>) -> Option<u16> {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static(host));
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
        }
        let known = ["bellows.example".to_owned()];
        check(&headers, &known).err().map(|problem| problem.status().as_u16())
    }

    #[test]
    fn what_a_browser_fetches_for_another_site_is_refused_without_an_origin_as_well() {
        let refused = |site: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static("127.0.0.1:8090"));
            headers.insert("sec-fetch-site", HeaderValue::from_static(site));
            check(&headers, &[]).is_err()
        };
        assert!(!refused("none") && !refused("same-origin"));
        assert!(refused("cross-site") && refused("same-site") && refused(""));
    }

    #[test]
    fn whoever_follows_a_link_of_another_site_is_let_in_and_its_frames_and_forms_are_not() {
        let refused = |fields: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static("127.0.0.1:8090"));
            for (name, value) in fields {
                headers.append(*name, HeaderValue::from_static(value));
            }
            check(&headers, &[]).is_err()
        };
        let (site, mode) = (("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"));
        let document = ("sec-fetch-dest", "document");
        assert!(!refused(&[site, mode, document]));
        assert!(refused(&[site, mode, ("sec-fetch-dest", "iframe")]));
        assert!(refused(&[site, ("sec-fetch-mode", "no-cors"), document]));
        assert!(refused(&[site, mode, document, ("origin", "http://evil.example")]));
        assert!(refused(&[site, mode, document, ("sec-fetch-dest", "iframe")]));
    }

    #[test]
    fn what_is_said_twice_is_judged_by_both() {
        let own = "http://127.0.0.1:8090";
        let other = "http://evil.example";
        for (name, values, is_refused) in [
            (header::ORIGIN.as_str(), [own, own], false),
            (header::ORIGIN.as_str(), [own, other], true),
            (header::ORIGIN.as_str(), [other, own], true),
            ("sec-fetch-site", ["none", "cross-site"], true),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static("127.0.0.1:8090"));
            for value in values {
                headers.append(name, HeaderValue::from_static(value));
            }
            assert_eq!(check(&headers, &[]).is_err(), is_refused, "{name} {values:?}");
        }
    }

    #[test]
    fn a_name_of_the_settings_leads_here_from_beyond() {
        let known = ["bellows.example".to_owned()];
        assert_eq!(place("BELLOWS.example:80", &known), Some(Place::Beyond));
        assert_eq!(place("127.0.0.1", &known), Some(Place::Here));
    }

    #[test]
    fn this_host_is_known_by_its_addresses_and_by_the_names_of_its_settings() {
        for host in ["127.0.0.1:8090", "localhost:8090", "LOCALHOST", "[::1]:8090", "10.0.0.7"] {
            assert_eq!(refused(host, None), None, "{host}");
        }
        assert_eq!(refused("Bellows.example:80", None), None);
        for host in
            ["evil.example", "evil.example:8090", "127.0.0.1.evil.example", "", "[::1", "a]"]
        {
            assert_eq!(refused(host, None), Some(403), "{host}");
        }
    }

    #[test]
    fn a_page_asks_its_own_origin_alone() {
        let host = "127.0.0.1:8090";
        for own in ["http://127.0.0.1:8090", "https://127.0.0.1:8090"] {
            assert_eq!(refused(host, Some(own)), None, "{own}");
        }
        for other in ["http://evil.example", "null", "", "http://127.0.0.1:8080", "127.0.0.1:8090"]
        {
            assert_eq!(refused(host, Some(other)), Some(403), "{other}");
        }
    }
}
