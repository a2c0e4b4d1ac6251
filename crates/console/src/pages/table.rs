//! Figures in the cells of tables.

use explain::words::{figure, mib};
use host::answer_pipe::Class;

use crate::series::figure::Figure;
use crate::series::point::Row;

/// Where nothing is known.
pub(super) const UNKNOWN: &str = "–";

/// The mean of a figure.
pub(super) fn mean(figure_of: Option<Figure>) -> String {
    known(figure_of.and_then(Figure::mean))
}

/// A figure, if it is known.
pub(super) fn known(value: Option<f64>) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), figure)
}

/// The memory that an instance needs, if it is known.
pub(super) fn memory(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| UNKNOWN.to_owned(), mib)
}

/// Within how many ms so many thousandths of the answers of a second began.
pub(super) fn within(second: Option<&Row>, thousandths: u64) -> String {
    let within = second.and_then(|row| row.point.answers.within_ms(thousandths));
    within.map_or_else(|| UNKNOWN.to_owned(), |ms| ms.to_string())
}

/// Which share of the answers of a second was of a class, in percent; one that is not nothing or all never looks so.
pub(super) fn share(second: Option<&Row>, class: Class) -> String {
    let all: u64 = CLASSES.iter().filter_map(|class| Some(second?.point.answers.of(*class))).sum();
    let Some(row) = second.filter(|_| all > 0) else { return UNKNOWN.to_owned() };
    match row.point.answers.of(class) {
        0 => "0".to_owned(),
        own if own == all => "100".to_owned(),
        own => {
            let thousandths = ((own * 1000 + all / 2) / all).clamp(1, 999);
            format!("{}.{}", thousandths / 10, thousandths % 10)
        }
    }
}

const CLASSES: [Class; 4] =
    [Class::Success, Class::Redirection, Class::ClientError, Class::ServerError];

/// How many answers of a second were of each class.
pub(super) fn classes(second: Option<&Row>) -> String {
    // Without one answer nothing is known: the pipe may not be there.
    let known = second.filter(|row| row.point.answers.within_ms(500).is_some());
    let Some(row) = known else { return UNKNOWN.to_owned() };
    CLASSES.map(|class| row.point.answers.of(class).to_string()).join(" / ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::point::ServicePoint;

    #[test]
    fn a_share_that_is_not_nothing_and_not_all_never_looks_so() {
        let shares = |numbers: [u32; 4]| {
            let mut point = ServicePoint::default();
            for (class, number) in CLASSES.into_iter().zip(numbers) {
                (0..number).for_each(|_| point.answers.add(class, 5));
            }
            let service = "shop".parse().unwrap();
            let row = Row { service, second: 0, point, instances: vec![] };
            CLASSES.map(|class| share(Some(&row), class))
        };
        assert_eq!(shares([9_999, 0, 0, 1]), ["99.9", "0", "0", "0.1"]);
        assert_eq!(shares([3, 1, 0, 0]), ["75.0", "25.0", "0", "0"]);
        assert_eq!(shares([7, 0, 0, 0]), ["100", "0", "0", "0"]);
        assert_eq!(shares([0, 0, 0, 0]), [UNKNOWN; 4]);
        assert_eq!(share(None, Class::Success), UNKNOWN);
    }
}
