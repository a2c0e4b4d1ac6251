//! Which slots a service may use.
//!
//! The load balancer's file names every slot that a service may use, so that an instance enters
//! and leaves rotation by one command on its admin socket instead of a reload.

use std::collections::BTreeMap;

use model::names::{ServiceName, Slot};

/// Slots beside the upper bound for each service, at least: a replacement starts before the
/// instance it replaces has drained, and a drain may take as long as the longest request.
const SPARE_SLOTS_MIN: u32 = 3;

/// Spare slots as a share of the upper bound, in percent.
const SPARE_PERCENT: u32 = 30;

/// The services ask for more slots than the host has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "service {service} needs {needed} slots and {left} are left on the host: lower a service's bounds.max or widen network.subnet"
)]
pub struct SlotsError {
    /// The first service that found no room.
    pub service: ServiceName,
    /// How many slots it needs: its upper bound and the spare ones.
    pub needed: u32,
    /// How many no service before it took.
    pub left: u32,
}

/// The slots of each service, in the order of use: its upper bound and 30% spare, at least three.
/// `last` is the highest slot that the host's network has an address for.
///
/// A change of one service moves the ranges of those after it. Instances that run keep the slots
/// they have, so a range says where new instances go, not where old ones are.
///
/// # Errors
/// [`SlotsError`] when the host's slots do not do.
pub fn reserve(
    services: &BTreeMap<ServiceName, u32>,
    last: u16,
) -> Result<BTreeMap<ServiceName, Vec<Slot>>, SlotsError> {
    let mut reserved = BTreeMap::new();
    let mut free = 1..u32::from(last) + 1;
    for (service, &max) in services {
        let (needed, left) = (slots_needed(max), free.end - free.start);
        if needed > left {
            return Err(SlotsError { service: service.clone(), needed, left });
        }
        let numbers = free.by_ref().take(needed as usize);
        let slots = numbers.filter_map(|number| Slot::try_from(number).ok());
        reserved.insert(service.clone(), slots.collect());
    }
    Ok(reserved)
}

/// How many slots a service with this upper bound gets.
fn slots_needed(max: u32) -> u32 {
    let spare = max.saturating_mul(SPARE_PERCENT).div_ceil(100);
    max.saturating_add(spare.max(SPARE_SLOTS_MIN))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use model::bounds::Bounds;

    fn services(sizes: &[u32]) -> BTreeMap<ServiceName, u32> {
        let name = |i: usize| format!("s{i:03}").parse().unwrap();
        sizes.iter().enumerate().map(|(i, &max)| (name(i), max)).collect()
    }

    #[test]
    fn a_service_of_ten_gets_thirteen_slots() {
        let slots = reserve(&services(&[10, 2]), 18).unwrap();
        let numbers = slots.values().map(|slots| slots.iter().map(|slot| slot.get()).collect());
        let expected: [Vec<u16>; 2] = [(1..=13).collect(), (14..=18).collect()];
        assert_eq!(numbers.collect::<Vec<Vec<u16>>>(), expected);
    }

    #[test]
    fn one_service_may_take_the_host() {
        assert!(reserve(&services(&[Bounds::MAX_INSTANCES]), Slot::MAX).is_ok());
        let error = reserve(&services(&[Bounds::MAX_INSTANCES, 100]), Slot::MAX).unwrap_err();
        assert_eq!((error.needed, error.left), (130, 25));
    }

    proptest! {
        #[test]
        fn ranges_never_overlap_and_stay_on_the_host(sizes in prop::collection::vec(0_u32..400, 1..8)) {
            if let Ok(reserved) = reserve(&services(&sizes), Slot::MAX) {
                let mut next = 1;
                for (slots, max) in reserved.values().zip(&sizes) {
                    prop_assert!(slots.len() > *max as usize);
                    for slot in slots {
                        prop_assert_eq!(slot.get(), next);
                        next += 1;
                    }
                }
                prop_assert!(next <= Slot::MAX + 1);
            }
        }
    }
}
