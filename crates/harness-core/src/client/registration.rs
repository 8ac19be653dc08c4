//! A service that stays registered for as long as a value lives.
//!
//! Owns: the signs of life. They come from a thread of its own, which sleeps between them: what the program itself does,
//! and on which runtime, does not delay them.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender};
use async_io::Timer;
use futures_lite::future;
use harness_wire::enrol::random;

use super::{ClientError, ConnectError, HarnessClient};
use crate::access::hex;
use crate::protocol::{ErrorCode, Health, InstanceName, PublishEndpoint, RegistryPublishParams};

/// A registered service. It is renewed at a third of its time, registered again after the daemon or the connection was
/// away, and withdrawn when this value is [closed](Registration::close) or dropped.
///
/// ```no_run
/// use harness_core::client::Remote;
/// use harness_core::protocol::{Health, RegistryPublishParams};
/// use harness_core::{Dirs, HarnessClient};
///
/// # async fn serve() {}
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// // The daemon of this machine's user, or, as here, one that this program was enrolled with.
/// let remote = Remote::open(&Dirs::from_env()?, "build.lan")?;
/// let client = HarnessClient::connect_remote(&remote).await?;
/// let service = RegistryPublishParams::new("shop:search".parse()?, 9200);
/// let registration = client.register(service).await?;
/// registration.set_health(Health::Unhealthy);
/// serve().await;
/// registration.close().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Registration {
    name: InstanceName,
    incarnation: u64,
    /// Its end makes the thread withdraw the service.
    health: Option<Sender<Health>>,
    end: Receiver<Result<(), RegistrationError>>,
    thread: Option<JoinHandle<()>>,
}

/// Why a service could not be registered, or is not any longer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistrationError {
    /// The daemon refuses it, or cannot be asked.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The system gives this program no thread, or no random number.
    #[error("this program cannot keep a service registered")]
    System(#[source] std::io::Error),
    /// The daemon was not told that it ends, and finds out by itself.
    #[error("the daemon did not answer within {FAREWELL:?} that `{name}` is withdrawn")]
    Unheard {
        /// What was registered.
        name: InstanceName,
    },
}

impl RegistryPublishParams {
    /// A service that is ready, and listens on this port where it runs.
    pub fn new(name: InstanceName, port: u16) -> Self {
        Self {
            name,
            incarnation: None,
            lease: String::new(),
            ttl_ms: crate::protocol::registry::usual_ttl(),
            endpoints: vec![PublishEndpoint {
                port,
                name: None,
                scheme: None,
            }],
            health: Health::Ready,
            ip: None,
            host: None,
        }
    }
}

impl HarnessClient {
    /// Registers a service and keeps it registered. Without a lease in `service`, it has one of its own.
    ///
    /// # Errors
    /// [`RegistrationError`] when it cannot be registered now. Afterwards, failures are tried again until
    /// [`Registration::ended`] says that it is no use.
    pub async fn register(
        &self,
        mut service: RegistryPublishParams,
    ) -> Result<Registration, RegistrationError> {
        if service.lease.is_empty() {
            let name: [u8; 8] = random().map_err(RegistrationError::System)?;
            service.lease = hex(&name);
        }
        let published = self.publish(&service).await?;
        service.incarnation = Some(published.incarnation);
        let name = service.name.clone();
        let (health, told) = async_channel::unbounded();
        let (ended, end) = async_channel::bounded(1);
        let keeper = Keeper {
            client: self.clone(),
            every: Duration::from_millis(service.ttl_ms) / 3,
            service,
            is_unheard: false,
            told,
        };
        let thread = std::thread::Builder::new()
            .name("harness-lease".to_owned())
            .spawn(move || {
                let end = async_io::block_on(keeper.keep());
                // Whoever had the registration may not care.
                drop(ended.try_send(end));
            });
        Ok(Registration {
            name,
            incarnation: published.incarnation,
            health: Some(health),
            end,
            thread: Some(thread.map_err(RegistrationError::System)?),
        })
    }
}

impl Registration {
    /// What is registered.
    pub fn name(&self) -> &InstanceName {
        &self.name
    }

    /// As which run of it.
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// Has it told whether the service may be sent work. Returns at once.
    pub fn set_health(&self, health: Health) {
        if let Some(told) = &self.health {
            // One that has ended tells nobody anything.
            let _ended = told.try_send(health);
        }
    }

