//! Listing ids in order, in memory bounded by the page and not by the folder.

use std::collections::BinaryHeap;

use rustix::fs::Dir;

use super::name::{FileName, Meaning};
use super::{Store, StoreError, failed};
use crate::id::ObjectId;

/// Which ids to list.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Ids that begin with this.
    pub prefix: String,
    /// Ids greater than this, in the order of their bytes.
    pub after: String,
    /// As many ids at most.
    pub limit: usize,
}

/// A part of the list of ids.
#[derive(Debug, PartialEq, Eq)]
pub struct Page {
    /// Ids in the order of their bytes.
    pub ids: Vec<String>,
    /// Whether there are more after them.
    pub more: bool,
}

impl Store {
    /// The first ids that `query` asks for.
    pub fn list(&self, query: &Query) -> Result<Page, StoreError> {
        let mut smallest = Smallest::new(query);
        let entries = Dir::read_from(&self.folders.objects).map_err(failed("list the objects"))?;
        for entry in entries {
            let entry = entry.map_err(failed("list the objects"))?;
            let (name, meaning) = FileName::parse(entry.file_name().to_bytes());
            match meaning {
                Meaning::Id(id) => smallest.offer(id),
                Meaning::InFile => match self.head_in(&name) {
                    Ok(Some(head)) => smallest.offer(head.id),
                    // Deleted since.
                    Ok(None) => {}
                    // One damaged file must not take the whole list away.
                    Err(StoreError::Damaged { name, source }) => {
                        tracing::error!(name, error = %source, "a file is left out of the list");
                    }
                    Err(error) => return Err(error),
                },
                Meaning::Foreign => {}
            }
        }
        Ok(smallest.into_page())
    }
}

/// Keeps the smallest `limit` ids and one more, which tells that there are more.
struct Smallest<'a> {
    query: &'a Query,
    kept: BinaryHeap<String>,
}

impl<'a> Smallest<'a> {
    fn new(query: &'a Query) -> Self {
        Self { query, kept: BinaryHeap::with_capacity(query.limit + 2) }
    }

    fn offer(&mut self, id: ObjectId) {
        let text = id.as_str();
        if !text.starts_with(&self.query.prefix) || text <= self.query.after.as_str() {
            return;
        }
        let full = self.kept.len() > self.query.limit;
        if full && self.kept.peek().is_some_and(|largest| text >= largest.as_str()) {
            return;
        }
        self.kept.push(id.into_string());
        if full {
            self.kept.pop();
        }
    }

    fn into_page(self) -> Page {
        let mut ids = self.kept.into_sorted_vec();
        let more = ids.len() > self.query.limit;
        ids.truncate(self.query.limit);
        Page { ids, more }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_page_holds_the_first_ids_in_order(
            ids in proptest::collection::btree_set("[ab/]{1,4}", 0..60),
            prefix in "[ab/]{0,2}",
            after in "[ab/]{0,2}",
            limit in 1..20_usize,
        ) {
            let query = Query { prefix: prefix.clone(), after: after.clone(), limit };
            let mut smallest = Smallest::new(&query);
            // A folder has an order of its own.
            let shuffled: std::collections::HashSet<_> = ids.iter().cloned().collect();
            for id in shuffled {
                smallest.offer(ObjectId::new(id).unwrap());
            }
            let wanted: BTreeSet<_> =
                ids.into_iter().filter(|id| id.starts_with(&prefix) && *id > after).collect();
            let more = wanted.len() > limit;
            let ids: Vec<_> = wanted.into_iter().take(limit).collect();
            prop_assert_eq!(smallest.into_page(), Page { ids, more });
        }
    }
}
