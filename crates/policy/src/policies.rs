//! The policies: one file each, a pure function from the load to the instances it needs.

pub mod target_tracking;
