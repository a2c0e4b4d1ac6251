//! Rows in columns, of which the least important go first where there is no room.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

/// Blanks between two columns.
const GAP: usize = 2;

/// A table: its columns in their places, and which of them matter most.
#[derive(Debug)]
pub(super) struct Table<const N: usize> {
    pub(super) heads: [&'static str; N],
    /// The places of the columns, the most important one first. That one is never left out.
    pub(super) order: [usize; N],
    pub(super) rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    /// The heading and the rows in so many columns of the terminal. `style` is that of a cell by its row and place.
    pub(super) fn lines(
        &self,
        width: usize,
        style: impl Fn(usize, usize) -> Style,
    ) -> (Line<'static>, Vec<Line<'static>>) {
        let widths = self.widths();
        let kept = self.kept(widths, width);
        let cells = |cells: &[&str; N], style: &dyn Fn(usize) -> Style| {
            let kept = (0..N).filter(|place| kept[*place]);
            let span = kept.map(|place| {
                let (text, column) = (cells[place], widths[place] + GAP);
                Span::styled(format!("{text:<column$}"), style(place))
            });
            Line::from(span.collect::<Vec<_>>())
        };
        let heading = cells(&self.heads, &|_| Style::new());
        let row = |(index, row): (usize, &[String; N])| {
            cells(&row.each_ref().map(String::as_str), &|place| style(index, place))
        };
        (heading, self.rows.iter().enumerate().map(row).collect())
    }

    fn widths(&self) -> [usize; N] {
        std::array::from_fn(|place| {
            let cells = self.rows.iter().map(|row| row[place].chars().count());
            cells.chain([self.heads[place].len()]).max().unwrap_or(0)
        })
    }

    /// Which columns fit, by their importance.
    fn kept(&self, widths: [usize; N], width: usize) -> [bool; N] {
        let mut kept = [false; N];
        let mut taken = 0;
        for (rank, place) in self.order.into_iter().enumerate() {
            let needs = if rank == 0 { widths[place] } else { taken + GAP + widths[place] };
            if rank == 0 || needs <= width {
                kept[place] = true;
                taken = needs;
            }
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_important_columns_go_first_and_the_first_one_stays() {
        let rows = vec![["shop", "well", "12"].map(str::to_owned)];
        let table = Table { heads: ["NAME", "HEALTH", "CPU"], order: [0, 2, 1], rows };
        let shown = |width| {
            let (heading, rows) = table.lines(width, |_, _| Style::new());
            [heading.to_string(), rows[0].to_string()].map(|line| line.trim_end().to_owned())
        };
        assert_eq!(shown(17), ["NAME  HEALTH  CPU", "shop  well    12"]);
        assert_eq!(shown(16), ["NAME  CPU", "shop  12"]);
        assert_eq!(shown(8), ["NAME", "shop"]);
        assert_eq!(shown(1), ["NAME", "shop"], "it is cut where it is drawn");
    }
}
