//! The tables of the targets.

use super::container::{DOCKER, HOST};
use super::formats;
use super::ports::{PORT_NAME, PROTOCOL};
use super::secret::SECRET_VALUE;
use crate::table::{Field, Object, Shape, field};

/// The types of target, as the file names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TargetType {
    Process,
    ProcessAttach,
    Docker,
    DockerAttach,
    Remote,
    Package,
    Wireguard,
}

/// Every type with its names and its fields.
pub(crate) static TYPES: [(TargetType, &[&str], &[Field]); 7] = [
    (TargetType::Process, &["process"], PROCESS),
    (
        TargetType::ProcessAttach,
        &["process-attach"],
        PROCESS_ATTACH,
    ),
    (TargetType::Docker, &["docker"], DOCKER),
    (TargetType::DockerAttach, &["docker-attach"], DOCKER_ATTACH),
    (TargetType::Remote, &["remote", "remote-lan"], REMOTE),
    (TargetType::Package, &["package"], PACKAGE),
    (TargetType::Wireguard, &["wireguard"], PACKAGE),
];

/// The types that have a name and nothing else yet.
pub(crate) const LATER: &[&str] = &["systemd", "kubernetes"];

impl TargetType {
    /// The type of this name; case does not matter.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let mut types = TYPES.iter();
        types
            .find(|(_, names, _)| names.iter().any(|known| known.eq_ignore_ascii_case(name)))
            .map(|(kind, _, _)| *kind)
    }

    fn row(self) -> &'static (Self, &'static [&'static str], &'static [Field]) {
        let row = TYPES.iter().find(|(kind, _, _)| *kind == self);
        row.expect("every type has a row")
    }

    pub(crate) fn name(self) -> &'static str {
        self.row().1[0]
    }

    pub(crate) fn fields(self) -> &'static [Field] {
        self.row().2
    }
}

/// A program and its arguments as a list, or text for a shell.
pub(crate) const COMMAND_SHAPE: Shape = Shape::Either(&[Shape::Text, Shape::List(&Shape::Text)]);

/// The same, known when the file is read.
pub(super) const COMMAND_WORDS: Shape = Shape::Either(&[
    Shape::Known(&formats::LITERAL),
    Shape::List(&Shape::Known(&formats::LITERAL)),
]);

static ENV_VALUE: Shape = Shape::Either(&[Shape::Scalar, Shape::Object(&SECRET_VALUE)]);

static ENV_FORMS: [Shape; 2] = [Shape::Map(&ENV_VALUE), Shape::List(&Shape::Private)];

pub(super) const ENV: Field = field(
    "env",
    Shape::Either(&ENV_FORMS),
    "Its environment: a mapping, or a list of `NAME=value`. A name without a value is passed on from the caller's environment; `{secret: …}` takes the value from elsewhere.",
)
.or(&["environment"])
.beside();

const PROCESS_PORTS: Field = field(
    "ports",
    Shape::List(&PROCESS_PORT),
    "The ports it listens on: numbers, with `/udp` for UDP, or mappings with `name`, `port` and `protocol`; `auto` picks a free one and tells it.",
)
.beside();

const ATTACHED_PORTS: Field = field(
    "ports",
    Shape::List(&ATTACHED_PORT),
    "Its ports inside: numbers, with `/udp` for UDP, or mappings with `name`, `port` and `protocol`; those that it has when left out.",
)
.beside();

static ATTACHED_PORT: Shape = Shape::Either(&[
    Shape::Known(&formats::ATTACHED_PORT),
    Shape::Object(&PORT_INSIDE),
]);

static PROCESS_PORT: Shape =
    Shape::Either(&[Shape::Known(&formats::PROCESS_PORT), Shape::Object(&PORT)]);

const PROCESS: &[Field] = &[
    field(
        "binary",
        Shape::Text,
        "The program: a path, or a name that is looked up in PATH.",
    ),
    field(
        "command",
        COMMAND_SHAPE,
        "The program and its arguments as a list, or text that is run by `sh -c`; with `args`, the program.",
    ),
    field("args", Shape::List(&Shape::Text), "Its arguments."),
    field(
        "working_dir",
        Shape::Text,
        "Its working directory; the stack file's when left out.",
    ),
    field(
        "user",
        Shape::Known(&formats::LITERAL),
        "The user it runs as.",
    )
    .beside(),
    field(
        "group",
        Shape::Known(&formats::LITERAL),
        "The group it runs as.",
    )
    .beside(),
    ENV,
    PROCESS_PORTS,
];

const PROCESS_ATTACH: &[Field] = &[
    field(
        "pid",
        Shape::Known(&formats::PID),
        "The process, by its number.",
    ),
    field(
        "process_name",
        Shape::Known(&formats::LITERAL),
        "The process, by its name.",
    ),
    ENV,
    PROCESS_PORTS,
];

const DOCKER_ATTACH: &[Field] = &[
    field(
        "container",
        Shape::Known(&formats::LITERAL),
        "The container's name or id.",
    )
    .required(),
    HOST,
    ENV,
    ATTACHED_PORTS,
];

const REMOTE: &[Field] = &[
    field("host", Shape::Known(&formats::LITERAL), "The host.").required(),
    field(
        "user",
        Shape::Known(&formats::LITERAL),
        "The user to log in as.",
    ),
    field(
        "port",
        Shape::Known(&formats::PORT_NUMBER),
        "The port of the SSH server.",
    ),
    field(
        "ssh_key",
        Shape::Known(&formats::LITERAL),
        "The private key.",
    ),
    field("binary", Shape::Text, "The program there."),
    field("args", Shape::List(&Shape::Text), "Its arguments."),
    field("working_dir", Shape::Text, "Its working directory there."),
    field(
        "package",
        Shape::Known(&formats::LITERAL),
        "A package that is brought there instead.",
    ),
    ENV,
    PROCESS_PORTS,
];

const PACKAGE: &[Field] = &[
    field("host", Shape::Known(&formats::LITERAL), "The host.").required(),
    field(
        "user",
        Shape::Known(&formats::LITERAL),
        "The user to log in as.",
    ),
    field(
        "package",
        Shape::Known(&formats::LITERAL),
        "The package's file or name.",
    )
    .required(),
    field("version", Shape::Known(&formats::LITERAL), "Its version."),
    field(
        "install_path",
        Shape::Known(&formats::LITERAL),
        "Where it is installed.",
    ),
    ENV,
    PROCESS_PORTS,
];

pub(crate) static PORT: Object = Object {
    what: "a port",
    fields: &[
        PORT_NAME,
        field(
            "port",
            Shape::Known(&formats::LISTENED_PORT),
            "Its number, or `auto`.",
        )
        .required(),
        PROTOCOL,
    ],
};

/// The same of a container of somebody else.
static PORT_INSIDE: Object = Object {
    what: "a port",
    fields: &[
        PORT_NAME,
        field(
            "port",
            Shape::Known(&formats::PORT_NUMBER),
            "Its number inside.",
        )
        .required(),
        PROTOCOL,
    ],
};

pub(crate) static ENV_FILE: Object = Object {
    what: "an environment file",
    fields: &[
        field("path", Shape::Known(&formats::LITERAL), "The file.").required(),
        field(
            "required",
            Shape::Flag,
            "Whether it must exist. Default true.",
        ),
        field(
            "format",
            Shape::Word(&["plain", "compose", "raw"]),
            "How it is read: values as they stand (`plain`, the default), with what `$NAME` stands for put in (`compose`), or with their quotes and all (`raw`).",
        ),
    ],
};
