//! Room on the disk, as it is told.

/// The bytes of one.
const MIB: f64 = (1 << 20) as f64;

/// From so many on, tenths say nothing.
const WHOLE_FROM: f64 = 100.0;

/// Bytes in MiB.
#[expect(clippy::cast_precision_loss, reason = "of 2^53 bytes, 8 PiB, tenths of a MiB are exact")]
pub(crate) fn told(bytes: u64) -> String {
    let mib = bytes as f64 / MIB;
    if mib < WHOLE_FROM { format!("{mib:.1} MiB") } else { format!("{mib:.0} MiB") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_told_with_tenths_where_they_say_something() {
        let told = [0, 12_288, 1 << 20, 15 << 19, 250 << 20].map(told);
        assert_eq!(told, ["0.0 MiB", "0.0 MiB", "1.0 MiB", "7.5 MiB", "250 MiB"]);
    }
}
