//! The tables of services and tasks, without their targets.

use super::container::later;
use super::formats;
use super::policy::{LOG, RESTART, STOP};
use super::probe::PROBE;
use super::target::ENV_FILE;
use crate::table::{Field, Object, Shape, field};

/// What services and tasks share.
pub(crate) static COMMON: &[Field] = &[
    field(
        "name",
        Shape::Known(&formats::LITERAL),
        "Free text for people; the key is the identity.",
    ),
    field(
        "description",
        Shape::Known(&formats::LITERAL),
        "Free text for people.",
    ),
    field(
        "network",
        Shape::Known(&formats::LITERAL),
        "The network it is on; `local` when left out.",
    ),
    field(
        "networks",
        Shape::Either(&[
            Shape::List(&Shape::Known(&formats::LITERAL)),
            Shape::Map(&Shape::Object(&MEMBER)),
        ]),
        "The network it is on, as a list of one, or a mapping with its `aliases` there; `default` is the stack's own.",
    ),
    field(
        "env_file",
        Shape::Either(&[
            Shape::Known(&formats::LITERAL),
            Shape::List(&Shape::Either(&[
                Shape::Known(&formats::LITERAL),
                Shape::Object(&ENV_FILE),
            ])),
        ]),
        "Files of `NAME=value` lines; `env` wins over them, and later ones over earlier ones.",
    ),
    field(
        "inject",
        Shape::Flag,
        "Whether it is told in its environment of what it needs (`DB_HOST`, `DB_PORT`, …) and who it is (`HARNESS_SERVICE`, …). Default that of `settings`, else true.",
    ),
    field(
        "dependencies",
        Shape::Either(&[
            Shape::List(&Shape::Either(&[
                Shape::Known(&formats::LITERAL),
                Shape::Object(&DEPENDENCY_ITEM),
            ])),
            Shape::Map(&Shape::Object(&DEPENDENCY)),
        ]),
        "What it needs: names, `service:` or `task:` entries, or a mapping with conditions.",
    )
    .or(&["depends_on"]),
    field(
        "optional_deps",
        Shape::List(&Shape::Known(&formats::LITERAL)),
        "What it waits for, but starts without when that cannot be had.",
    ),
    field("log", Shape::Object(&LOG), "What happens to its output."),
    field(
        "profiles",
        Shape::List(&Shape::Known(&formats::NAME)),
        "Only started when one of these is active, or when something that is started needs it.",
    ),
    field(
        "labels",
        Shape::Either(&[
            Shape::Map(&Shape::Known(&formats::LITERAL)),
            Shape::List(&Shape::Known(&formats::LITERAL)),
        ]),
        "Free text for tools: a mapping, or a list of `name=value`.",
    ),
    field("stop", Shape::Object(&STOP), "How it is asked to end."),
    field(
        "stop_signal",
        Shape::Known(&formats::SIGNAL),
        "Compose's form of `stop.signal`.",
    ),
    field(
        "stop_grace_period",
        Shape::Known(&formats::DURATION),
        "Compose's form of `stop.grace`.",
    ),
    field(
        "limits",
        Shape::NotBuilt(
            "start the program through `prlimit` or `systemd-run` until limits are built",
        ),
        "Limits of its resources.",
    ),
    field(
        "hooks",
        Shape::NotBuilt("make it a task that the service depends on"),
        "Commands around its life.",
    ),
];

/// A network that a unit is on.
pub(crate) static MEMBER: Object = Object {
    what: "the place on a network",
    fields: &[
        field(
            "aliases",
            Shape::List(&Shape::Known(&formats::HOSTNAME)),
            "Of a container: names beside its own by which others there reach it.",
        ),
        later("ipv4_address", "the engine chooses the address"),
        later("ipv6_address", "the engine chooses the address"),
        later("link_local_ips", "the engine chooses the address"),
        later("mac_address", "the engine chooses the address"),
        later("interface_name", "the engine chooses the name"),
        later("driver_opts", "they are for a network of its own"),
        later("gw_priority", "it is on one network"),
        later("priority", "it is on one network"),
    ],
};

/// What only services have.
pub(crate) static SERVICE: &[Field] = &[
    field("service_type", Shape::Known(&formats::LITERAL), "The registered implementation that it is linked to."),
    field("health_check", Shape::Object(&PROBE), "Whether it is ready and healthy: gates what depends on it.").or(&["healthcheck", "readiness"]),
    field("liveness", Shape::Object(&PROBE), "Restarts it by policy when it fails."),
    field("startup", Shape::Object(&PROBE), "Holds the other probes back until it has succeeded once."),
    field("on_unhealthy", Shape::Word(&["none", "restart"]), "What a failing health check does beyond setting health. Default none."),
    field(
        "restart",
        Shape::Either(&[Shape::Known(&formats::RESTART), Shape::Object(&RESTART)]),
        "When it is started again: `no`, `on-failure[:n]`, `always`, `unless-stopped`, or a mapping. Default on-failure.",
    )
    .or(&["restart_policy"]),
    field("startup_timeout", Shape::Known(&formats::INTERVAL), "Ready within this time of its launch, or it has failed."),
    field("shutdown_timeout", Shape::Known(&formats::DURATION), "Another spelling of `stop.grace`."),
    field("replicas", Shape::Known(&formats::REPLICAS), "How many instances; only 1 yet.").unlisted(),
    field("priority", Shape::NotBuilt("order comes from dependencies"), "Its rank."),
    field("category", Shape::NotBuilt("use `labels`"), "Its group."),
    field("watch", Shape::NotBuilt("restart it with `harness restart`"), "Restarts it when files change."),
    field("mqtt", Shape::NotBuilt("subscribe to `harness events`"), "Its events on a broker."),
];

/// What only tasks have.
pub(crate) static TASK: &[Field] = &[
    field(
        "task_type",
        Shape::Known(&formats::LITERAL),
        "The registered implementation that it is linked to.",
    ),
    field("action", Shape::Any, "The input of its implementation."),
    field("config", Shape::Any, "Another spelling of `action`."),
    field(
        "retries",
        Shape::Known(&formats::COUNT),
        "How often it is tried again after a failure. Default 0.",
    ),
    field(
        "timeout",
        Shape::Known(&formats::INTERVAL),
        "How long a run may take.",
    ),
    field(
        "schedule",
        Shape::NotBuilt("run it from cron with `harness start`"),
        "When it runs by itself.",
    ),
];

/// An item of a list of dependencies.
pub(crate) static DEPENDENCY_ITEM: Object = Object {
    what: "a dependency",
    fields: &[
        field(
            "service",
            Shape::Known(&formats::LITERAL),
            "The service that is needed.",
        ),
        field(
            "task",
            Shape::Known(&formats::LITERAL),
            "The task that is needed.",
        ),
        CONDITION,
        REQUIRED,
        RESTART_TOO,
    ],
};

/// A value of a mapping of dependencies.
pub(crate) static DEPENDENCY: Object = Object {
    what: "a dependency",
    fields: &[CONDITION, REQUIRED, RESTART_TOO],
};

const CONDITION: Field = field(
    "condition",
    Shape::Word(&[
        "started",
        "ready",
        "completed",
        "healthy",
        "service_started",
        "service_healthy",
        "service_completed_successfully",
    ]),
    "How far it must have come. Default: completed for a task, ready for a service with a health check, else started.",
);

const REQUIRED: Field = field(
    "required",
    Shape::Flag,
    "Whether the unit waits for it without end. Default true.",
);

const RESTART_TOO: Field = field(
    "restart",
    Shape::Flag,
    "Whether the unit is restarted when the other was. Default false.",
);
