//! The standard input of a container.
//!
//! Owns: the request that turns a connection into that input. Reads nothing of what the container says: see [`crate::logs`].

use harness_http::{UpgradedStream, header};

use crate::call::Call;
use crate::container::path;
use crate::engine::Engine;
use crate::error::{EngineError, Object};
use crate::id::ContainerId;

impl Engine {
    /// The standard input of a container that was made with [`open_stdin`](crate::ContainerConfig::open_stdin), which it reads from
    /// its first byte, also when it runs already. Closing the stream ends that input for good.
    ///
    /// # Errors
    /// [`EngineError::Lost`] also when the engine refuses: there is no such container, or it does not run.
    ///
    /// # Cancellation
    /// Dropping the future may end the input.
    pub async fn attach_input(
        &self,
        container: &ContainerId,
    ) -> Result<UpgradedStream, EngineError> {
        let target = path(container, &["attach"])
            .with("stream", "1")
            .with("stdin", "1");
        let call = Call::post(target, Object::Container(container.clone()));
        self.take_over(&call).await
    }
}

/// What asks for the bare stream, as the engine's own command line does.
pub(crate) const UPGRADE: [(header::HeaderName, &str); 2] =
    [(header::CONNECTION, "Upgrade"), (header::UPGRADE, "tcp")];
