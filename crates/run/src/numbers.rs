//! How numbers and moments are written for people.

/// A number with as many digits as it deserves: three significant ones, all those of a whole
/// number, and thousands apart.
pub fn number(value: f64) -> String {
    let size = value.abs();
    let digits = match size {
        _ if (value - value.round()).abs() < 1e-9 || size >= 100.0 => 0,
        _ if size >= 10.0 => 1,
        _ if size >= 0.995 => 2,
        _ => 3,
    };
    let text = format!("{value:.digits$}");
    let (sign, text) =
        text.strip_prefix('-').map_or(("", text.as_str()), |rest| ("\u{2212}", rest));
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    format!("{sign}{}{rest}", thousands(whole))
}

/// The same with a sign in any case.
pub fn signed(value: f64) -> String {
    let number = number(value);
    if value > 0.0 { format!("+{number}") } else { number }
}

/// A number and its unit.
pub fn with_unit(value: Option<f64>, unit: &str) -> String {
    let Some(value) = value else { return "not known".to_owned() };
    let is_close = unit.is_empty() || unit.starts_with(['%', '×', '/']);
    let space = if is_close { "" } else { "\u{a0}" };
    format!("{}{space}{unit}", number(value))
}

/// A moment, in milliseconds since 1970, in UTC.
pub fn moment(ms: u64) -> String {
    let at = i64::try_from(ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    at.map_or_else(|| format!("{ms} ms after 1970"), |at| at.strftime("%F %T UTC").to_string())
}

/// Groups of three digits, with a narrow space that does not break between them.
fn thousands(whole: &str) -> String {
    let mut text = String::with_capacity(whole.len() + whole.len());
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_digits_they_deserve() {
        let values = [0.0, 12_477.0, 1_234_567.8, 516.79, 71.79, 1.952, 0.0768, -3.5, -12_000.0];
        assert_eq!(
            values.map(number).join(" "),
            "0 12\u{202f}477 1\u{202f}234\u{202f}568 517 71.8 1.95 0.077 \u{2212}3.50 \u{2212}12\u{202f}000"
        );
        assert_eq!([2.0, -2.0, 0.0].map(signed).join(" "), "+2 \u{2212}2 0");
    }

    #[test]
    fn units_stay_with_their_number() {
        assert_eq!(with_unit(Some(20.0), "ms"), "20\u{a0}ms");
        assert_eq!(with_unit(Some(0.5), "%"), "0.500%");
        assert_eq!(with_unit(None, "ms"), "not known");
    }
}
