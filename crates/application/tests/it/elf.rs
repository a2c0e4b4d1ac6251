//! Programs of the least size that the kernel's format has.

/// For whom a program is, as the header of ELF says it.
pub(crate) const HERE: u16 = if cfg!(target_arch = "aarch64") { AARCH64 } else { X86_64 };
pub(crate) const X86_64: u16 = 62;
pub(crate) const AARCH64: u16 = 183;
pub(crate) const S390: u16 = 22;

/// Executable at a fixed place.
const ET_EXEC: u16 = 2;
const PT_LOAD: u32 = 1;
const PT_INTERP: u32 = 3;

/// A static program for a machine.
pub(crate) fn static_program(machine: u16) -> Vec<u8> {
    program(machine, PT_LOAD)
}

/// One that needs libraries, for this machine.
pub(crate) fn dynamic_program() -> Vec<u8> {
    program(HERE, PT_INTERP)
}

/// The header, and one segment of this kind, which is all of the file.
fn program(machine: u16, segment: u32) -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(16, 0);
    let half = |bytes: &mut Vec<u8>, value: u16| bytes.extend(value.to_le_bytes());
    let word = |bytes: &mut Vec<u8>, value: u32| bytes.extend(value.to_le_bytes());
    let long = |bytes: &mut Vec<u8>, value: u64| bytes.extend(value.to_le_bytes());
    half(&mut bytes, ET_EXEC);
    half(&mut bytes, machine);
    word(&mut bytes, 1);
    // Where it begins, where its segments are told, and where its sections are.
    [0, 64, 0].into_iter().for_each(|value| long(&mut bytes, value));
    word(&mut bytes, 0);
    // The sizes of this header and of a segment's, and how many there are of these; no sections.
    [64, 56, 1, 0, 0, 0].into_iter().for_each(|value| half(&mut bytes, value));
    word(&mut bytes, segment);
    word(&mut bytes, 5);
    // Where it is in the file and in memory, and its size in both.
    [0, 0, 0, 120, 120, 1].into_iter().for_each(|value| long(&mut bytes, value));
    bytes
}
