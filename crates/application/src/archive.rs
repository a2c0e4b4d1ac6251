//! The archive in which a folder travels: tar, in the order of paths.

mod pack;
mod unpack;

pub use self::pack::{PackError, pack};
pub use self::unpack::{UnpackError, unpack};
