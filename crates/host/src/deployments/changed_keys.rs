//! Which keys of a file differ from before, and how: what the record of changes tells of a deploy.

use std::collections::{BTreeMap, BTreeSet};

use model::access::KeyChange;

/// So much of a value is told, in characters.
const VALUE_CHARACTERS: usize = 200;

/// So many keys of a file are told.
const KEYS: usize = 40;

/// Tables whose values are what a service tells its own programs, and nobody else's business; and addresses whose path
/// may be a secret.
const NOT_TOLD: [&str; 3] = ["application", "instance.environment", "notify"];

/// The keys in which one text of a file differs from the one before, in their order. A text that is no TOML has
/// none.
pub(super) fn changed_keys(before: &str, after: &str) -> Vec<KeyChange> {
    let [before, after] = [before, after].map(values);
    let keys: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let differing = keys.into_iter().filter(|key| before.get(*key) != after.get(*key));
    let change = |key: &String| KeyChange {
        before: before.get(key).map(|value| told(key, value)),
        after: after.get(key).map(|value| told(key, value)),
        key: key.clone(),
    };
    let mut changes: Vec<_> = differing.map(change).collect();
    if changes.len() > KEYS {
        let more = changes.split_off(KEYS).len();
        let key = format!("and {more} more");
        changes.push(KeyChange { key, before: None, after: None });
    }
    changes
}

/// Each value with its key, tables before it and dots between.
fn values(text: &str) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    add("", &text.parse().unwrap_or_default(), &mut values);
    values
}

fn add(place: &str, table: &toml::Table, values: &mut BTreeMap<String, String>) {
    for (key, value) in table {
        match value {
            toml::Value::Table(table) => add(&format!("{place}{key}."), table, values),
            value => drop(values.insert(format!("{place}{key}"), value.to_string())),
        }
    }
}

fn told(key: &str, value: &str) -> String {
    let is_below = |table: &&str| key.strip_prefix(*table).is_some_and(|it| it.starts_with('.'));
    if NOT_TOLD.iter().any(is_below) {
        return "not told".to_owned();
    }
    let cut: String = value.chars().take(VALUE_CHARACTERS).collect();
    if cut.len() < value.len() { format!("{cut}...") } else { cut }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(before: &str, after: &str) -> Vec<String> {
        let line = |KeyChange { key, before, after }: KeyChange| {
            format!("{key}: {} -> {}", before.unwrap_or_default(), after.unwrap_or_default())
        };
        changed_keys(before, after).into_iter().map(line).collect()
    }

    #[test]
    fn a_key_that_comes_changes_or_goes_is_told_with_its_values() {
        let before =
            "name = \"a\"\n[bounds]\nmin = 1\nmax = 4\n[[instance.mounts]]\nsource = \"x\"\n";
        let after = "name = \"a\"\negress = [\"any\"]\n[bounds]\nmax = 9\nmin = 1\n";
        assert_eq!(
            lines(before, after),
            [
                "bounds.max: 4 -> 9",
                "egress:  -> [\"any\"]",
                "instance.mounts: [{ source = \"x\" }] -> "
            ]
        );
        assert!(lines(after, after).is_empty());
        // Comments and the order of keys are nothing that changed.
        assert!(lines("a = 1\nb = 2", "# a comment\nb = 2\na = 1").is_empty());
    }

    #[test]
    fn what_a_service_tells_its_own_programs_is_told_to_nobody() {
        let text = |value| {
            format!("[application]\nkey = \"{value}\"\n[instance.environment]\nKEY = \"{value}\"\n")
        };
        let told = lines(&text("hush"), &text("hush hush"));
        assert_eq!(
            told,
            [
                "application.key: not told -> not told",
                "instance.environment.KEY: not told -> not told"
            ]
        );
        let webhook = |path: &str| format!("[notify]\nwebhooks = [\"https://a.example/{path}\"]\n");
        let told = lines(&webhook("hush"), &webhook("hush-hush"));
        assert_eq!(told, ["notify.webhooks: not told -> not told"]);
    }

    #[test]
    fn what_is_told_has_an_end() {
        let long = "x".repeat(5_000);
        let told = lines("", &format!("a = \"{long}\""));
        assert!(told[0].len() < 250 && told[0].ends_with("..."), "{}", told[0]);
        let many: String = (0..100).map(|number| format!("key{number} = 1\n")).collect();
        let told = lines("", &many);
        assert_eq!((told.len(), told[40].as_str()), (41, "and 60 more:  -> "));
    }
}
