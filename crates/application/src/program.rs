//! Programs in the format of the kernel, ELF: for which machine, and whether they need anything else.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};

use object::elf::{self, FileHeader32, FileHeader64};
use object::read::ReadCache;
use object::read::elf::{Dyn as _, FileHeader, ProgramHeader as _};
use object::{Endianness, ReadRef};

/// A dynamic section has some 30 entries of 16 bytes each. More than this is none.
const DYNAMIC_BYTES_MAX: u64 = 64 << 10;

/// What the headers of segments have at most where the kernel starts a program (`load_elf_phdrs` in `fs/binfmt_elf.c`):
/// 1,170 of 56 bytes. A header could say 2^32, and all of a file of holes would be read into memory.
const SEGMENTS_BYTES_MAX: u64 = 64 << 10;

/// A program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Program {
    /// Whether it needs anything else.
    pub(crate) linkage: Linkage,
    /// The machine that it is for, as [`std::env::consts::ARCH`] names it; `None` for one that Bellows does not
    /// run on.
    pub(crate) machine: Option<&'static str>,
}

/// Whether a program needs other files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Linkage {
    /// All that it needs is in it.
    Static,
    /// It needs an interpreter and libraries of the system that it was built on.
    Dynamic,
    /// It begins as a program does, and goes on as none.
    Spoilt(ProgramFault),
}

/// Why what begins as a program is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProgramFault {
    /// What the headers say does not fit together, or not into the file.
    #[error("its headers are cut off, or lead beyond its end")]
    Headers,
    /// More segments than any kernel takes.
    #[error(
        "the headers of its segments have {0} bytes, and the kernel takes {SEGMENTS_BYTES_MAX}"
    )]
    Segments(u64),
    /// A dynamic section that nobody wrote.
    #[error("its dynamic section has {0} bytes, and at most {DYNAMIC_BYTES_MAX} are read")]
    Dynamic(u64),
}

/// What is said of the program that `file` holds; `None` when it holds none. A library is none, whether or not
/// it may be run. Leaves the file at its start.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn examine(file: &mut File) -> std::io::Result<Option<Program>> {
    let mut magic = Vec::new();
    file.take(elf::ELFMAG.len() as u64 + 1).read_to_end(&mut magic)?;
    let data = ReadCache::new(&mut *file);
    // No machine of 32 bits is one that Bellows runs on, and to say that is more than to know no program.
    let parsed = match magic.strip_prefix(&elf::ELFMAG) {
        Some([elf::ELFCLASS32]) => parse::<FileHeader32<Endianness>, _>(&data),
        Some(_) => parse::<FileHeader64<Endianness>, _>(&data),
        None => Ok(None),
    };
    file.seek(SeekFrom::Start(0))?;
    let spoilt = |fault| Some(Program { linkage: Linkage::Spoilt(fault), machine: None });
    Ok(parsed.unwrap_or_else(spoilt))
}

impl From<object::Error> for ProgramFault {
    fn from(_: object::Error) -> Self {
        Self::Headers
    }
}

/// Reads two parts of the file beside its header, each of a bounded size, whatever the headers say of theirs.
fn parse<'data, Elf, R>(data: R) -> Result<Option<Program>, ProgramFault>
where
    Elf: FileHeader<Endian = Endianness>,
    R: ReadRef<'data>,
{
    let header = Elf::parse(data)?;
    let endian = header.endian()?;
    let bytes = u64::from(header.e_phnum(endian)) * u64::from(header.e_phentsize(endian));
    if bytes > SEGMENTS_BYTES_MAX {
        return Err(ProgramFault::Segments(bytes));
    }
    let segments = header.program_headers(endian, data)?;
    let first = |kind| segments.iter().find(|segment| segment.p_type(endian) == kind);
    let is_position_independent = match first(elf::PT_DYNAMIC) {
        Some(segment) => has_flag_pie(segment, endian, data)?,
        None => false,
    };
    let linkage = match header.e_type(endian) {
        elf::ET_EXEC | elf::ET_DYN if first(elf::PT_INTERP).is_some() => Some(Linkage::Dynamic),
        elf::ET_EXEC => Some(Linkage::Static),
        // A library is ET_DYN without an interpreter too, and lacks the flag.
        elf::ET_DYN if is_position_independent => Some(Linkage::Static),
        _ => None,
    };
    let machine = machine(header.e_machine(endian)).filter(|_| header.is_class_64());
    Ok(linkage.map(|linkage| Program { linkage, machine }))
}

/// Whether a dynamic section says that it is of a program that can lie anywhere.
fn has_flag_pie<'data, Segment, R>(
    segment: &Segment,
    endian: Endianness,
    data: R,
) -> Result<bool, ProgramFault>
where
    Segment: object::read::elf::ProgramHeader<Endian = Endianness>,
    R: ReadRef<'data>,
{
    let (_, bytes) = segment.file_range(endian);
    if bytes > DYNAMIC_BYTES_MAX {
        return Err(ProgramFault::Dynamic(bytes));
    }
    let entries = segment.dynamic(endian, data)?.unwrap_or_default();
    Ok(entries.iter().any(|entry| {
        let flags: u64 = entry.d_val(endian).into();
        entry.d_tag(endian).into() == elf::DT_FLAGS_1 && flags & u64::from(elf::DF_1_PIE) != 0
    }))
}

