//! The file system of the state folder, when it has little room left.

use nix::sys::statvfs::Statvfs;

use super::sign::{Evidence, Sign};

/// It is full when less than this part of it is free, 5%,
const FULL_PART: u64 = 20;

/// or less than this, where that is less: 2 GiB hold some builds (`builds.disk_mib`, 4,096, is what one may write at the
/// most) and any record, and on a disk of terabytes 5% are no want.
const FULL_MIB: u64 = 2_048;

/// It has room again when twice as much is free, so that a build that comes and goes is no episode each time.
const ROOM: u64 = 2;

/// Looks in a row, 10 s from each to the next, that a change has to last: a build writes its files and removes them.
const LOOKS: u32 = 3;

const MIB: u64 = 1024 * 1024;

/// What a file system has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// What is free for users other than root, in MiB.
    pub free_mib: u64,
    /// Its size, in MiB.
    pub size_mib: u64,
    /// Files that can be made yet, and all that it can have; 0 and 0 where it does not count them.
    pub files: (u64, u64),
}

impl From<Statvfs> for Room {
    fn from(status: Statvfs) -> Self {
        let mib = |blocks: u64| blocks.saturating_mul(status.fragment_size()) / MIB;
        Self {
            free_mib: mib(status.blocks_available()),
            size_mib: mib(status.blocks()),
            files: (status.files_available(), status.files()),
        }
    }
}

impl Room {
    fn has_less_than(self, times: u64) -> bool {
        let bound_mib = (self.size_mib / FULL_PART).min(FULL_MIB);
        let (files, of_files) = self.files;
        self.free_mib < bound_mib * times || files < of_files / FULL_PART * times
    }
}

/// What is remembered of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct FullDisk {
    full: u32,
    with_room: u32,
}

impl FullDisk {
    /// Takes in a look.
    pub(super) fn look(&mut self, room: Room) -> Sign {
        self.full = if room.has_less_than(1) { self.full.saturating_add(1) } else { 0 };
        let is_tight = room.has_less_than(ROOM);
        self.with_room = if is_tight { 0 } else { self.with_room.saturating_add(1) };
        let Room { free_mib, size_mib, .. } = room;
        if self.full >= LOOKS {
            Sign::Present(Evidence::FullDisk { free_mib, size_mib })
        } else if self.with_room >= LOOKS {
            Sign::Absent
        } else {
            Sign::Unclear
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(free_mib: u64, size_mib: u64) -> Room {
        Room { free_mib, size_mib, files: (0, 0) }
    }

    #[test]
    fn it_is_full_below_a_twentieth_or_2_gib_and_has_room_from_twice_as_much_on() {
        let full = |room: Room| (room.has_less_than(1), room.has_less_than(ROOM));
        assert_eq!(full(of(499, 10_000)), (true, true));
        assert_eq!(full(of(500, 10_000)), (false, true));
        assert_eq!(full(of(1_000, 10_000)), (false, false));
        assert_eq!(full(of(2_047, 4_000_000)), (true, true));
        assert_eq!(full(of(4_096, 4_000_000)), (false, false));
        let files = |free| Room { files: (free, 1_000), ..of(9_000, 10_000) };
        assert_eq!((full(files(49)), full(files(100))), ((true, true), (false, false)));
        // One that does not say how large it is, as some network file systems.
        assert_eq!(full(of(0, 0)), (false, false));
    }

    #[test]
    fn a_change_lasts_for_three_looks_and_what_lies_between_changes_nothing() {
        let mut disk = FullDisk::default();
        let (full, tight, free) = (of(100, 10_000), of(700, 10_000), of(9_000, 10_000));
        let present = Sign::Present(Evidence::FullDisk { free_mib: 100, size_mib: 10_000 });
        let mut looks = |rooms: &[Room]| rooms.iter().map(|room| disk.look(*room)).last().unwrap();
        assert_eq!(looks(&[full, full, tight, full, full]), Sign::Unclear);
        assert_eq!(looks(&[full]), present);
        assert_eq!(looks(&[tight, tight, tight, tight]), Sign::Unclear);
        assert_eq!(looks(&[free, free]), Sign::Unclear);
        assert_eq!(looks(&[free]), Sign::Absent);
    }
}
