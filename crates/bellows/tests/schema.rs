//! The JSON Schemas that are shipped for editors, `services/schema.json` of a service's file and
//! `services/folder.schema.json` of that in an application's folder.

use std::path::{Path, PathBuf};
use std::{env, fs};

use model::service::{RawService, schema};
use serde_json::Value;

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
