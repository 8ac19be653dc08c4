//! The tables of the top level.

use super::formats;
use super::mount::VOLUME;
use super::secret::SECRET;
use crate::table::{Object, Shape, UnitForm, field};

pub(crate) static STACK: Object = Object {
    what: "a stack file",
    fields: &[
        field(
            "version",
            Shape::Known(&formats::VERSION),
            "The version of the format: 1.",
        ),
        field(
            "name",
            Shape::Known(&formats::NAME),
            "The stack's name; the directory's when left out.",
        ),
        field(
            "description",
            Shape::Known(&formats::LITERAL),
            "Free text for people.",
        ),
        field(
            "settings",
            Shape::Object(&SETTINGS),
            "Defaults for every unit, and what they share.",
        ),
        field(
            "networks",
            Shape::Map(&Shape::Object(&NETWORK)),
            "Networks that services can be on.",
        ),
        field(
            "services",
            Shape::Map(&Shape::Unit(UnitForm::Service)),
            "What runs until told otherwise.",
        ),
        field(
            "tasks",
            Shape::Map(&Shape::Unit(UnitForm::Task)),
            "What runs to completion once.",
        ),
        field(
            "volumes",
            Shape::Map(&Shape::Object(&VOLUME)),
            "What containers keep beyond their own life: `down` leaves it, `down --volumes` removes it.",
        ),
        field(
            "secrets",
            Shape::Map(&Shape::Object(&SECRET)),
            "Values that stand elsewhere: in a file, in the environment, or with a program that prints them. Used as `${secret.NAME}` or `{secret: NAME}` in `env`.",
        ),
    ],
};

pub(crate) static SETTINGS: Object = Object {
    what: "the settings",
    fields: &[
        field(
            "log_level",
            Shape::Word(&["trace", "debug", "info", "warn", "error"]),
            "Without effect in a stack file: one daemon serves many stacks. Set HARNESS_LOG where the daemon is started.",
        ),
        field(
            "health_check_interval",
            Shape::Known(&formats::INTERVAL),
            "The default of `interval` in probes.",
        ),
        field(
            "startup_timeout",
            Shape::Known(&formats::INTERVAL),
            "The default of `startup_timeout` of services.",
        ),
        field(
            "shutdown_timeout",
            Shape::Known(&formats::DURATION),
            "The default of `stop.grace`.",
        ),
        field(
            "inject",
            Shape::Flag,
            "The default of `inject` of services and tasks: whether they are told in their environment of what they need. Default true.",
        ),
        field(
            "log_total",
            Shape::Known(&formats::TOTAL),
            "How much the logs of all units hold together; the oldest output goes first, that of ended attempts before that of living ones.",
        ),
    ],
};

pub(crate) static NETWORK: Object = Object {
    what: "a network",
    fields: &[
        field(
            "type",
            Shape::Word(&["local", "lan", "wireguard"]),
            "What kind of network it is.",
        )
        .required(),
        field(
            "subnet",
            Shape::Known(&formats::SUBNET),
            "Its addresses, such as 10.0.0.0/24; of a local one inside 127.0.0.0/8.",
        ),
        field(
            "config_path",
            Shape::Known(&formats::LITERAL),
            "Of a wireguard network: has no effect, as each host keeps its own key.",
        ),
        field(
            "nodes",
            Shape::List(&Shape::Object(&NODE)),
            "Its hosts, beside those of the services on it; these may carry for others of a mesh.",
        ),
    ],
};

static NODE: Object = Object {
    what: "a node",
    fields: &[
        field(
            "host",
            Shape::Known(&formats::LITERAL),
            "Its name or address in `harness host list`; `local` is this machine.",
        )
        .required(),
        field("name", Shape::Known(&formats::NAME), "Its name."),
        field(
            "ssh_user",
            Shape::Known(&formats::LITERAL),
            "The user to log in as.",
        ),
        field(
            "ssh_key",
            Shape::Known(&formats::LITERAL),
            "The private key.",
        ),
        field(
            "package_deploy",
            Shape::Flag,
            "Has no effect: `harness deploy` brings packages.",
        ),
    ],
};
