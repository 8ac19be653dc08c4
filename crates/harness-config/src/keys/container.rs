//! The tables of containers.

use super::formats;
use super::limits::{DEPLOY, DEVICE, LIMITS, ULIMITS};
use super::mount::MOUNT;
use super::ports::{EXPOSED, PUBLISHED_PORT};
use super::target::{COMMAND_SHAPE, ENV};
use crate::table::{Field, Object, Shape, field};

/// Whose engine.
pub(super) const HOST: Field = field(
    "host",
    Shape::Known(&formats::LITERAL),
    "The host whose engine runs it, as `harness host list` names it; this machine (`local`) when left out.",
);

pub(super) static DOCKER: &[Field] = &[
    HOST,
    field("image", Shape::Text, "The image."),
    field(
        "build",
        Shape::Either(&[Shape::Known(&formats::CONTEXT), Shape::Object(&BUILD)]),
        "How the image is built: a directory, or a mapping.",
    ),
    field(
        "command",
        COMMAND_SHAPE,
        "Replaces the image's command; text is split into words.",
    ),
    field(
        "entrypoint",
        COMMAND_SHAPE,
        "Replaces the image's entry point; text is split into words.",
    ),
    field("working_dir", Shape::Text, "The working directory inside."),
    field("user", Shape::Known(&formats::LITERAL), "The user inside.").beside(),
    ENV,
    field(
        "ports",
        Shape::List(&PUBLISHED_PORT),
        "Published ports: `5432`, `\"5433:5432\"`, or the long form. Without a port outside a free one is chosen; without an address only this machine reaches it.",
    )
    .beside(),
    field(
        "expose",
        Shape::List(&EXPOSED),
        "Ports that are not published: containers of the stack reach them.",
    )
    .beside(),
    field(
        "volumes",
        Shape::List(&Shape::Either(&[
            Shape::Known(&formats::MOUNT),
            Shape::Object(&MOUNT),
        ])),
        "Mounts: `./directory:/path`, `volume:/path:ro`, or the long form.",
    )
    .beside(),
    field(
        "tmpfs",
        Shape::Either(&[
            Shape::Known(&formats::TMPFS),
            Shape::List(&Shape::Known(&formats::TMPFS)),
        ]),
        "Where memory is mounted: `/run`, `/run:size=64m,mode=1777`.",
    )
    .beside(),
    field(
        "network",
        Shape::Known(&formats::LITERAL),
        "The engine's network: `host`, or one that is there; the stack's own when left out. Flat, or beside `target`, it is `network_mode`.",
    )
    .or(&["network_mode"])
    .beside(),
    field(
        "pull",
        Shape::Word(&["missing", "always", "never", "build", "if_not_present"]),
        "When the image is fetched, or built. Default missing.",
    )
    .or(&["pull_policy"])
    .beside(),
    field(
        "container_name",
        Shape::Known(&formats::CONTAINER_NAME),
        "The container's name; made from stack and service when left out.",
    )
    .beside(),
    field(
        "hostname",
        Shape::Known(&formats::OPTIONAL_HOSTNAME),
        "Its host name inside.",
    )
    .beside(),
    field(
        "extra_hosts",
        Shape::Either(&[
            Shape::List(&Shape::Known(&formats::EXTRA_HOST)),
            Shape::Map(&Shape::Either(&[
                Shape::Known(&formats::HOST_ADDRESS),
                Shape::List(&Shape::Known(&formats::HOST_ADDRESS)),
            ])),
        ]),
        "Further names that resolve inside: `name:address`, or a mapping; `host-gateway` is the machine it runs on.",
    )
    .beside(),
    field("limits", Shape::Object(&LIMITS), "What it may use.").beside(),
    field(
        "mem_limit",
        Shape::Known(&formats::MEMORY),
        "Compose's form of `limits.memory`.",
    )
    .beside(),
    field(
        "cpus",
        Shape::Known(&formats::CPUS),
        "Compose's form of `limits.cpus`.",
    )
    .beside(),
    field(
        "pids_limit",
        Shape::Known(&formats::POSITIVE),
        "Compose's form of `limits.pids`.",
    )
    .beside(),
    field("ulimits", ULIMITS, "Compose's form of `limits.ulimits`.").beside(),
    field(
        "deploy",
        Shape::Object(&DEPLOY),
        "Compose's form of `limits`: `resources.limits`.",
    )
    .beside(),
    field(
        "privileged",
        Shape::Flag,
        "Whether it may do what root of the machine may. Default false.",
    )
    .beside(),
    field(
        "cap_add",
        Shape::List(&Shape::Known(&formats::CAPABILITY)),
        "Capabilities that it has besides.",
    )
    .beside(),
    field(
        "cap_drop",
        Shape::List(&Shape::Known(&formats::CAPABILITY)),
        "Capabilities that are taken from it; `ALL`.",
    )
    .beside(),
    field(
        "security_opt",
        Shape::List(&Shape::Known(&formats::LITERAL)),
        "The engine's own words: `no-new-privileges`.",
    )
    .beside(),
    field(
        "read_only",
        Shape::Flag,
        "Whether its own file system is closed to writes. Default false.",
    )
    .beside(),
    field(
        "sysctls",
        Shape::Either(&[
            Shape::Map(&Shape::Known(&formats::LITERAL)),
            Shape::List(&Shape::Known(&formats::SYSCTL)),
        ]),
        "Kernel parameters of its namespaces: a mapping, or a list of `name=value`.",
    )
    .beside(),
    field(
        "devices",
        Shape::List(&Shape::Either(&[
            Shape::Known(&formats::DEVICE),
            Shape::Object(&DEVICE),
        ])),
        "Devices of the machine: `/dev/ttyUSB0`, `/dev/sda:/dev/disk:r`.",
    )
    .beside(),
    field(
        "group_add",
        Shape::List(&Shape::Known(&formats::LITERAL)),
        "Groups of its user besides, by name or number.",
    )
    .beside(),
    field(
        "init",
        Shape::Flag,
        "Whether a small init inside reaps what other processes leave. Default false.",
    )
    .beside(),
    field(
        "tty",
        Shape::Flag,
        "Whether it has a terminal: its outputs are then one. Default false.",
    )
    .beside(),
    field(
        "shm_size",
        Shape::Known(&formats::SIZE),
        "The size of `/dev/shm`; the engine's own when left out.",
    )
    .beside(),
    later("annotations", "use `labels` if a tool looks for them"),
    later("attach", "`harness logs` shows what is asked for"),
    later("blkio_config", "its disk access is not limited"),
    later("cgroup", "the engine chooses the control group"),
    later("cgroup_parent", "the engine chooses the control group"),
    later("configs", "mount the file: `volumes: [./file:/path:ro]`"),
    later("cpu_count", "use `limits.cpus`"),
    later("cpu_percent", "use `limits.cpus`"),
    later("cpu_period", "use `limits.cpus`"),
    later("cpu_quota", "use `limits.cpus`"),
    later("cpu_rt_period", "it has no share of real time"),
    later("cpu_rt_runtime", "it has no share of real time"),
    later("cpu_shares", "use `limits.cpus`"),
    later("cpuset", "use `limits.cpus`"),
    later("credential_spec", "it has no account of a domain"),
    later("develop", "mount the sources, and `harness restart` it after a change"),
    later("device_cgroup_rules", "name each device in `devices`"),
    later("dns", "set the name servers in the engine"),
    later("dns_opt", "set the options in the engine"),
    later("dns_search", "write whole names"),
    later("domainname", "write the whole name in `hostname`"),
    later("extends", "use an anchor, or a second `--file`"),
    later("external_links", "attach to it: a service of `type: docker-attach`"),
    later("gpus", "start this container yourself and attach to it: `type: docker-attach`"),
    later("ipc", "it has shared memory of its own; see `shm_size`"),
    later("isolation", "the engine's usual one is taken"),
    later("label_file", "write them under `labels`"),
    later("links", "use `dependencies`: each is known inside by its name"),
    later("logging", "use `log`: its output is kept by the harness"),
    later("mac_address", "the engine chooses the address"),
    later("mem_reservation", "use `limits.memory`"),
    later("mem_swappiness", "the engine's usual setting holds"),
    later("memswap_limit", "use `limits.memory`"),
    later("models", "run what serves it as a service"),
    later("oom_kill_disable", "use `limits.memory`"),
    later("oom_score_adj", "use `limits.memory`"),
    later("pid", "it sees its own processes only"),
    later("platform", "name an image of that platform by its digest"),
    later("post_start", "make it a task that depends on the service"),
    later("pre_stop", "use `stop.command`"),
    later("provider", "run it as a process or a container"),
    later("runtime", "make it the engine's default runtime"),
    later("scale", "write a second service"),
    later("secrets", "give it in `env`: `NAME: {secret: NAME}`"),
    later("stdin_open", "its input is empty; run what is interactive by hand"),
    later("storage_opt", "its own file system has the engine's size"),
    later("use_api_socket", "mount it: `volumes: [/var/run/docker.sock:/var/run/docker.sock]`"),
    later("userns_mode", "the engine's usual user namespace is taken"),
    later("uts", "it has a host name of its own: `hostname`"),
    later("volume_driver", "name the driver of each volume under `volumes` on the top level"),
    later("volumes_from", "name the volumes in both services"),
];

