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

/// How many answers of a second were of each class.
pub(super) fn classes(second: Option<&Row>) -> String {
    // Without one answer nothing is known: the pipe may not be there.
    let known = second.filter(|row| row.point.answers.within_ms(500).is_some());
    let Some(row) = known else { return UNKNOWN.to_owned() };
    let classes = [Class::Success, Class::Redirection, Class::ClientError, Class::ServerError];
    classes.map(|class| row.point.answers.of(class).to_string()).join(" / ")
}
