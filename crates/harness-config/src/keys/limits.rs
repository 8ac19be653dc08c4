//! The tables of what a container may use.

use super::container::later;
use super::formats;
use crate::table::{Field, Object, Shape, field};

const MEMORY: Field = field(
    "memory",
    Shape::Known(&formats::MEMORY),
    "Memory, such as 512MiB; beyond it the kernel ends it.",
);

const CPUS: Field = field(
    "cpus",
    Shape::Known(&formats::CPUS),
    "Processors: `0.5`, `2`.",
);

const PIDS: Field = field(
    "pids",
    Shape::Known(&formats::POSITIVE),
    "Processes and threads.",
);

pub(crate) static LIMITS: Object = Object {
    what: "limits",
    fields: &[
        MEMORY,
        CPUS,
        PIDS,
        field(
            "ulimits",
            ULIMITS,
            "Limits of its processes: `nofile: 65536`, or `{soft, hard}`; -1 is none.",
        ),
    ],
};

pub(super) const ULIMITS: Shape = Shape::Map(&ULIMIT_VALUE);

static ULIMIT_VALUE: Shape =
    Shape::Either(&[Shape::Known(&formats::ULIMIT), Shape::Object(&ULIMIT)]);

pub(crate) static ULIMIT: Object = Object {
    what: "a limit",
    fields: &[
        field("soft", Shape::Known(&formats::ULIMIT), "What it has.").required(),
        field(
            "hard",
            Shape::Known(&formats::ULIMIT),
            "How far it may raise it itself.",
        )
        .required(),
    ],
};

pub(crate) static DEPLOY: Object = Object {
    what: "`deploy`",
    fields: &[
        field("resources", Shape::Object(&RESOURCES), "What it may use."),
        later("mode", "leave it out: only a swarm acts on it"),
        later("replicas", "write a second service"),
        later("placement", "leave it out: only a swarm acts on it"),
        later("restart_policy", "use `restart`"),
        later("update_config", "leave it out: only a swarm acts on it"),
        later("rollback_config", "leave it out: only a swarm acts on it"),
        later("endpoint_mode", "leave it out: only a swarm acts on it"),
        later("labels", "use `labels`"),
    ],
};

pub(crate) static RESOURCES: Object = Object {
    what: "the resources",
    fields: &[
        field("limits", Shape::Object(&DEPLOY_LIMITS), "At most."),
        later("reservations", "nothing is set aside for it"),
    ],
};

pub(crate) static DEPLOY_LIMITS: Object = Object {
    what: "the limits",
    fields: &[MEMORY, CPUS, PIDS],
};

/// A device in the long form.
pub(crate) static DEVICE: Object = Object {
    what: "a device",
    fields: &[
        field("source", Shape::Known(&formats::DEVICE_PATH), "Which.").required(),
        field(
            "target",
            Shape::Known(&formats::DEVICE_PATH),
            "Where it is seen inside; the same when left out.",
        ),
        field(
            "permissions",
            Shape::Known(&formats::PERMISSIONS),
            "`r`, `w` and `m` for reading, writing and making. Default rwm.",
        ),
    ],
};
