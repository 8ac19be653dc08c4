//! How a stream looks: colours, characters, size, time zone.
//!
//! Owns: reading the variables and the terminal for that. `--color` beats `NO_COLOR`, that beats `CLICOLOR_FORCE`, that
//! beats `TERM=dumb`, that beats what the stream is.

use std::ffi::OsString;
use std::io::IsTerminal;

use chrono::{DateTime, FixedOffset, Local, Offset, Utc};
use clap::ValueEnum;

/// When the user wants colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorWish {
    /// On a terminal that has it.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// One of the two streams of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Data.
    Stdout,
    /// Messages.
    Stderr,
}

/// How a stream looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) color: bool,
    /// Whether characters beyond ASCII can be shown.
    pub(crate) unicode: bool,
    pub(crate) is_terminal: bool,
    /// Whether it is a terminal whose cursor can be moved.
    pub(crate) can_move: bool,
    /// Columns; none when nothing limits them.
    pub(crate) width: Option<usize>,
    pub(crate) zone: FixedOffset,
    pub(crate) stream: Stream,
}

/// What a piece of text is, which decides its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Span {
    /// As it should be.
    Good,
    /// On its way.
    Busy,
    /// As it should not be.
    Bad,
    /// Of less weight.
    Dim,
    /// Of more weight.
    Strong,
    /// Belongs to the service of this number.
    Service(usize),
}

impl Look {
    /// How this stream of the process looks.
    pub(crate) fn of(stream: Stream, wish: Option<ColorWish>) -> Self {
        let forced_width = variable("HARNESS_FORCE_TTY").map(|width| width.parse().unwrap_or(80));
        let is_terminal = forced_width.is_some()
            || match stream {
                Stream::Stdout => std::io::stdout().is_terminal(),
                Stream::Stderr => std::io::stderr().is_terminal(),
            };
        let is_dumb = variable("TERM").is_some_and(|term| term == "dumb");
        Self {
            color: has_color(wish, is_terminal && !is_dumb, is_dumb),
            unicode: is_utf8_locale(),
            is_terminal,
            can_move: is_terminal && !is_dumb,
            width: forced_width.or_else(|| Some(size(stream)?.0).filter(|_| is_terminal)),
            zone: Local::now().offset().fix(),
            stream,
        }
    }

    /// Columns and rows of the terminal now; 80 by 24 when it does not say.
    pub(crate) fn size(&self) -> (usize, usize) {
        match variable("HARNESS_FORCE_TTY") {
            Some(width) => (width.parse().unwrap_or(80), 24),
            None => size(self.stream).unwrap_or((80, 24)),
        }
    }

    /// The same for the terminal as wide as it is now.
    pub(crate) fn resized(&self) -> Self {
        Self {
            width: self.width.map(|_| self.size().0),
            ..*self
        }
    }

    /// Text in the colour of what it is.
    pub(crate) fn paint(&self, span: Span, text: &str) -> String {
        if !self.color || text.is_empty() {
            return text.to_owned();
        }
        let code = match span {
            Span::Good => "32",
            Span::Busy => "33",
            Span::Bad => "31",
            Span::Dim => "2",
            Span::Strong => "1",
            Span::Service(number) => SERVICE_COLORS[number % SERVICE_COLORS.len()],
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// The first of these that can be shown.
    pub(crate) fn glyph(&self, unicode: &'static str, ascii: &'static str) -> &'static str {
        if self.unicode { unicode } else { ascii }
    }

    /// The time of day in the user's zone.
    pub(crate) fn clock(&self, time: DateTime<Utc>) -> String {
        time.with_timezone(&self.zone)
            .format("%H:%M:%S%.3f")
            .to_string()
    }

    /// Date and time in the user's zone.
    pub(crate) fn date(&self, time: DateTime<Utc>) -> String {
        time.with_timezone(&self.zone)
            .format("%Y-%m-%d %H:%M:%S")
            .to_string()
    }
}

impl ColorWish {
    /// The wish in the arguments, for those who need it before they are parsed: help and wrong usage have colours too.
    pub(crate) fn from_arguments(arguments: impl Iterator<Item = OsString>) -> Option<Self> {
        let arguments: Vec<String> = arguments
            .map(|argument| argument.to_string_lossy().into_owned())
            .collect();
        let value = arguments.iter().enumerate().find_map(|(at, argument)| {
            match argument.strip_prefix("--color") {
                Some("") => arguments.get(at + 1).cloned(),
                Some(value) => value.strip_prefix('=').map(str::to_owned),
                None => None,
            }
        });
        let value = value.or_else(|| variable("HARNESS_COLOR"))?;
        Self::from_str(&value, true).ok()
    }
}

fn has_color(wish: Option<ColorWish>, can_show: bool, is_dumb: bool) -> bool {
    match wish {
        Some(ColorWish::Always) => return true,
        Some(ColorWish::Never) => return false,
        Some(ColorWish::Auto) | None => {}
    }
    if variable("NO_COLOR").is_some() {
        return false;
    }
    if variable("CLICOLOR_FORCE").is_some_and(|value| value != "0") {
        return true;
    }
    can_show && !is_dumb && variable("CLICOLOR").is_none_or(|value| value != "0")
}

/// Whether the locale's encoding is UTF-8; no locale at all is the C locale, which is not.
fn is_utf8_locale() -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(variable)
        .unwrap_or_default();
    let locale = locale.to_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

/// A variable that is set to something.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn size(stream: Stream) -> Option<(usize, usize)> {
    let size = match stream {
        Stream::Stdout => rustix::termios::tcgetwinsize(std::io::stdout()),
        Stream::Stderr => rustix::termios::tcgetwinsize(std::io::stderr()),
    };
    let size = size.ok()?;
    (size.ws_col > 0 && size.ws_row > 0).then(|| (size.ws_col.into(), size.ws_row.into()))
}

/// Red is left out: it means trouble.
const SERVICE_COLORS: [&str; 10] = ["36", "33", "32", "35", "34", "96", "93", "92", "95", "94"];

#[cfg(test)]
impl Look {
    /// A look that no surroundings change.
    pub(crate) fn plain() -> Self {
        Self {
            color: false,
            unicode: true,
            is_terminal: false,
            can_move: false,
            width: None,
            zone: Utc.fix(),
            stream: Stream::Stdout,
        }
    }
}