    /// Returns when it cannot be kept any longer, with the reason: another run has taken its place, or the client may not
    /// register it any more.
    ///
    /// # Cancellation
    /// Dropping the future ends the waiting, and nothing else. The reason is told once.
    pub async fn ended(&self) -> RegistrationError {
        match self.end.recv().await {
            Ok(Err(error)) => error,
            // It ends without an error only when it is closed, and then nobody waits here.
            Ok(Ok(())) | Err(_) => future::pending().await,
        }
    }

    /// Withdraws the service.
    ///
    /// # Errors
    /// [`RegistrationError`] when the daemon could not be told, which then finds out by itself.
    ///
    /// # Cancellation
    /// Dropping the future waits until the daemon is told, for a second at the most.
    pub async fn close(mut self) -> Result<(), RegistrationError> {
        drop(self.health.take());
        self.end.recv().await.unwrap_or(Ok(()))
    }
}

impl Drop for Registration {
    /// Withdraws the service: waits for that, for a second at the most.
    fn drop(&mut self) {
        drop(self.health.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that kept a registration has panicked");
        }
    }
}

/// What keeps a service registered.
struct Keeper {
    client: HarnessClient,
    service: RegistryPublishParams,
    every: Duration,
    /// What is listed is not what the service says, or nothing is.
    is_unheard: bool,
    told: Receiver<Health>,
}

enum Wake {
    Told(Health),
    Closed,
    Heard(Result<(), ClientError>),
}

impl Keeper {
    /// Keeps it until it is closed, or until that is no use.
    async fn keep(mut self) -> Result<(), RegistrationError> {
        let mut due = Instant::now() + self.every;
        loop {
            let told = async { self.told.recv().await.map_or(Wake::Closed, Wake::Told) };
            let heard = async {
                Timer::at(due).await;
                Wake::Heard(self.say().await)
            };
            // A sign of life that is on its way is given up for news: whatever comes of it, it can be given again.
            match future::or(told, heard).await {
                Wake::Closed => return self.withdraw().await,
                Wake::Told(health) => {
                    self.is_unheard |= self.service.health != health;
                    self.service.health = health;
                    if self.is_unheard {
                        due = Instant::now();
                    }
                }
                Wake::Heard(Ok(())) => {
                    self.is_unheard = false;
                    due = Instant::now() + self.every;
                }
                Wake::Heard(Err(error)) if is_no_lease(&error) && !self.is_unheard => {
                    self.is_unheard = true;
                    due = Instant::now();
                }
                Wake::Heard(Err(error)) if is_final(&error) => return Err(error.into()),
                Wake::Heard(Err(error)) => {
                    tracing::debug!(name = %self.service.name, %error, "no sign of life was heard");
                    due = Instant::now() + self.every.min(AGAIN);
                }
            }
        }
    }

    async fn say(&self) -> Result<(), ClientError> {
        match self.is_unheard {
            true => self.client.publish(&self.service).await.map(drop),
            false => self.client.renew_lease(&self.service.lease).await,
        }
    }

    async fn withdraw(self) -> Result<(), RegistrationError> {
        let name = &self.service.name;
        let withdrawn = async { Some(self.client.withdraw(name, self.service.incarnation).await) };
        let too_late = async {
            Timer::after(FAREWELL).await;
            None
        };
        match future::or(withdrawn, too_late).await {
            None => Err(RegistrationError::Unheard { name: name.clone() }),
            Some(Err(error)) if !is_over(&error) => Err(error.into()),
            Some(Ok(_) | Err(_)) => Ok(()),
        }
    }
}

fn code(error: &ClientError) -> Option<ErrorCode> {
    match error {
        ClientError::Api(error) => Some(error.code),
        _ => None,
    }
}

fn is_no_lease(error: &ClientError) -> bool {
    code(error) == Some(ErrorCode::NoLease)
}

/// Whether another run, or another owner, stands there by now: nothing of this one is left to withdraw.
fn is_over(error: &ClientError) -> bool {
    matches!(
        code(error),
        Some(ErrorCode::StaleRun | ErrorCode::ServiceTaken)
    )
}

/// Whether it will be the same the next time.
fn is_final(error: &ClientError) -> bool {
    let is_refused = matches!(
        error,
        ClientError::Connect(ConnectError::Refused { .. } | ConnectError::Version { .. })
    );
    let is_wrong = matches!(
        code(error),
        Some(ErrorCode::Forbidden | ErrorCode::InvalidParams | ErrorCode::UnknownMethod)
    );
    is_refused || is_wrong || is_over(error)
}

/// How soon a sign of life that failed is given again.
const AGAIN: Duration = Duration::from_secs(1);
/// How long the daemon is waited for at the end.
const FAREWELL: Duration = Duration::from_secs(1);
