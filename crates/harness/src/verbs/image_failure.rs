//! Why an image was not built or fetched.

use std::io;
use std::process::ExitStatus;

use container_engine::EngineError;

/// Why `build`, `pull` or `--build` did not end well.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImageFailure {
    /// The engine does not answer, or there is none.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Its command line cannot be run.
    #[error("cannot run `{program}`, which builds and fetches images")]
    Tool {
        program: String,
        #[source]
        source: io::Error,
    },
    /// It is none of this machine's engine.
    #[error("the image of `{unit}` is on {host}, where {}", ELSEWHERE)]
    Elsewhere { unit: String, host: String },
    /// It said no, and has said why itself.
    #[error("cannot {verb} `{image}`: {status}")]
    Ended {
        verb: &'static str,
        image: String,
        status: ExitStatus,
    },
}

/// What becomes of the image of a container on another host.
pub(super) const ELSEWHERE: &str =
    "it is made ready when the unit is started: `pull: always` or `pull: build` does so each time";
