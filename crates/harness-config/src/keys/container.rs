//! The tables of containers.

use service_orchestration::spec::PROPAGATIONS;

use super::formats;
use super::target::{COMMAND_SHAPE, ENV};
use crate::table::{Field, Object, Shape, field};

pub(super) static DOCKER: &[Field] = &[
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
        "The engine's network.",
    ),
    field(
        "container_name",
        Shape::Known(&formats::LITERAL),
        "The container's name.",
    )
    .beside(),
];

static PUBLISHED_PORT: Shape = Shape::Either(&[
    Shape::Known(&formats::DOCKER_PORT),
    Shape::Object(&CONTAINER_PORT),
]);

static EXPOSED: Shape = Shape::Either(&[
    Shape::Known(&formats::EXPOSED_PORT),
    Shape::Object(&EXPOSED_PORT),
]);

const PORT_NAME: Field = field(
    "name",
    Shape::Known(&formats::NAME),
    "Its name, for `${service.port.NAME}`.",
);

const PORT_INSIDE: Field = field(
    "target",
    Shape::Known(&formats::PORT_NUMBER),
    "The port inside.",
)
.required();

const PROTOCOL: Field = field("protocol", Shape::Word(&["tcp", "udp"]), "tcp or udp.");

pub(crate) static CONTAINER_PORT: Object = Object {
    what: "a published port",
    fields: &[
        PORT_NAME,
        PORT_INSIDE,
        field(
            "published",
            Shape::Known(&formats::PUBLISHED),
            "The port outside; a free one, which is kept, when left out or `auto`.",
        ),
        field(
            "host_ip",
            Shape::Known(&formats::ADDRESS),
            "The address outside; that of this machine alone when left out.",
        ),
        PROTOCOL,
        field(
            "mode",
            Shape::NotBuilt("leave it out: it tells the members of a swarm apart"),
            "How a swarm publishes it.",
        ),
        field(
            "app_protocol",
            Shape::NotBuilt("give the port a `name`: `${service.url}` takes its scheme from that"),
            "What is spoken on it.",
        ),
    ],
};

pub(crate) static EXPOSED_PORT: Object = Object {
    what: "a port",
    fields: &[PORT_NAME, PORT_INSIDE, PROTOCOL],
};

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
    ],
};

pub(crate) static MOUNT: Object = Object {
    what: "a mount",
    fields: &[
        field(
            "type",
            Shape::Word(&["bind", "volume", "tmpfs"]),
            "What is mounted: a file or directory of this machine, a volume, or memory.",
        )
        .required(),
        field(
            "source",
            Shape::Known(&formats::LITERAL),
            "The path of a bind, the name of a volume; a volume without a name goes with the container.",
        )
        .or(&["src"]),
        field(
            "target",
            Shape::Known(&formats::PATH_INSIDE),
            "Where it is seen inside.",
        )
        .or(&["destination", "dst"])
        .required(),
        field(
            "read_only",
            Shape::Flag,
            "Whether nothing can be written to it. Default false.",
        )
        .or(&["readonly"]),
        field("bind", Shape::Object(&MOUNT_BIND), "Of a bind."),
        field("tmpfs", Shape::Object(&MOUNT_TMPFS), "Of memory."),
        field(
            "volume",
            Shape::NotBuilt("a volume is mounted whole, and filled from the image when it is new"),
            "Of a volume.",
        ),
        field(
            "consistency",
            Shape::NotBuilt("leave it out: on Linux it changes nothing"),
            "How often the two sides agree.",
        ),
    ],
};

pub(crate) static MOUNT_BIND: Object = Object {
    what: "a bind",
    fields: &[
        field(
            "create_host_path",
            Shape::Flag,
            "Whether a directory is made when nothing is there. Default true.",
        ),
        field(
            "propagation",
            Shape::Word(&PROPAGATIONS),
            "What becomes of mounts that are made below it later. Default rprivate.",
        ),
        field(
            "selinux",
            Shape::NotBuilt("label the directory with `chcon`"),
            "How it is labelled.",
        ),
        field(
            "recursive",
            Shape::NotBuilt("what is mounted below it is seen inside too"),
            "Whether mounts below it are seen.",
        ),
    ],
};

pub(crate) static MOUNT_TMPFS: Object = Object {
    what: "a mount of memory",
    fields: &[
        field(
            "size",
            Shape::Known(&formats::SIZE),
            "How much it holds; half of the machine's memory when left out.",
        ),
        field(
            "mode",
            Shape::Known(&formats::OCTAL),
            "Its permissions, as octal digits. Default 1777.",
        ),
        field(
            "options",
            Shape::List(&Shape::Known(&formats::TMPFS_OPTION)),
            "What else it is mounted with: `noexec`, `uid=1000`.",
        ),
    ],
};

/// A volume of the top level.
pub(crate) static VOLUME: Object = Object {
    what: "a volume",
    fields: &[
        field(
            "name",
            Shape::Known(&formats::NAME),
            "Its name with the engine; the stack's and its own when left out.",
        ),
        field(
            "external",
            Shape::Flag,
            "Whether somebody else made it: it must be there, and is never removed. Default false.",
        ),
        field(
            "driver",
            Shape::Known(&formats::LITERAL),
            "What makes it. Default local.",
        ),
        field(
            "driver_opts",
            Shape::Map(&Shape::Known(&formats::LITERAL)),
            "What the driver is told.",
        ),
        field(
            "labels",
            Shape::Either(&[
                Shape::Map(&Shape::Known(&formats::LITERAL)),
                Shape::List(&Shape::Known(&formats::LITERAL)),
            ]),
            "Free text for tools.",
        ),
    ],
};
