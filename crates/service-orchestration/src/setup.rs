//! One-time preparation of a service that already runs.
//!
//! Owns: the trait, and the hook by which a specification carries it. When it is called is the model's to decide.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

/// Prepares a service once it runs (`setup-required` → `setting-up` → complete, then validated, then ready).
///
/// Every call may come again: after a crash of the daemon, or of the service.
#[async_trait]
pub trait ServiceSetup: Send + Sync {
    /// Whether there is nothing left to prepare.
    ///
    /// # Errors
    /// [`SetupError`] when that cannot be found out: the attempt has failed then.
    async fn is_setup_complete(&self) -> Result<bool, SetupError>;

    /// Prepares the service. Idempotent: what an interrupted call left half done, it completes.
    ///
    /// # Errors
    /// [`SetupError`] when it could not: the attempt has failed then.
    ///
    /// # Cancellation
    /// Dropped when the service ends or is stopped meanwhile.
    async fn perform_setup(&self) -> Result<(), SetupError>;

    /// Makes sure that the preparation took effect.
    ///
    /// # Errors
    /// [`SetupError`] when it did not: the attempt has failed then.
    async fn validate_setup(&self) -> Result<(), SetupError>;
}

/// Why a setup could not be checked, performed or validated.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct SetupError {
    message: String,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl SetupError {
    /// This is what went wrong.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            source: None,
        }
    }

    /// This is what went wrong, because of that.
    pub fn caused(
        message: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self {
            message: message.into(),
            source: Some(source.into()),
        }
    }
}

/// A setup that a specification carries. It is code: it is not kept with the state, and whoever defines the service
/// again after a restart gives it again.
#[derive(Clone)]
pub struct SetupHook(Arc<dyn ServiceSetup>);

impl SetupHook {
    /// Carries this setup.
    pub fn new(setup: impl ServiceSetup + 'static) -> Self {
        Self(Arc::new(setup))
    }

    /// Whether the setup is complete.
    pub(crate) async fn check(&self) -> Result<bool, SetupError> {
        self.0.is_setup_complete().await
    }

    /// Performs the setup and validates it.
    pub(crate) async fn perform(&self) -> Result<(), SetupError> {
        self.0.perform_setup().await?;
        self.0.validate_setup().await
    }
}

impl fmt::Debug for SetupHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SetupHook")
    }
}

/// The same hook, not an equal one.
impl PartialEq for SetupHook {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for SetupHook {}
