//! The tables of the policies: restart, stop, log.

use super::formats;
use super::target::COMMAND_SHAPE;
use crate::table::{Field, Object, Shape, field};

/// The words of `restart.policy`.
pub(crate) const RESTART_WORDS: &[&str] = &["no", "on-failure", "always", "unless-stopped"];

pub(crate) static RESTART: Object = Object {
    what: "a restart policy",
    fields: RESTART_FIELDS,
};

const RESTART_FIELDS: &[Field] = &[
    field(
        "policy",
        Shape::Word(RESTART_WORDS),
        "After which ends the unit is started again; `on-failure` when left out.",
    ),
    field(
        "max_retries",
        Shape::Known(&formats::COUNT),
        "How many restarts in a row, for `on-failure`; without end when left out.",
    ),
    field(
        "backoff",
        Shape::Object(&BACKOFF),
        "How long to wait between automatic restarts.",
    ),
    field(
        "crash_loop",
        Shape::Object(&CRASH_LOOP),
        "When restarting is called a crash loop.",
    ),
];

pub(crate) static BACKOFF: Object = Object {
    what: "a backoff",
    fields: &[
        field(
            "initial",
            Shape::Known(&formats::DURATION),
            "The first wait. Default 100ms.",
        ),
        field(
            "factor",
            Shape::Known(&formats::POSITIVE),
            "What each wait is multiplied by. Default 2.",
        ),
        field(
            "max",
            Shape::Known(&formats::DURATION),
            "The longest wait. Default 30s.",
        ),
        field(
            "jitter",
            Shape::Known(&formats::PERCENT),
            "How much of each wait is random, in percent. Default 50.",
        ),
        field(
            "reset_after",
            Shape::Known(&formats::DURATION),
            "Ready for this long, the unit counts anew. Default 10s.",
        ),
    ],
};

pub(crate) static CRASH_LOOP: Object = Object {
    what: "a crash loop",
    fields: &[
        field(
            "limit",
            Shape::Known(&formats::POSITIVE),
            "Restarts within the window that are still no loop. Default 5.",
        ),
        field(
            "window",
            Shape::Known(&formats::INTERVAL),
            "The window. Default 60s.",
        ),
        field(
            "retry_every",
            Shape::Either(&[Shape::Word(&["never"]), Shape::Known(&formats::INTERVAL)]),
            "How often a looping unit is tried again, or `never`. Default 60s.",
        ),
    ],
};

pub(crate) static STOP: Object = Object {
    what: "a stop policy",
    fields: &[
        field(
            "signal",
            Shape::Known(&formats::SIGNAL),
            "The signal that asks it to end: a name or a number. Default TERM.",
        ),
        field(
            "grace",
            Shape::Known(&formats::DURATION),
            "How long it may take before it is ended by force. Default 10s.",
        ),
        field(
            "command",
            COMMAND_SHAPE,
            "Run instead of sending the signal.",
        ),
        field(
            "scope",
            Shape::Word(&["main", "group"]),
            "Whether the signal goes to the main process or to all of them.",
        ),
    ],
};

pub(crate) static LOG: Object = Object {
    what: "log settings",
    fields: &[
        field(
            "mode",
            Shape::Word(&["capture", "file"]),
            "Captured with times and streams, or handed over as a plain file. Default capture.",
        ),
        field(
            "max_size",
            Shape::Known(&formats::SIZE),
            "The size of one segment. Default 10MiB.",
        ),
        field(
            "max_files",
            Shape::Known(&formats::POSITIVE),
            "How many segments are kept. Default 5.",
        ),
        field(
            "on_full",
            Shape::Word(&["block", "drop"]),
            "What happens when the disk is full. Default drop, with a record of it.",
        ),
    ],
};
