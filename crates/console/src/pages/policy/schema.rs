//! The kinds of policies with their figures, as the schema of a service's file has them: it is made of the types, and a test
//! of `bellows` holds the shipped file to them. So a figure that a policy is given is on the page without a word here.

use std::sync::LazyLock;

use model::policies::PolicyKind;
use serde_json::Value;

/// The schema that is shipped for editors.
const SCHEMA: &str = include_str!("../../../../../services/schema.json");

/// Every kind of policy, in the order of the model.
pub(super) static KINDS: LazyLock<Vec<Kind>> = LazyLock::new(|| {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap_or_default();
    let kinds = schema.pointer("/properties/policy/anyOf/0/oneOf").and_then(Value::as_array);
    kinds.into_iter().flatten().filter_map(|kind| Kind::of(&schema, kind)).collect()
});

/// A kind of policy.
#[derive(Debug)]
pub(super) struct Kind {
    pub(super) name: String,
    pub(super) about: String,
    /// Whether it has nothing to say until some of its figures are set.
    pub(super) is_off: bool,
    pub(super) figures: Vec<Figure>,
}

/// One of its figures, or of those of a row of a figure.
#[derive(Debug)]
pub(super) struct Figure {
    pub(super) key: String,
    pub(super) about: String,
    /// What it is where nothing is said; `None` where it is not set then.
    pub(super) default: Option<Value>,
    pub(super) is_required: bool,
    pub(super) form: Form,
}

/// What may be given for a figure.
#[derive(Debug)]
pub(super) enum Form {
    Number { is_whole: bool, min: Option<f64>, max: Option<f64> },
    Text,
    OneOf(Vec<Word>),
    AnyOf(Vec<Word>),
    Rows(Vec<Figure>),
}

/// A word that a figure may be, and what it means.
#[derive(Debug)]
pub(super) struct Word {
    pub(super) word: String,
    pub(super) about: String,
}

impl Kind {
    /// The one of this name.
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.name == name)
    }

    fn of(schema: &Value, kind: &Value) -> Option<Self> {
        let name = kind.pointer("/properties/kind/const")?.as_str()?.to_owned();
        let is_off = name.parse::<PolicyKind>().is_ok_and(|kind| kind.defaults().is_off());
        Some(Self { name, about: about(kind), is_off, figures: figures(schema, kind) })
    }
}

/// Those of a table: first what it must have, as it is declared, then words, then numbers, and lists last.
fn figures(schema: &Value, table: &Value) -> Vec<Figure> {
    let required: Vec<&str> =
        table["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let place = |key: &str| required.iter().position(|it| *it == key);
    let properties = table["properties"].as_object().into_iter().flatten();
    let mut figures: Vec<Figure> = properties
        .filter(|(key, _)| *key != "kind")
        .map(|(key, property)| Figure {
            key: key.clone(),
            about: about(property),
            default: property.get("default").cloned(),
            is_required: place(key).is_some(),
            form: Form::of(schema, property),
        })
        .collect();
    figures.sort_by_key(|it| (place(&it.key).unwrap_or(usize::MAX), it.form.order()));
    figures
}

impl Form {
    fn of(schema: &Value, property: &Value) -> Self {
        let property = resolved(schema, property);
        if let Some(words) = words(property) {
            return Self::OneOf(words);
        }
        if let Some(items) = property.get("items") {
            let items = resolved(schema, items);
            return match words(items) {
                Some(words) => Self::AnyOf(words),
                None => Self::Rows(figures(schema, items)),
            };
        }
        let is = |name: &str| match &property["type"] {
            Value::Array(types) => types.iter().any(|it| it == name),
            one => one == name,
        };
        if is("number") || is("integer") {
            let end = |key| property.get(key).and_then(Value::as_f64);
            return Self::Number {
                is_whole: is("integer"),
                min: end("minimum"),
                max: end("maximum"),
            };
        }
        Self::Text
    }

    const fn order(&self) -> u8 {
        match self {
            Self::OneOf(_) | Self::Text => 0,
            Self::Number { .. } => 1,
            Self::AnyOf(_) | Self::Rows(_) => 2,
        }
    }
}

/// The definition that a schema refers to, or itself.
fn resolved<'a>(schema: &'a Value, property: &'a Value) -> &'a Value {
    let reference = property.get("$ref").or_else(|| property.pointer("/allOf/0/$ref"));
    let path = reference.and_then(Value::as_str).and_then(|it| it.strip_prefix('#'));
    path.and_then(|path| schema.pointer(path)).unwrap_or(property)
}

fn words(property: &Value) -> Option<Vec<Word>> {
    let word = |one: &Value| {
        Some(Word { word: one.get("const")?.as_str()?.to_owned(), about: about(one) })
    };
    property.get("oneOf")?.as_array()?.iter().map(word).collect()
}

fn about(schema: &Value) -> String {
    schema["description"].as_str().unwrap_or_default().replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_policy_is_there_with_every_figure_and_its_default() {
        assert_eq!(KINDS.len(), PolicyKind::all().count());
        for kind in PolicyKind::all() {
            let told = Kind::named(kind.name()).unwrap();
            assert!(!told.about.is_empty(), "{kind}");
            let defaults = serde_json::to_value(kind.defaults()).unwrap();
            for (key, value) in defaults.as_object().unwrap() {
                let figure = told.figures.iter().find(|it| it.key == *key);
                let default = figure.and_then(|it| it.default.as_ref());
                assert!(key == "kind" || default == Some(value), "{kind}.{key}: {figure:?}");
            }
            for figure in &told.figures {
                let is_bounded = match &figure.form {
                    Form::Number { min, max, .. } => min.is_some() && max.is_some(),
                    Form::Rows(inner) => !inner.is_empty(),
                    Form::OneOf(words) | Form::AnyOf(words) => words.len() > 1,
                    Form::Text => figure.key == "time_zone",
                };
                assert!(is_bounded && !figure.about.is_empty(), "{kind}.{figure:?}");
            }
        }
    }
}
