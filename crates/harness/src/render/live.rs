//! The live view of a stack on a terminal: one line for each unit, drawn again and again.
//!
//! Owns: the cursor, while it paints. Nothing is wider or higher than the terminal; what has no room is counted.

use chrono::{DateTime, Utc};
use harness_core::report::UnitStatus;

use super::ages::{duration, since};
use super::escape::escaped;
use super::look::{Look, Span};
use super::out::note;
use super::progress::span;
use super::timers::Timers;
use super::width::{clipped, columns, padded};

/// What a view shows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block<'a> {
    /// What is going on: `Starting webapp`.
    pub(crate) title: &'a str,
    pub(crate) units: &'a [&'a UnitStatus],
    /// Whether a unit has come as far as is waited for.
    pub(crate) is_done: fn(&UnitStatus) -> bool,
    /// What the last line says.
    pub(crate) foot: &'a str,
    /// When it began.
    pub(crate) begun: DateTime<Utc>,
    pub(crate) timers: &'a Timers,
    pub(crate) now: DateTime<Utc>,
    /// Which picture of the moving sign is shown.
    pub(crate) beat: usize,
}

/// The lines of a view, none wider than `size.0`, no more than `size.1 - 1`.
pub(crate) fn block(look: &Look, view: &Block<'_>, size: (usize, usize)) -> Vec<String> {
    let (width, height) = size;
    let done = view
        .units
        .iter()
        .filter(|unit| (view.is_done)(unit))
        .count();
    let count = format!("{done}/{}", view.units.len());
    let head = format!(
        "[{}] {}  {count}",
        if done == view.units.len() { "+" } else { "." },
        view.title
    );
    let mut lines = vec![right_aligned(
        look,
        &head,
        None,
        &duration(since(view.begun, view.now)),
        width,
    )];
    // The cursor stands below the last line.
    let room = height.saturating_sub(1 + lines.len()).max(1);
    let shown = most_telling(view, room);
    let name_width = view
        .units
        .iter()
        .map(|unit| columns(&unit.name))
        .max()
        .unwrap_or_default()
        .min(24);
    for unit in &shown {
        lines.push(unit_line(look, view, unit, name_width, width));
    }
    let hidden = view.units.len() - shown.len();
    if hidden > 0 {
        lines.push(clipped(&format!(" ... {hidden} more"), width, look.unicode));
    }
    if !view.foot.is_empty() && lines.len() + 1 < height {
        lines.push(look.paint(Span::Dim, &clipped(view.foot, width, look.unicode)));
    }
    lines
}

/// As many units as there is room for, in their order; those that are not done go first where not all have room.
fn most_telling<'a>(view: &Block<'a>, room: usize) -> Vec<&'a UnitStatus> {
    if view.units.len() <= room {
        return view.units.to_vec();
    }
    let room = room.saturating_sub(1).max(1);
    let mut ranked: Vec<(bool, usize)> = view
        .units
        .iter()
        .enumerate()
        .map(|(at, unit)| ((view.is_done)(unit), at))
        .collect();
    ranked.sort_unstable();
    let mut kept: Vec<usize> = ranked.into_iter().take(room).map(|(_, at)| at).collect();
    kept.sort_unstable();
    kept.into_iter().map(|at| view.units[at]).collect()
}

fn unit_line(
    look: &Look,
    view: &Block<'_>,
    unit: &UnitStatus,
    name_width: usize,
    width: usize,
) -> String {
    let is_done = (view.is_done)(unit);
    let state_span = match span(&unit.state) {
        _ if is_done => Span::Good,
        // Good in itself, but not what is waited for: it stands still, or is about to move.
        Span::Good if !unit.waiting_for.is_empty() => Span::Dim,
        Span::Good => Span::Busy,
        other => other,
    };
    let mark = match state_span {
        Span::Good => look.glyph("✔", "+"),
        Span::Bad => look.glyph("✘", "x"),
        Span::Dim => look.glyph("◌", "."),
        Span::Busy | Span::Strong | Span::Service(_) => {
            let pictures = if look.unicode { BEATS } else { ASCII_BEATS };
            pictures[view.beat % pictures.len()]
        }
    };
    let what = detail(unit);
    let name = padded(&clipped(&unit.name, name_width, look.unicode), name_width);
    let text = format!(
        " {mark} {name}  {:<10}  {}",
        unit.state,
        escaped(what.as_bytes())
    );
    let timer = view.timers.of(unit, view.begun, view.now);
    let timer = timer.map(duration).unwrap_or_default();
    right_aligned(look, text.trim_end(), Some(state_span), &timer, width)
}

