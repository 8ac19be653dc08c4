//! The tables of secrets.

use super::formats;
use super::target::COMMAND_WORDS;
use crate::table::{Object, Shape, field};

/// Where a secret comes from.
pub(crate) static SECRET: Object = Object {
    what: "a secret",
    fields: &[
        field(
            "file",
            Shape::Known(&formats::LITERAL),
            "The file that holds it; one newline at its end does not count.",
        ),
        field(
            "env",
            Shape::Known(&formats::LITERAL),
            "The variable that holds it, in the environment of whoever runs `harness start`, in `--env-file` or in `.env`.",
        )
        .or(&["environment"]),
        field(
            "command",
            COMMAND_WORDS,
            "The program that prints it, run by `harness start`: a list, or text for `sh -c`.",
        ),
    ],
};

/// A variable whose value is a secret.
pub(crate) static SECRET_VALUE: Object = Object {
    what: "the value of a variable",
    fields: &[field(
        "secret",
        Shape::Either(&[Shape::Known(&formats::NAME), Shape::Object(&SECRET)]),
        "The name of a secret that `secrets` declares, or where the value comes from.",
    )
    .required()],
};
