//! Folders as users have them, read, packed, unpacked and judged.

#![allow(clippy::unwrap_used, reason = "in a test, to panic is to fail")]

mod any_folder;
mod archive;
mod detect;
mod elf;
mod examples;
mod folder;
mod harness;
mod hostile;
