//! The tables of mounts and volumes.

use service_orchestration::spec::PROPAGATIONS;

use super::formats;
use crate::table::{Object, Shape, field};

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
