//! An application as its user has it: a folder. What goes along of it, how it travels, and what it is.
//!
//! [`read`] looks at the folder, with the rights of whoever calls. [`pack`] writes what it found as one
//! archive, and [`unpack`] lays it out where it is received, trusting nothing that it says. [`detect`] says
//! what is to be made of it, from what was found alone, and [`Needed`] what is read to install its packages.

mod archive;
mod bounds;
mod contents;
mod detect;
mod folder;
mod hashed;
mod link;
mod needed;
mod path;
mod program;

pub use self::archive::{PackError, UnpackError, pack, unpack};
pub use self::bounds::Bounds;
pub use self::contents::{Contents, Digest, Entry, File};
pub use self::detect::{
    Choice, Chosen, Declared, HEALTH_PATHS, Recipe, Refusal, Start, Workers, detect,
};
pub use self::folder::{Found, LeftOut, ReadError, Why, read};
pub use self::needed::Needed;
pub use self::path::{EntryPath, PathError};
pub use self::program::ProgramFault;
