//! A whole service's file, of what an application's own says and of what is chosen where it says nothing.

use application::{Choice, Chosen};
use model::names::ServiceName;
use toml::{Table, Value};

/// The port that is in `PORT` where the file names none.
const PORT: i64 = 8000;

/// The fewest and the most instances where the file does not say.
const BOUNDS: (i64, i64) = (1, 10);

/// What the file has when nothing of it is left open, and what was chosen for it. `written` is the application's own,
/// which may be empty.
pub(super) fn complete(
    mut written: Table,
    name: &ServiceName,
    chosen: &Chosen,
) -> (Table, Vec<Choice>) {
    let mut notes = Vec::new();
    let mut note = |told: String, line: String| notes.push(Choice { told, line: Some(line) });
    if !written.contains_key("name") {
        note(format!("the service is called {name}"), "name = \"NAME\"".to_owned());
    }
    written.insert("name".to_owned(), name.as_str().into());
    written.entry("image").or_insert_with(|| chosen.image().into());
    if takes_requests(&written) && !written.contains_key("route") {
        let told = format!(
            "its route is /{name}, which it does not see in the paths that it is asked for"
        );
        note(told, "route = { host = \"HOST\" }".to_owned());
        written.insert("route".to_owned(), route(name).into());
    }
    // For services that reach it alone.
    if written.get("route") == Some(&Value::Boolean(false)) {
        written.remove("route");
    }
    if let Some(instance) = table(&mut written, "instance")
        && !instance.contains_key("port")
    {
        let told = format!("it is to listen on port {PORT}, which stands in the variable PORT");
        note(told, "instance.port = NUMBER".to_owned());
        instance.insert("port".to_owned(), PORT.into());
    }
    let is_stateful = written.get("stateful") == Some(&Value::Boolean(true));
    if !written.contains_key("bounds") && !is_stateful {
        let (min, max) = BOUNDS;
        note(
            format!("it has {min} to {max} instances"),
            format!("bounds = {{ min = {min}, max = NUMBER }}"),
        );
        let bounds =
            [("min", min), ("max", max)].map(|(key, value)| (key.to_owned(), value.into()));
        written.insert("bounds".to_owned(), Table::from_iter(bounds).into());
    }
    // Who is scaled by something else, and has no route, gets no requests.
    let gets_requests = ["route", "capacity"].iter().any(|key| written.contains_key(*key))
        || !written.contains_key("policy");
    if let Some(at_once) = chosen.concurrency().filter(|_| gets_requests)
        && let Some(capacity) = table(&mut written, "capacity")
    {
        capacity.entry("concurrency").or_insert_with(|| i64::from(at_once).into());
    }
    (written, notes)
}

/// Whether it is asked by HTTP, as far as the file says.
fn takes_requests(written: &Table) -> bool {
    let protocol = written.get("instance").and_then(|instance| instance.get("protocol"));
    protocol.and_then(Value::as_str) != Some("tcp")
}

fn route(name: &ServiceName) -> Table {
    let prefix = ("path_prefix".to_owned(), format!("/{name}").into());
    Table::from_iter([prefix, ("strip_prefix".to_owned(), true.into())])
}

/// A table of the file, made where it is not there; `None` where something else stands there, which whoever reads the
/// file tells.
fn table<'a>(file: &'a mut Table, key: &str) -> Option<&'a mut Table> {
    file.entry(key).or_insert_with(|| Table::new().into()).as_table_mut()
}

/// The name of a service that is called after a folder: what no name has becomes `-`.
///
/// `None` where nothing of it is left.
pub(super) fn name_of(folder: &str) -> Option<ServiceName> {
    let lower = folder.to_ascii_lowercase();
    let plain: String =
        lower.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(31).collect();
    let plain = plain.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    plain.parse().ok()
}

#[cfg(test)]
mod tests {
    use application::{Recipe, Workers};
    use model::service::{RawService, ServiceSpec};
    use model::size::Sizes;

    use super::*;

    fn chosen(workers: Option<Workers>) -> Chosen {
        Chosen {
            recipe: Recipe::Files,
            start: None,
            environment: std::collections::BTreeMap::new(),
            workers,
            notes: Vec::new(),
        }
    }

