//! Everything that is drawn: tables, pages, progress, reports, log lines.
//!
//! Owns: the terminal. Functions from values to text, which snapshots show; only `out` and `live` write. Never asks the
//! daemon anything, and never decides what a state means.

mod access;
mod ages;
mod escape;
mod events;
mod graph;
mod hosts;
mod live;
mod logs;
mod look;
mod mesh;
mod net;
mod out;
mod packages;
mod page;
mod progress;
mod registry;
mod report;
#[cfg(test)]
pub(crate) mod sample;
mod screen;
mod stacks;
mod status;
mod table;
mod timers;
mod why;
mod width;

pub(crate) use access::{audit_line, audit_verdict, client_tables};
pub(crate) use escape::escaped;
pub(crate) use events::{event_line, json_line};
pub(crate) use graph::Graph;
pub(crate) use hosts::{host_page, host_table};
pub(crate) use live::{Block, Painter, block};
pub(crate) use logs::{LogPrinter, gap_text};
pub(crate) use look::{ColorWish, Look, Span, Stream};
pub(crate) use mesh::{mesh_tables, rotation_lines};
pub(crate) use net::{net_map, net_page};
pub(crate) use out::{note, note_bytes, print, print_bytes, reader_gone};
pub(crate) use packages::{package_lines, package_page, package_table, push_line, setup_report};
pub(crate) use page::status_page;
pub(crate) use progress::{Progress, Tracker, transition_line};
pub(crate) use registry::{registry_line, registry_table};
pub(crate) use report::{Place, Report, failure_report, stop_lines};
pub(crate) use screen::screen;
pub(crate) use stacks::{daemon_page, stack_table};
pub(crate) use status::{Detail, status_table};
pub(crate) use timers::Timers;
pub(crate) use why::{sentence, why_tree};
