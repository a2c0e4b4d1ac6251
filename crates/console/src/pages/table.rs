//! Figures in the cells of tables.

use explain::words::figure;

use crate::series::figure::Figure;

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
