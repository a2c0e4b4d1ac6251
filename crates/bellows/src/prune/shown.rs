//! What can be freed, as programs are told of it.

use serde::Serialize;

use super::plan::{Item, Plan};
use crate::json::FORMAT;

/// The plan.
#[derive(Debug, Serialize)]
pub(super) struct Shown<'a> {
    format: u32,
    items: Vec<ShownItem>,
    /// What comes free of all of it.
    bytes: u64,
    /// What stays though it could be thought of, and why.
    stays: &'a [String],
}

#[derive(Debug, Serialize)]
struct ShownItem {
    /// What it is, in words.
    what: String,
    bytes: u64,
}

impl<'a> Shown<'a> {
    pub(super) fn of(plan: &'a Plan) -> Self {
        let item = |item: &Item| ShownItem { what: item.what.to_string(), bytes: item.bytes };
        Self {
            format: FORMAT,
            items: plan.items.iter().map(item).collect(),
            bytes: plan.items.iter().map(|item| item.bytes).sum(),
            stays: &plan.stays,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::What;
    use super::*;

    #[test]
    fn programs_are_told_what_can_go_and_what_comes_free() {
        let item = |what, bytes| Item { what, bytes };
        let items = vec![item(What::Cache("shop".parse().unwrap()), 5), item(What::Drafts, 7)];
        let plan = Plan { items, stays: vec!["a".to_owned()] };
        let json = serde_json::to_value(Shown::of(&plan)).unwrap();
        assert_eq!((&json["format"], &json["bytes"]), (&1.into(), &12.into()));
        assert_eq!((&json["items"][1]["bytes"], &json["stays"][0]), (&7.into(), &"a".into()));
    }
}
