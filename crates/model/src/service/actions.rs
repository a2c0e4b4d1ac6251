//! What a service's file says can be done with it by one request, such as to delete all that it has stored.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::names::ActionName;
use crate::value::{Invalid, check};

use super::Demand;

/// Actions that one service may have: they are shown as buttons, side by side.
const MOST: usize = 16;

/// The longest title, in characters, and the longest path, in bytes.
const TITLE_MAX_CHARS: usize = 80;
const PATH_MAX_BYTES: usize = 1024;

/// An action of a service: a request that is sent to it by the load balancer, as a client would send it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceAction {
    /// What people are told that it does.
    pub title: String,
    /// The request's method.
    pub method: ActionMethod,
    /// The path below the service's own route, which begins with `/`, and its query if it has one.
    pub path: String,
}

/// The actions of a service, by their names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceActions {
    /// In the order of their names.
    pub actions: BTreeMap<ActionName, ServiceAction>,
}

/// What a service answered to one of its actions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionAnswer {
    /// The status.
    pub status: u16,
    /// The first 4 KiB of the body, control characters as escapes.
    pub body: String,
}

/// A method that changes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::Display)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "UPPERCASE")]
#[strum(serialize_all = "UPPERCASE")]
pub enum ActionMethod {
    /// POST.
    Post,
    /// PUT.
    Put,
    /// DELETE.
    Delete,
}

/// An action as a file has it.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawAction {
    /// What people are told that it does: 1 to 80 characters.
    title: String,
    /// The request's method.
    method: ActionMethod,
    /// The path below the service's own route, such as `/`.
    path: String,
}

/// Checks the actions of a service that is asked for this.
pub(super) fn checked(
    raw: BTreeMap<String, RawAction>,
    demand: &Demand,
) -> Result<BTreeMap<ActionName, ServiceAction>, Invalid> {
    let count = format!("{} actions", raw.len());
    check(raw.len() <= MOST, "actions", count, format!("{MOST} at most"))?;
    let has_route = matches!(demand, Demand::Requests(requests) if requests.route.is_some());
    if !raw.is_empty() && !has_route {
        let told = "the service has no [route] by which it could be asked: give it one, or take the actions out";
        return Err(Invalid::form("actions", &told));
    }
    raw.into_iter().map(|(name, action)| action.checked(&name)).collect()
}

impl RawAction {
    fn checked(self, name: &str) -> Result<(ActionName, ServiceAction), Invalid> {
        let Self { title, method, path } = self;
        let key = |key: &str| format!("actions.{name}{key}");
        let parsed = name.parse::<ActionName>();
        let named = parsed.map_err(|error| Invalid::form("actions", &error))?;
        let length = title.chars().count();
        let is_plain = !title.chars().any(char::is_control);
        let allowed =
            format!("1 to {TITLE_MAX_CHARS} characters, none of them a control character");
        let is_title = is_plain && (1..=TITLE_MAX_CHARS).contains(&length);
        check(is_title, key(".title"), format!("{title:?}"), allowed)?;
        let allowed = format!(
            "/ and up to {} more of the characters of a path or a query, others percent-encoded",
            PATH_MAX_BYTES - 1
        );
        check(is_path(&path), key(".path"), format!("{path:?}"), allowed)?;
        Ok((named, ServiceAction { title, method, path }))
    }
}

/// Whether it is a path and perhaps a query (RFC 3986, 3.3 and 3.4), without a segment that leads elsewhere.
fn is_path(path: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%".contains(&byte);
    let segments = path.split('?').next().unwrap_or_default();
    path.starts_with('/')
        && !path.starts_with("//")
        && path.len() <= PATH_MAX_BYTES
        && path.bytes().all(plain)
        // Whoever reads a URL takes `%2e` for a dot.
        && segments.split('/').all(|it| !matches!(it.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::super::raw::tests::{GOOD, parse};
    use super::*;

    fn with(action: &str) -> Result<BTreeMap<ActionName, ServiceAction>, String> {
        parse(&format!("{GOOD}\n{action}")).map(|spec| spec.actions)
    }

    #[test]
    fn an_action_is_a_request_with_a_name() {
        let actions = with(
            "[actions.delete-all]\ntitle = \"Delete all\"\nmethod = \"DELETE\"\npath = \"/?a=b%20c\"",
        );
        let actions = actions.unwrap();
        let action = &actions[&"delete-all".parse().unwrap()];
        assert_eq!(
            (action.method.to_string(), action.path.as_str()),
            ("DELETE".to_owned(), "/?a=b%20c")
        );
        assert!(parse(GOOD).unwrap().actions.is_empty());
    }

    #[test]
    fn what_is_no_action_is_refused_with_its_key_and_what_is_allowed() {
        let action = |name: &str, title: &str, method: &str, path: &str| {
            with(&format!(
                "[actions.{name}]\ntitle = {title:?}\nmethod = {method:?}\npath = {path:?}"
            ))
        };
        for (name, title, method, path, told) in [
            ("Delete", "a", "DELETE", "/", "actions: `Delete` is not a name"),
            ("a", "", "DELETE", "/", "actions.a.title is \"\": use 1 to 80 characters"),
            ("a", "a\nb", "DELETE", "/", "actions.a.title is \"a\\nb\": use"),
            (
                "a",
                "a",
                "GET",
                "/",
                "unknown variant `GET`, expected one of `POST`, `PUT`, `DELETE`",
            ),
            ("a", "a", "POST", "x", "actions.a.path is \"x\": use / and up to"),
            ("a", "a", "POST", "//evil.example", "actions.a.path is"),
            ("a", "a", "POST", "/a/../b", "actions.a.path is"),
            ("a", "a", "POST", "/a/%2E%2e/b", "actions.a.path is"),
            ("a", "a", "POST", "/a b", "actions.a.path is"),
            ("a", "a", "POST", "/a\r\nHost: b", "actions.a.path is"),
        ] {
            let error = action(name, title, method, path).unwrap_err();
            assert!(error.contains(told), "{name} {title} {method} {path}: {error}");
        }
        let many: String = (0..17)
            .map(|it| format!("[actions.a{it}]\ntitle = \"a\"\nmethod = \"PUT\"\npath = \"/\"\n"))
            .collect();
        assert_eq!(with(&many).unwrap_err(), "actions is 17 actions: use 16 at most");
        let routeless = GOOD.replacen("[route]\n        path_prefix = \"/\"", "", 1);
        let text =
            format!("{routeless}\n[actions.a]\ntitle = \"a\"\nmethod = \"PUT\"\npath = \"/\"");
        assert!(parse(&text).unwrap_err().contains("the service has no [route]"));
    }
}
