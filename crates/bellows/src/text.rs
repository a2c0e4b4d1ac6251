//! How commands lay out what they tell people.

use model::hold::Hold;

use crate::clock::moment;

/// Left-aligned columns, two spaces apart, without blanks at the ends of lines.
pub(crate) fn columns<const N: usize>(
    heads: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> String {
    let lines: Vec<[String; N]> = [heads.map(str::to_owned)].into_iter().chain(rows).collect();
    let widths: [usize; N] = std::array::from_fn(|column| {
        lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0)
    });
    let text = |line: &[String; N]| {
        let cells = line.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}  "));
        format!("{}\n", cells.collect::<String>().trim_end())
    };
    lines.iter().map(text).collect()
}

/// That a number is held: what is `in_force` of it within its bounds, and until when.
pub(crate) fn held(Hold { ready, until, .. }: Hold, in_force: u32) -> String {
    let clamped =
        if in_force == ready { String::new() } else { format!(" ({in_force} within its bounds)") };
    format!("held at {ready}{clamped} until {}", moment(until))
}

/// The phase of an instance, and whether it is to leave.
pub(crate) fn phase(phase: &str, to_be_removed: bool) -> String {
    if to_be_removed { format!("{phase}, to be removed") } else { phase.to_owned() }
}