fn machine(number: u16) -> Option<&'static str> {
    match number {
        elf::EM_X86_64 => Some("x86_64"),
        elf::EM_AARCH64 => Some("aarch64"),
        elf::EM_RISCV => Some("riscv64"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn examined(path: impl AsRef<Path>) -> Option<Program> {
        examine(&mut File::open(path).unwrap()).unwrap()
    }

    fn examined_bytes(bytes: &[u8]) -> Option<Program> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        std::fs::write(&path, bytes).unwrap();
        examined(path)
    }

    #[test]
    fn a_static_program_a_dynamic_one_and_a_library_are_told_apart() {
        let here = Some(std::env::consts::ARCH);
        let of = |linkage| Some(Program { linkage, machine: here });
        // Linked as all programs of the project are.
        assert_eq!(examined(std::env::current_exe().unwrap()), of(Linkage::Static));
        assert_eq!(examined("/bin/sh"), of(Linkage::Dynamic));
        let libraries = format!("/usr/lib/{}-linux-gnu/libc.so.6", std::env::consts::ARCH);
        // Libc can be run to print its version, and has an interpreter; libm has none.
        let library = Path::new(&libraries).with_file_name("libm.so.6");
        assert_eq!(examined(library), None);
    }

    #[test]
    fn whatever_a_file_holds_it_is_examined() {
        let whole = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        for length in [0, 3, 4, 20, 63, 64, 100, 200, 500] {
            let _ = examined_bytes(&whole[..length]);
        }
        for at in 0..64 {
            let mut spoilt = whole[..4096].to_vec();
            spoilt[at] = 0xff;
            let _ = examined_bytes(&spoilt);
        }
        assert_eq!(examined_bytes(b"#!/bin/sh\n"), None);
    }

    /// The header of a program for this machine with so many segments of these kinds, places and sizes.
    fn headers(segments: &[(u32, u64, u64)], count: u16, at_sections: u64) -> Vec<u8> {
        let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
        bytes.resize(16, 0);
        let machine = if cfg!(target_arch = "aarch64") { elf::EM_AARCH64 } else { elf::EM_X86_64 };
        bytes.extend([elf::ET_DYN, machine, 1, 0].map(u16::to_le_bytes).concat());
        bytes.extend([0, 64, at_sections].map(u64::to_le_bytes).concat());
        bytes.extend([0, 0, 64, 56, count, 64, 0, 0].map(u16::to_le_bytes).concat());
        for (kind, offset, size) in segments {
            bytes.extend([*kind, 4].map(u32::to_le_bytes).concat());
            bytes.extend([*offset, 0, 0, *size, *size, 8].map(u64::to_le_bytes).concat());
        }
        bytes
    }

    /// A file of holes has any size and takes no room on a disk.
    fn examined_with_holes(bytes: &[u8]) -> Option<Program> {
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, bytes).unwrap();
        file.set_len(8 << 30).unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        examine(&mut file).unwrap()
    }

    #[test]
    fn no_more_is_read_than_its_bounds_whatever_the_headers_say() {
        let spoilt = |fault| Some(Program { linkage: Linkage::Spoilt(fault), machine: None });
        // The number of segments is in a section where it does not fit: here, 2^27 of them.
        let mut many = headers(&[], elf::PN_XNUM, 64);
        many.resize(64 + 44, 0);
        many.extend((1_u32 << 27).to_le_bytes());
        assert_eq!(examined_with_holes(&many), spoilt(ProgramFault::Segments(65_535 * 56)));
        let dynamic = |count: u16, size| {
            let one = |at| (elf::PT_DYNAMIC, u64::from(at) << 16, size);
            headers(&(0..count).map(one).collect::<Vec<_>>(), count, 0)
        };
        assert_eq!(
            examined_with_holes(&dynamic(1_171, 16)),
            spoilt(ProgramFault::Segments(1_171 * 56))
        );
        for size in [DYNAMIC_BYTES_MAX + 1, 1 << 32, u64::MAX] {
            let fault = ProgramFault::Dynamic(size);
            assert_eq!(examined_with_holes(&dynamic(1, size)), spoilt(fault));
        }
        let beyond = headers(&[(elf::PT_DYNAMIC, u64::MAX - 7, 64)], 1, 0);
        assert_eq!(examined_with_holes(&beyond), spoilt(ProgramFault::Headers));
        // Of a thousand, one is read.
        assert_eq!(examined_with_holes(&dynamic(1_000, DYNAMIC_BYTES_MAX)), None);
        // An interpreter is not read at all.
        let interpreter = headers(&[(elf::PT_INTERP, u64::MAX, u64::MAX)], 1, 0);
        assert_eq!(examined_with_holes(&interpreter).unwrap().linkage, Linkage::Dynamic);
    }

    #[test]
    fn the_machine_is_told() {
        let mut other = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        // e_machine of the header.
        other[18..20].copy_from_slice(&elf::EM_AARCH64.to_le_bytes());
        assert_eq!(examined_bytes(&other).unwrap().machine, Some("aarch64"));
        other[18..20].copy_from_slice(&elf::EM_S390.to_le_bytes());
        assert_eq!(examined_bytes(&other).unwrap().machine, None);
        let mut small = b"\x7fELF\x01\x01\x01".to_vec();
        small.resize(52, 0);
        // A program for i386, which has no segments.
        (small[16], small[18]) = (2, 3);
        assert_eq!(examined_bytes(&small).unwrap().machine, None);
    }
}
