//! The JSON Schemas that are shipped for editors, `services/schema.json` of a service's file and
//! `services/folder.schema.json` of that in an application's folder.

use std::path::{Path, PathBuf};
use std::{env, fs};

use model::policies::PolicySpec;
use model::service::{RawService, schema};
use serde_json::{Value, json};

fn services() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../services")
}

/// `UPDATE=1 cargo test -p bellows --test schema` writes them anew.
#[test]
fn the_shipped_schemas_are_those_of_the_code() {
    for (name, schema) in
        [("schema.json", schema::service()), ("folder.schema.json", schema::of_folder())]
    {
        let (file, text) = (services().join(name), format!("{:#}\n", schema.to_value()));
        if env::var_os("UPDATE").is_some() {
            fs::write(&file, &text).expect("written");
        }
        let shipped = fs::read_to_string(&file).expect("read");
        assert!(shipped == text, "run `UPDATE=1 cargo test -p bellows --test schema`");
    }
}

#[test]
fn in_an_applications_folder_nothing_has_to_be_said() {
    let schema = schema::of_folder().to_value();
    let wrong = |text: &str| {
        let file: toml::Table = text.parse().expect("TOML");
        wrong(&schema, &schema, &serde_json::to_value(file).expect("JSON"), "")
    };
    for text in
        ["", "route = false", "[instance]\nhealth_path = \"/up\"", "route = { host = \"a\" }"]
    {
        assert_eq!(wrong(text), [""; 0], "{text}");
    }
    assert_eq!(wrong("instance = { prot = 1 }"), [".instance.prot"]);
}

/// The tables that a schema allows at a place, with what they hold.
fn tables<'a>(root: &'a Value, schema: &'a Value) -> Vec<&'a Value> {
    let target = schema["$ref"]
        .as_str()
        .map(|reference| root.pointer(&reference[1..]).expect("a definition"));
    let several = ["anyOf", "oneOf", "allOf"].into_iter().filter_map(|key| schema[key].as_array());
    let inner = several.flatten().chain(target).chain(schema.get("items"));
    let own = schema.get("properties").map(|_| schema);
    own.into_iter().chain(inner.flat_map(|one| tables(root, one))).collect()
}

/// The keys below `value` that no table of the schema has, and those that one has to have and are not there.
fn wrong(root: &Value, schema: &Value, value: &Value, path: &str) -> Vec<String> {
    match value {
        Value::Object(keys) => {
            let tables = tables(root, schema);
            let of = |(key, value): (&String, &Value)| {
                let known = tables.iter().find_map(|table| table["properties"].get(key));
                let path = format!("{path}.{key}");
                match known {
                    Some(schema) => wrong(root, schema, value, &path),
                    None if tables.is_empty() => Vec::new(),
                    None => vec![path],
                }
            };
            let only = if let [only] = tables[..] { only["required"].as_array() } else { None };
            let required = only.into_iter().flatten().filter_map(Value::as_str);
            let missing = required.filter(|key| !keys.contains_key(*key));
            let missing = missing.map(|key| format!("{path}.{key} is missing"));
            keys.iter().flat_map(of).chain(missing).collect()
        }
        Value::Array(items) => {
            items.iter().flat_map(|item| wrong(root, schema, item, path)).collect()
        }
        _ => Vec::new(),
    }
}

#[test]
fn it_knows_all_keys_of_what_is_shipped_and_no_others() {
    let schema = schema::service().to_value();
    let wrong = |text: &str| {
        let file: toml::Table = text.parse().expect("TOML");
        wrong(&schema, &schema, &serde_json::to_value(file).expect("JSON"), "")
    };
    let files =
        fs::read_dir(services()).expect("a folder").map(|entry| entry.expect("an entry").path());
    let files = files.filter(|path| path.extension().is_some_and(|it| it == "toml"));
    let files: Vec<_> = files.collect();
    assert!(!files.is_empty());
    for file in files {
        assert_eq!(wrong(&fs::read_to_string(&file).expect("read")), [""; 0], "{}", file.display());
    }
    assert_eq!(wrong(RawService::EXAMPLE), [""; 0]);
    let text = "[[policy]]\nkind = \"steps\"\nout = [{ past = 1, by = 2, att = 3 }]\n[[policy]]\n\
                 kind = \"schedule\"\nentries = [{ from = \"08:00\", to = \"09:00\", min = 1, max = 2 }]\n\
                 [routes]\nhost = \"a.b\"\n[instance]\nport = 1\nsecrets = [{ nam = \"a\" }]\n";
    let mut told = wrong(text);
    told.sort();
    let missing = [".image", ".instance.secrets.name", ".name"];
    let missing = missing.map(|key| format!("{key} is missing"));
    let unknown = [".instance.secrets.nam", ".policy.out.att", ".routes"].map(str::to_owned);
    let mut expected = [&missing[..], &unknown[..]].concat();
    expected.sort();
    assert_eq!(told, expected);
}

