//! What differs between the instances of one turn and those of the turn before, by their names. Of 200 instances few
//! change from one tick to the next, but for how many requests each has.

use std::collections::BTreeSet;

use model::names::InstanceName;

use crate::fleet::InstanceObservation;

/// What differs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Differences {
    /// Those that are there no more.
    pub(super) gone: Vec<InstanceName>,
    /// Those that are new, or of which more than the requests differs.
    pub(super) seen: Vec<InstanceObservation>,
    /// Requests in flight, by the place in the order of names, where nothing else differs.
    pub(super) in_flight: Vec<(usize, Option<u32>)>,
}

/// What leads from the instances of before to those of now, both in the order of their names.
pub(super) fn differences(
    before: &[InstanceObservation],
    now: &[InstanceObservation],
) -> Differences {
    let mut differences = Differences::default();
    let mut before = before.iter().peekable();
    for (place, seen) in now.iter().enumerate() {
        while let Some(gone) = before.next_if(|known| known.name < seen.name) {
            differences.gone.push(gone.name.clone());
        }
        match before.next_if(|known| known.name == seen.name) {
            Some(known) if known == seen => {}
            Some(known) if is_alike(known, seen) => {
                differences.in_flight.push((place, seen.in_flight));
            }
            _ => differences.seen.push(seen.clone()),
        }
    }
    differences.gone.extend(before.map(|gone| gone.name.clone()));
    differences
}

/// The instances of now. `None` where these are not those that the differences were told of.
pub(super) fn after(
    mut known: Vec<InstanceObservation>,
    differences: &Differences,
) -> Option<Vec<InstanceObservation>> {
    let Differences { gone, seen, in_flight } = differences;
    if !gone.is_empty() {
        let gone: BTreeSet<_> = gone.iter().collect();
        let count = known.len();
        known.retain(|instance| !gone.contains(&instance.name));
        if known.len() + gone.len() != count {
            return None;
        }
    }
    for seen in seen {
        match known.binary_search_by(|instance| instance.name.cmp(&seen.name)) {
            Ok(place) => known[place] = seen.clone(),
            Err(place) => known.insert(place, seen.clone()),
        }
    }
    for (place, in_flight) in in_flight {
        known.get_mut(*place)?.in_flight = *in_flight;
    }
    Some(known)
}

/// Whether nothing but the number of requests differs.
fn is_alike(known: &InstanceObservation, seen: &InstanceObservation) -> bool {
    // Every field is named: one that is added is held against each other as well.
    let InstanceObservation {
        name,
        container,
        rotation,
        in_flight: _,
        drained,
        version,
        under_way,
        silent,
        released,
    } = seen;
    let same_kind = known.container == *container && known.rotation == *rotation;
    let same_course = known.drained == *drained && known.under_way == *under_way;
    let same_life = known.version == *version && known.released == *released;
    known.name == *name && same_kind && same_course && same_life && known.silent == *silent
}
