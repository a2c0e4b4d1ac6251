//! The proxy as it runs, as a user without rights, between network namespaces of the tests' own: the host, its
//! instances, and a world in which every address beyond the host is one of a loopback interface. No packet has
//! a way out of them, whatever the proxy does.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod bounds;
mod builds;
mod reach;
mod revoked;
mod world;
