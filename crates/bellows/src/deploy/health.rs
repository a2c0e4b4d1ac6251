//! How an instance shows that it can serve, as a rehearsal found it.

use host::rehearsal::Found;
use toml::{Table, Value};

/// What is told of it, with the line that would change it.
pub(super) fn told(found: &Found, port: u16) -> String {
    match found {
        Found::Path { path, status } => format!(
            "it can serve when {path} answers {status}; to change it, write: instance.health_path = \"/PATH\""
        ),
        Found::Port => format!(
            "it can serve when it takes connections on port {port}, since it answers none of the usual paths well; \
             to change it, write: instance.health_path = \"/PATH\""
        ),
        Found::Nothing { why, tail } => format!(
            "started without a network, it did not show that it can serve: {why}. To take connections on port \
             {port} will do.{tail}"
        ),
    }
}

/// The service's file that says so.
pub(super) fn said(file: &str, found: &Found) -> String {
    let Found::Path { path, status } = found else { return file.to_owned() };
    let Ok(mut table) = file.parse::<Table>() else { return file.to_owned() };
    let Some(Value::Table(instance)) = table.get_mut("instance") else { return file.to_owned() };
    instance.insert("health_path".to_owned(), path.to_string().into());
    instance.insert("health_status".to_owned(), status.to_string().into());
    toml::to_string(&table).unwrap_or_else(|_| file.to_owned())
}

#[cfg(test)]
mod tests {
    use model::service::ServiceSpec;

    use super::*;

    const FILE: &str =
        "name = \"a\"\nimage = \"a\"\n[instance]\nport = 8000\n[bounds]\nmin = 1\nmax = 2\n";

    fn spec(found: &Found) -> ServiceSpec {
        config_file::from_toml("a.toml", &said(FILE, found)).unwrap()
    }

    #[test]
    fn what_a_rehearsal_found_stands_in_the_file() {
        let path = Found::Path { path: "/up".parse().unwrap(), status: "200-399".parse().unwrap() };
        let found = spec(&path).instance.protocol;
        assert_eq!(found.health_path().unwrap().to_string(), "/up");
        assert_eq!(found.health_status().unwrap().to_string(), "200-399");
        let nothing = Found::Nothing { why: "it ended".to_owned(), tail: "\n  no".to_owned() };
        for found in [Found::Port, nothing] {
            assert_eq!(spec(&found).instance.protocol.health_path(), None);
            assert!(told(&found, 8000).contains("take"), "{}", told(&found, 8000));
        }
        assert_eq!(
            told(&path, 8000),
            "it can serve when /up answers 200-399; to change it, write: instance.health_path = \"/PATH\""
        );
    }
}