/// A key of Compose that nothing acts on: why, or what to do instead.
pub(super) const fn later(key: &'static str, instead: &'static str) -> Field {
    field(key, Shape::NotBuilt(instead), instead).beside()
}

pub(crate) static BUILD: Object = Object {
    what: "a build",
    fields: &[
        field(
            "context",
            Shape::Known(&formats::CONTEXT),
            "The directory that is sent to the engine; the stack file's when left out.",
        ),
        field(
            "dockerfile",
            Shape::Known(&formats::LITERAL),
            "The recipe, relative to the context. Default Dockerfile.",
        ),
        field(
            "args",
            Shape::Either(&[
                Shape::Map(&Shape::Either(&[Shape::Scalar])),
                Shape::List(&Shape::Known(&formats::LITERAL)),
            ]),
            "The values of its `ARG`s: a mapping, or a list of `NAME=value`. A name without a value is passed on from the caller's environment.",
        ),
        field(
            "target",
            Shape::Known(&formats::LITERAL),
            "The stage that is built; the last one when left out.",
        ),
        later(
            "dockerfile_inline",
            "write it into a file, and name that in `dockerfile`",
        ),
        later("additional_contexts", "put what is needed into the context"),
        later("cache_from", "the engine's own cache is used"),
        later("cache_to", "the engine's own cache is used"),
        later("no_cache", "build once by hand with `--no-cache`"),
        later("pull", "fetch what it is made from by hand"),
        later("labels", "write them as `LABEL` into the recipe"),
        later("tags", "give the image a name in `image`"),
        later(
            "platforms",
            "the image is built for the engine's own platform",
        ),
        later("network", "it is built on the engine's usual network"),
        later("extra_hosts", "use addresses in the recipe"),
        later(
            "secrets",
            "fetch what needs a secret before the build, and copy it in",
        ),
        later(
            "ssh",
            "fetch what needs a key before the build, and copy it in",
        ),
        later("shm_size", "the build has the engine's usual one"),
        later("ulimits", "the build has the engine's usual limits"),
        later("privileged", "the build has the usual rights"),
        later("entitlements", "the build has the usual rights"),
        later("isolation", "the build has the engine's usual one"),
    ],
};