    fn completed(written: &str, workers: Option<Workers>) -> (String, Vec<String>) {
        let name = "shop".parse().unwrap();
        let (whole, notes) = complete(written.parse().unwrap(), &name, &chosen(workers));
        let notes = notes.into_iter().map(|note| note.to_string()).collect();
        (toml::to_string(&whole).unwrap(), notes)
    }

    fn spec(text: &str) -> ServiceSpec {
        let raw: RawService = toml::from_str(text).unwrap();
        raw.checked(&Sizes::default()).unwrap()
    }

    #[test]
    fn a_folder_without_a_file_is_a_whole_service_and_each_choice_is_told_with_its_line() {
        let (text, notes) = completed("", Some(Workers { processes: 1, each: 8 }));
        let spec = spec(&text);
        assert_eq!(spec.name.as_str(), "shop");
        assert_eq!(spec.requests().unwrap().capacity.concurrency, 8);
        insta::assert_snapshot!(notes.join("\n"), @r#"
        the service is called shop; to change it, write: name = "NAME"
        its route is /shop, which it does not see in the paths that it is asked for; to change it, write: route = { host = "HOST" }
        it is to listen on port 8000, which stands in the variable PORT; to change it, write: instance.port = NUMBER
        it has 1 to 10 instances; to change it, write: bounds = { min = 1, max = NUMBER }
        "#);
        for note in notes {
            let (_, line) = note.split_once("write: ").unwrap();
            let line =
                line.replace("NAME", "a").replace("HOST", "a.example").replace("NUMBER", "9");
            assert!(line.parse::<Table>().is_ok(), "{line}");
        }
    }

    #[test]
    fn what_the_file_says_stays_as_it_says_it() {
        let written = "bounds = { min = 2, max = 3 }\ncapacity = { concurrency = 4 }\n\
                       route = { host = \"a.example\" }\n[instance]\nport = 9000\nhealth_path = \"/up\"";
        let (text, notes) = completed(written, Some(Workers { processes: 1, each: 8 }));
        let spec = spec(&text);
        assert_eq!((spec.bounds.max(), spec.instance.port), (3, 9000));
        assert_eq!(spec.requests().unwrap().capacity.concurrency, 4);
        assert_eq!(spec.route().unwrap().to_string(), "a.example/");
        assert_eq!(notes, ["the service is called shop; to change it, write: name = \"NAME\""]);
    }

    #[test]
    fn a_stateful_service_has_the_bounds_that_go_with_that() {
        let (text, notes) = completed("stateful = true", None);
        assert_eq!(spec(&text).bounds.max(), 1);
        assert!(!notes.iter().any(|note| note.contains("instances")), "{notes:?}");
    }

    #[test]
    fn a_service_without_a_route_is_there_for_others() {
        assert_eq!(spec(&completed("route = false", None).0).route(), None);
        let worker = "route = false\npolicy = { kind = \"schedule\" }";
        let worker = spec(&completed(worker, Some(Workers { processes: 1, each: 8 })).0);
        assert!(worker.requests().is_none());
        let (text, notes) = completed("[instance]\nprotocol = \"tcp\"\nport = 5432", None);
        assert_eq!(spec(&text).tcp_port(), Some(5432));
        assert!(!notes.iter().any(|note| note.contains("route")), "{notes:?}");
    }

    #[test]
    fn what_stands_where_a_table_belongs_is_left_to_who_reads_the_file() {
        let (text, _) = completed("instance = 3\ncapacity = true", None);
        assert!(text.contains("instance = 3") && text.contains("capacity = true"), "{text}");
    }

    #[test]
    fn a_service_is_called_as_its_folder_as_far_as_names_go() {
        let named = |folder: &str| name_of(folder).map(|name| name.to_string());
        for (folder, name) in [
            ("shop", "shop"),
            ("My Shop_2", "my-shop-2"),
            ("a.b", "a-b"),
            (".hidden", "hidden"),
            ("éa", "a"),
        ] {
            assert_eq!(named(folder).as_deref(), Some(name), "{folder}");
        }
        assert_eq!(named(&"x".repeat(50)).unwrap().len(), 31);
        assert_eq!(named("..."), None);
    }
}
