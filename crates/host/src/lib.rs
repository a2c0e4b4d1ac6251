//! The boundary to this machine: commands, settings, LXC, network, control groups, long-running
//! programs, accounts, builds, the way out and the load balancer. What each part reads is parsed apart from running it.

pub mod accounts;
pub mod build;
pub mod cgroups;
pub mod command;
pub mod data;
pub mod deployments;
pub mod deploys;
pub mod disk_use;
pub mod egress;
pub mod files;
pub mod haproxy;
pub mod id_map;
pub mod id_ranges;
mod listeners;
pub mod lock;
mod loop_devices;
pub mod lxc;
pub mod memory;
pub mod name_lookup;
pub mod network;
pub mod notify;
pub mod open_files;
pub mod probe;
pub mod processors;
pub mod rehearsal;
pub mod releases;
pub mod render;
pub mod secrets;
pub mod settings;
pub mod slots;
pub mod units;
pub mod unix_socket;
