//! How much a folder may hold.

/// How much of a folder may go along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Files, folders and links.
    pub entries: usize,
    /// Bytes of all files together.
    pub bytes: u64,
}

impl Default for Bounds {
    /// An application's own files are some 10 MiB in some 1,000 files; what is beyond this is data, or
    /// packages that are installed when the image is made.
    fn default() -> Self {
        Self { entries: 20_000, bytes: 512 << 20 }
    }
}
