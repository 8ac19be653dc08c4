//! The tables of the ports of containers.

use super::formats;
use crate::table::{Field, Object, Shape, field};

pub(super) static PUBLISHED_PORT: Shape = Shape::Either(&[
    Shape::Known(&formats::DOCKER_PORT),
    Shape::Object(&CONTAINER_PORT),
]);

pub(super) static EXPOSED: Shape = Shape::Either(&[
    Shape::Known(&formats::EXPOSED_PORT),
    Shape::Object(&EXPOSED_PORT),
]);

pub(super) const PORT_NAME: Field = field(
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

pub(super) const PROTOCOL: Field = field("protocol", Shape::Word(&["tcp", "udp"]), "tcp or udp.");

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