/// What an editor cannot tell of a table or a key.
fn untold(value: &Value, path: &str) -> Vec<String> {
    let properties = value["properties"].as_object();
    let open = properties.filter(|_| value["additionalProperties"] != false);
    let open = open.map(|_| format!("{path} takes unknown keys"));
    let silent = properties.into_iter().flatten();
    let silent = silent.filter(|(key, it)| it.get("description").is_none() && *key != "kind");
    let silent = silent.map(|(key, _)| format!("{path}.{key} is not explained"));
    let inner: Vec<_> = match value {
        Value::Object(keys) => {
            keys.iter().flat_map(|(key, value)| untold(value, &format!("{path}/{key}"))).collect()
        }
        Value::Array(items) => items.iter().flat_map(|item| untold(item, path)).collect(),
        _ => Vec::new(),
    };
    open.into_iter().chain(silent).chain(inner).collect()
}

#[test]
fn every_table_refuses_unknown_keys_and_every_key_is_explained() {
    assert_eq!(untold(&schema::service().to_value(), ""), [""; 0]);
}

/// What else a policy says while one of its figures is tried: what that does not go without.
fn around(kind: &str, list: &str) -> (Value, Value) {
    let figures = match kind {
        "ratio" => {
            json!({ "upper_percent": 80, "lower_percent": 20, "grow_ratio": 2, "shrink_ratio": 2 })
        }
        _ => json!({}),
    };
    let row = match list {
        "entries" => json!({ "from": "08:00", "to": "09:00", "min": 0, "max": 750 }),
        _ => json!({ "past": 0, "by": 1 }),
    };
    (figures, row)
}

/// Why a policy is refused for this value of the figure at `path`: a key, or a list and a key of its rows.
fn refusal(kind: &str, path: &[&str], value: &Value) -> Option<String> {
    let (mut policy, mut row) = around(kind, path[0]);
    policy["kind"] = json!(kind);
    match path {
        [list, key] => {
            row[key] = value.clone();
            policy[list] = json!([row]);
        }
        _ => policy[path[0]] = value.clone(),
    }
    let told = serde_json::from_value::<PolicySpec>(policy).err()?.to_string();
    let about = told.strip_prefix(&format!("policy.{}", path.join("[0].")))?;
    [" is ", ": "].iter().any(|it| about.starts_with(it)).then_some(told)
}

/// The numbers of a table of the schema, with where they are, and those of its lists of tables.
fn numbers<'a>(root: &'a Value, table: &'a Value) -> Vec<(Vec<&'a str>, &'a Value)> {
    let properties = table["properties"].as_object().expect("properties");
    let of = |(key, property): (&'a String, &'a Value)| {
        let is_number = ["integer", "number"].iter().any(|it| match &property["type"] {
            Value::Array(types) => types.contains(&json!(it)),
            one => one == it,
        });
        let rows = property["items"]["$ref"].as_str().and_then(|it| root.pointer(&it[1..]));
        let rows = rows.filter(|it| it.get("properties").is_some());
        let inner = rows.into_iter().flat_map(|rows| numbers(root, rows));
        let inner = inner.map(|(path, it)| ([&[key.as_str()][..], &path].concat(), it));
        is_number
            .then(|| (vec![key.as_str()], property))
            .into_iter()
            .chain(inner)
            .collect::<Vec<_>>()
    };
    properties.iter().flat_map(of).collect()
}

#[test]
fn it_bounds_the_figures_of_policies_as_the_scaler_does() {
    let schema = schema::service().to_value();
    let kinds = schema.pointer("/properties/policy/anyOf/0/oneOf").and_then(Value::as_array);
    let mut tried = 0;
    for table in kinds.expect("kinds of policies") {
        let kind = table.pointer("/properties/kind/const").and_then(Value::as_str).expect("a kind");
        for (path, number) in numbers(&schema, table) {
            let end = |key: &str| {
                number[key].as_f64().unwrap_or_else(|| panic!("{kind} {path:?} has no {key}"))
            };
            let (min, max) = (end("minimum"), end("maximum"));
            let is_whole = number["format"].as_str().is_some_and(|it| it.starts_with("uint"));
            let of = |value: f64| match is_whole {
                true => format!("{value:.0}").parse().expect("a number"),
                false => json!(value),
            };
            let beyond = if is_whole { 1.0 } else { 0.000_1 };
            for value in [min, max] {
                // That it does not go with another figure is no bound of its own.
                let told = refusal(kind, &path, &of(value));
                let told = told.filter(|told| !told.ends_with("lower one or raise the other"));
                assert_eq!(told, None, "{kind} {path:?}");
            }
            for value in [min - beyond, max + beyond] {
                assert!(refusal(kind, &path, &of(value)).is_some(), "{kind} {path:?} {value}");
            }
            tried += 1;
        }
    }
    assert!(tried > 50, "{tried}");
}
