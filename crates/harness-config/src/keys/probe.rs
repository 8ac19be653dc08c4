//! The tables of the probes.

use super::formats;
use super::target::COMMAND_SHAPE;
use crate::table::{Object, Shape, field};

pub(crate) static PROBE: Object = Object {
    what: "a probe",
    fields: &[
        field(
            "command",
            COMMAND_SHAPE,
            "A program that exits with 0. With `args` it is the program's name; alone, text is run by a shell.",
        ),
        field(
            "args",
            Shape::List(&Shape::Text),
            "The arguments of `command`.",
        ),
        field(
            "test",
            Shape::Either(&[Shape::Text, Shape::List(&Shape::Text)]),
            "Compose's form: `[CMD, program, …]`, `[CMD-SHELL, text]`, `[NONE]`, or text for a shell.",
        ),
        field(
            "http",
            Shape::Either(&[Shape::Text, Shape::Object(&HTTP)]),
            "An answer to GET: a URL, or path and port of the service itself.",
        ),
        field(
            "tcp",
            Shape::Either(&[
                Shape::KnownOrReference(&formats::LITERAL),
                Shape::Object(&TCP),
            ]),
            "A connection that is accepted: a port, `host:port`, or a mapping.",
        ),
        field(
            "log",
            Shape::Known(&formats::REGEX),
            "A line of output that matches this regular expression.",
        ),
        field("notify", Shape::Flag, "READY=1 by the sd_notify protocol."),
        field(
            "container",
            Shape::Flag,
            "The check of the container's image, as the engine counts it. A service that says nothing takes it where there is one.",
        ),
        field(
            "mqtt",
            Shape::NotBuilt("use `tcp` on the broker's port until MQTT probes are built"),
            "An MQTT round trip.",
        ),
        field(
            "interval",
            Shape::Known(&formats::INTERVAL),
            "From one question to the next. Default 10s.",
        ),
        field(
            "timeout",
            Shape::Known(&formats::INTERVAL),
            "How long one answer may take. Default 5s.",
        ),
        field(
            "retries",
            Shape::Known(&formats::POSITIVE),
            "Bad answers in a row that make it unhealthy. Default 3.",
        ),
        field(
            "start_period",
            Shape::Known(&formats::DURATION),
            "After the launch, bad answers do not count for this long.",
        ),
        field(
            "start_interval",
            Shape::Known(&formats::INTERVAL),
            "The longest gap between questions until the first good answer.",
        ),
        field(
            "success_threshold",
            Shape::Known(&formats::POSITIVE),
            "Good answers in a row that make it healthy. Default 1.",
        ),
        field(
            "on_unhealthy",
            Shape::Word(&["none", "restart"]),
            "Of a health check: what happens beyond setting health. Default none.",
        ),
        field(
            "disable",
            Shape::Flag,
            "Compose's way to say that there is no check; of a container, that of its image is switched off, too.",
        ),
    ],
};

pub(crate) static HTTP: Object = Object {
    what: "an HTTP probe",
    fields: &[
        field("url", Shape::Text, "The whole URL."),
        field(
            "path",
            Shape::Text,
            "The path on the service itself. Default /.",
        ),
        field(
            "host",
            Shape::Text,
            "The host. Default: the service's own address.",
        ),
        field(
            "port",
            Shape::KnownOrReference(&formats::LITERAL),
            "The port's number, or the name of one of the service's ports. Default: its first.",
        ),
        field(
            "scheme",
            Shape::Word(&["http"]),
            "The scheme; only http yet.",
        ),
        field(
            "status",
            Shape::Either(&[
                Shape::Known(&formats::STATUS),
                Shape::List(&Shape::Known(&formats::STATUS)),
            ]),
            "Which status codes are good. Default: 200 to 399.",
        ),
        field("headers", Shape::Map(&Shape::Private), "Sent along."),
    ],
};

pub(crate) static TCP: Object = Object {
    what: "a TCP probe",
    fields: &[
        field(
            "port",
            Shape::KnownOrReference(&formats::LITERAL),
            "The port's number, or the name of one of the service's ports. Default: its first.",
        ),
        field(
            "host",
            Shape::Text,
            "The host. Default: the service's own address.",
        ),
        field(
            "timeout",
            Shape::Known(&formats::INTERVAL),
            "How long the connection may take; the probe's `timeout` by another name.",
        ),
    ],
};
