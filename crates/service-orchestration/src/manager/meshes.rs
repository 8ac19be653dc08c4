//! The meshes of stacks, as they are, and new keys for them.
//!
//! Owns: that only stacks that are known are asked about. What there is, the hosts say.

use std::sync::Arc;

use super::ServiceManager;
use crate::executors::Carrier;
use crate::report::{NetStatus, Rotation, SCHEMA_VERSION};
use crate::spec::{StackName, TargetKind};
use crate::supervisor::OrderError;

impl ServiceManager {
    /// The meshes that hosts of a stack are joined by. Every host is asked; one that does not answer is listed with the reason.
    ///
    /// # Errors
    /// [`OrderError::UnknownStack`].
    pub async fn net_status(&self, stack: &StackName) -> Result<NetStatus, OrderError> {
        let meshes = match self.carrier_of(stack).await? {
            Some(carrier) => carrier.meshes(stack).await,
            None => Vec::new(),
        };
        Ok(NetStatus {
            schema_version: SCHEMA_VERSION,
            stack: stack.clone(),
            meshes,
        })
    }

    /// Gives the hosts of these meshes new keys, without parting them.
    ///
    /// # Errors
    /// [`OrderError::UnknownStack`]. What could not be done now is no error: the answer says what is waited for.
    ///
    /// # Cancellation
    /// It goes on.
    pub async fn rotate_mesh_keys(&self, stack: &StackName) -> Result<Rotation, OrderError> {
        Ok(match self.carrier_of(stack).await? {
            Some(carrier) => carrier.rotate(stack).await,
            None => Rotation::default(),
        })
    }

    async fn carrier_of(&self, stack: &StackName) -> Result<Option<Arc<dyn Carrier>>, OrderError> {
        if !self.stacks().await.iter().any(|one| one.name == *stack) {
            return Err(OrderError::UnknownStack {
                stack: stack.to_string(),
            });
        }
        let remote = self.shared.executors.get(TargetKind::Remote);
        Ok(remote.and_then(|executor| executor.carrier()))
    }
}
