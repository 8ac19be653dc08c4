//! Columns of text.
//!
//! Owns: their widths. What does not fit loses its least important columns, then the end of its longest cells.

use super::look::{Look, Span};
use super::width::{clipped, columns, padded};

/// A column's heading and how soon it may go: the highest number goes first, 0 never.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    pub(crate) heading: &'static str,
    pub(crate) expendable: u8,
}

/// A column of this heading.
pub(crate) const fn column(heading: &'static str, expendable: u8) -> Column {
    Column {
        heading,
        expendable,
    }
}

/// A cell and what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) text: String,
    pub(crate) span: Option<Span>,
}

impl Cell {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            span: None,
        }
    }

    pub(crate) fn painted(text: impl Into<String>, span: Span) -> Self {
        Self {
            text: text.into(),
            span: Some(span),
        }
    }
}

/// The table as lines. Columns in which no row says anything are left out.
pub(crate) fn table(look: &Look, head: &[Column], rows: &[Vec<Cell>]) -> Vec<String> {
    let says_something =
        |at: usize| head[at].expendable == 0 || rows.iter().any(|row| row[at].text != NOTHING);
    let mut shown: Vec<usize> = (0..head.len()).filter(|at| says_something(*at)).collect();
    let width_of = |at: usize| {
        let cells = rows.iter().map(|row| columns(&row[at].text));
        cells
            .chain([head[at].heading.len()])
            .max()
            .unwrap_or_default()
    };
    let total = |shown: &[usize]| {
        shown
            .iter()
            .map(|at| width_of(*at) + GAP)
            .sum::<usize>()
            .saturating_sub(GAP)
    };
    let limit = look.width.unwrap_or(usize::MAX);
    while total(&shown) > limit {
        let expendable = shown.iter().copied().filter(|at| head[*at].expendable > 0);
        let Some(first) = expendable.max_by_key(|at| head[*at].expendable) else {
            break;
        };
        shown.retain(|at| *at != first);
    }
    let mut widths: Vec<usize> = shown.iter().map(|at| width_of(*at)).collect();
    while widths
        .iter()
        .map(|width| width + GAP)
        .sum::<usize>()
        .saturating_sub(GAP)
        > limit
    {
        let Some(widest) = widths.iter_mut().max().filter(|width| **width > MIN_WIDTH) else {
            break;
        };
        *widest -= 1;
    }
    let heading: Vec<Cell> = head
        .iter()
        .map(|column| Cell::painted(column.heading, Span::Strong))
        .collect();
    let lines = std::iter::once(&heading).chain(rows);
    lines
        .map(|row| line(look, row, &shown, &widths, limit))
        .collect()
}

fn line(look: &Look, row: &[Cell], shown: &[usize], widths: &[usize], limit: usize) -> String {
    let mut text = String::new();
    let mut used = 0;
    for (position, (at, width)) in shown.iter().zip(widths).enumerate() {
        let width = (*width).min(limit.saturating_sub(used));
        let cell = &row[*at];
        let clip = clipped(&cell.text, width, look.unicode);
        let is_last = position + 1 == shown.len();
        let fill = if is_last {
            0
        } else {
            (width + GAP).min(limit.saturating_sub(used))
        };
        let rest = padded("", fill.saturating_sub(columns(&clip)));
        text += &cell
            .span
            .map_or_else(|| clip.clone(), |span| look.paint(span, &clip));
        text += &rest;
        used += fill;
    }
    text.trim_end().to_owned()
}

/// What an empty cell shows.
pub(crate) const NOTHING: &str = "-";
const GAP: usize = 2;
/// A narrower cell says nothing any more.
const MIN_WIDTH: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let head = ["NAME", "STATE", "ADDRESS"].map(|heading| Column {
            heading,
            expendable: 0,
        });
        let mut head = head.to_vec();
        head[2].expendable = 1;
        let row = ["a-rather-long-name", "ready", "127.0.0.1:5432"].map(Cell::new);
        for width in 1..60 {
            let look = Look {
                width: Some(width),
                ..Look::plain()
            };
            for line in table(&look, &head, &[row.to_vec()]) {
                assert!(columns(&line) <= width, "{width}: {line:?}");
            }
        }
    }
}
