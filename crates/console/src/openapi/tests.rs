use std::collections::BTreeSet;
use std::path::Path;
use std::{env, fs};

use axum::http::Method;
use serde_json::Value;

use super::document::{Schemas, document};
use super::operations;
use crate::api::forward::list;

fn described() -> Value {
    let mut schemas = Schemas::default();
    let operations = operations::all(&mut schemas);
    document(schemas, &operations)
}

/// `UPDATE=1 cargo test -p console openapi` writes it anew.
#[test]
fn the_description_that_is_served_is_that_of_the_code() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let text = format!("{:#}\n", described());
    if env::var_os("UPDATE").is_some() {
        fs::write(&file, &text).unwrap();
    }
    let served = fs::read_to_string(&file).unwrap();
    assert!(served == text, "run `UPDATE=1 cargo test -p console openapi`");
}

#[test]
fn every_route_is_described_and_nothing_else() {
    let served: BTreeSet<_> = crate::api::OWN
        .iter()
        .map(|path| format!("GET {path}"))
        .chain([format!("POST {}", crate::api::PREVIEW)])
        .chain(list::all().map(|it| format!("{} {}", Method::from(it.method), it.path)))
        .collect();
    let operations = operations::all(&mut Schemas::default());
    let described: BTreeSet<_> =
        operations.iter().map(|it| format!("{} {}", it.method.to_uppercase(), it.path)).collect();
    assert_eq!(described.len(), operations.len());
    assert_eq!(described, served);
}

/// Every reference leads somewhere, and no schema is there that nothing refers to.
#[test]
fn the_description_has_all_schemas_that_it_names_and_no_others() {
    let document = described();
    let mut named = BTreeSet::new();
    references(&document, &mut named);
    let components = document["components"]["schemas"].as_object().unwrap();
    let there: BTreeSet<_> =
        components.keys().map(|name| format!("#/components/schemas/{name}")).collect();
    assert_eq!(named, there);
}

fn references(value: &Value, named: &mut BTreeSet<String>) {
    match value {
        Value::Object(keys) => {
            named.extend(keys.get("$ref").and_then(Value::as_str).map(str::to_owned));
            keys.values().for_each(|value| references(value, named));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, named)),
        _ => {}
    }
}