/// What is to be said about a unit beside its state.
fn detail(unit: &UnitStatus) -> String {
    if let Some(waits) = unit.waiting_for.first() {
        return waits.reason.clone();
    }
    let reason = unit.reason.as_ref().or(unit.health_reason.as_ref());
    let ending =
        || super::status::ending(unit).filter(|_| unit.pid.is_none() && unit.stopped_at.is_some());
    reason
        .cloned()
        .or_else(|| unit.address.clone())
        .or_else(ending)
        .unwrap_or_default()
}

fn right_aligned(
    look: &Look,
    left: &str,
    left_span: Option<Span>,
    right: &str,
    width: usize,
) -> String {
    let gap = usize::from(!right.is_empty());
    let room = width.saturating_sub(columns(right) + gap);
    if room < MIN_LEFT {
        return clipped(left, width, look.unicode);
    }
    let left = clipped(left, room, look.unicode);
    let fill = " ".repeat(width.saturating_sub(columns(&left) + columns(right)));
    let left = left_span.map_or_else(
        || look.paint(Span::Strong, &left),
        |span| look.paint(span, &left),
    );
    format!("{left}{fill}{right}").trim_end().to_owned()
}

/// Paints views over each other. Dropping it leaves the last one and gives the cursor back.
#[derive(Debug)]
pub(crate) struct Painter {
    look: Look,
    painted: usize,
}

impl Painter {
    pub(crate) fn new(look: Look) -> Self {
        Self { look, painted: 0 }
    }

    /// Columns and rows that there are now.
    pub(crate) fn size(&self) -> (usize, usize) {
        self.look.size()
    }

    /// Whether anything was painted yet.
    pub(crate) fn has_painted(&self) -> bool {
        self.painted > 0
    }

    /// Paints these lines over those before.
    pub(crate) fn paint(&mut self, lines: &[String]) {
        let mut text = String::from(if self.painted == 0 { "\x1b[?25l" } else { "" });
        if self.painted > 0 {
            text += &format!("\x1b[{}A\r\x1b[J", self.painted);
        }
        for line in lines {
            text += line;
            text += "\r\n";
        }
        note(&text);
        self.painted = lines.len();
    }
}

impl Drop for Painter {
    fn drop(&mut self) {
        if self.painted > 0 {
            note("\x1b[?25h");
        }
    }
}

const BEATS: &[&str] = &["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const ASCII_BEATS: &[&str] = &["|", "/", "-", "\\"];
/// With less, the timer goes instead.
const MIN_LEFT: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::sample;

    fn lines(look: &Look, size: (usize, usize)) -> Vec<String> {
        let status = sample::stack();
        let units: Vec<&UnitStatus> = status.items.iter().collect();
        let view = Block {
            title: "Starting webapp",
            units: &units,
            is_done: |unit| unit.ready,
            foot: "Ctrl-C detaches; the daemon keeps working.",
            begun: sample::ago(6),
            timers: &Timers::default(),
            now: sample::now(),
            beat: 4,
        };
        block(look, &view, size)
    }

    #[test]
    fn each_unit_has_its_line() {
        insta::assert_snapshot!(lines(&Look::plain(), (80, 24)).join("\n"));
        let ascii = lines(
            &Look {
                unicode: false,
                ..Look::plain()
            },
            (80, 24),
        )
        .join("\n");
        assert!(ascii.is_ascii(), "{ascii}");
    }

    #[test]
    fn a_view_fits_every_terminal() {
        for size in [(80, 24), (40, 10), (200, 50), (20, 5), (10, 3), (1, 1)] {
            let lines = lines(&Look::plain(), size);
            assert!(lines.len() <= size.1.max(3), "{size:?}: {lines:#?}");
            assert!(
                lines.iter().all(|line| columns(line) <= size.0),
                "{size:?}: {lines:#?}"
            );
        }
    }

    #[test]
    fn what_has_no_room_is_counted() {
        insta::assert_snapshot!(lines(&Look::plain(), (60, 5)).join("\n"));
    }
}
