//! Programs in the format of the kernel, ELF: for which machine, and whether they need anything else.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};

use object::elf::{self, FileHeader64};
use object::read::ReadCache;
use object::read::elf::{Dyn as _, FileHeader as _, ProgramHeader as _};
use object::{Endianness, ReadRef};

/// A dynamic section has some 30 entries of 16 bytes each. More than this is none.
const DYNAMIC_BYTES_MAX: u64 = 64 << 10;

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
}

/// What is said of the program that `file` holds; `None` when it holds none. A library is none, whether or not
/// it may be run. Leaves the file at its start.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn examine(file: &mut File) -> std::io::Result<Option<Program>> {
    let mut magic = Vec::new();
    file.take(elf::ELFMAG.len() as u64).read_to_end(&mut magic)?;
    let program =
        if magic == elf::ELFMAG { parse(&ReadCache::new(&mut *file)).ok().flatten() } else { None };
    file.seek(SeekFrom::Start(0))?;
    Ok(program)
}

/// Headers of 64 bits alone: Bellows runs on no machine of 32.
fn parse<'data>(data: impl ReadRef<'data>) -> object::Result<Option<Program>> {
    let header = FileHeader64::<Endianness>::parse(data)?;
    let endian = header.endian()?;
    let segments = header.program_headers(endian, data)?;
    let has = |kind| segments.iter().any(|segment| segment.p_type(endian) == kind);
    let mut is_position_independent = false;
    for segment in segments {
        if segment.file_range(endian).1 <= DYNAMIC_BYTES_MAX
            && let Some(entries) = segment.dynamic(endian, data)?
        {
            is_position_independent |= entries.iter().any(|entry| is_pie(entry, endian));
        }
    }
    let linkage = match header.e_type(endian) {
        elf::ET_EXEC | elf::ET_DYN if has(elf::PT_INTERP) => Some(Linkage::Dynamic),
        elf::ET_EXEC => Some(Linkage::Static),
        // A library is ET_DYN without an interpreter too, and lacks the flag.
        elf::ET_DYN if is_position_independent => Some(Linkage::Static),
        _ => None,
    };
    let machine = machine(header.e_machine(endian));
    Ok(linkage.map(|linkage| Program { linkage, machine }))
}

fn is_pie(entry: &elf::Dyn64<Endianness>, endian: Endianness) -> bool {
    entry.d_tag(endian) == elf::DT_FLAGS_1 && entry.d_val(endian) & u64::from(elf::DF_1_PIE) != 0
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

    #[test]
    fn the_machine_is_told() {
        let mut other = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        // e_machine of the header.
        other[18..20].copy_from_slice(&elf::EM_AARCH64.to_le_bytes());
        assert_eq!(examined_bytes(&other).unwrap().machine, Some("aarch64"));
        other[18..20].copy_from_slice(&elf::EM_S390.to_le_bytes());
        assert_eq!(examined_bytes(&other).unwrap().machine, None);
    }
}
