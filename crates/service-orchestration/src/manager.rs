//! The orchestrator as a value: define stacks, start and stop their units, watch what happens.
//!
//! Owns: the way to the supervisor. Holds no state of units: it asks.

mod builder;
mod input;
mod meshes;
mod registry;
mod services;
mod signal;

pub use builder::{Driver, ManagerBuilder, ManagerError};
pub use services::StartError;
pub use signal::SignalError;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_channel::Sender;
use command_executor::blocking;

use crate::executors::Executors;
use crate::listening;
use crate::logs::LogStore;
use crate::model::Goal;
use crate::report::{NetView, StackStatus, Why};
use crate::spec::{SecretValues, StackName, StackSpec, UnitName};
use crate::supervisor::{
    self, Applied, ApplyError, ApplyMode, BeginError, ForgetError, Inbox, NetError, OneOffLeft,
    OneOffReady, OneOffWish, Order, OrderError, Ordered, Request, StackOverview, StatusText,
    Subscribed, Waited,
};

/// The orchestrator. A clone is another handle to the same one.
///
/// When the last one is dropped, a manager without a state directory stops all its services; when it drives itself (see
/// [`ManagerBuilder::start`]), the drop waits for that. Call [`ServiceManager::shutdown`] to wait without blocking a
/// thread, or [`ServiceManager::detach`] to leave them running.
///
/// ```
/// use std::collections::HashMap;
/// use service_orchestration::{ServiceConfig, ServiceManager, ServiceTarget};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # smol::block_on(async {
/// let manager = ServiceManager::new().await?;
/// let config = ServiceConfig {
///     name: "sleeper".to_owned(),
///     target: ServiceTarget::Process {
///         binary: "sleep".to_owned(),
///         args: vec!["1000".to_owned()],
///         env: HashMap::new(),
///         working_dir: None,
///     },
///     dependencies: vec![],
///     health_check: None,
/// };
/// let service = manager.start_service("sleeper", config).await?;
/// let status = manager.get_service_status("sleeper").await?;
/// assert_eq!((status.pid, status.state.as_str()), (service.pid, "ready"));
/// manager.stop_service("sleeper").await?;
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ServiceManager {
    shared: Arc<Shared>,
}

/// What becomes of the volumes of a stack that is forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Volumes {
    /// They stay, with what is in them: a stack of the same name finds them again.
    #[default]
    Keep,
    /// They go. What is in them is lost.
    Remove,
}

#[derive(Debug)]
struct Shared {
    inbox: Sender<Inbox>,
    logs: LogStore,
    executors: Executors,
    adopted: async_channel::Receiver<()>,
    registry: service_registry::Registry,
    /// Closes when the supervisor has let go of everything.
    ended: async_channel::Receiver<()>,
    /// Whether services are left running when nobody owns the manager any more.
    detached: Arc<AtomicBool>,
    /// Its end tells the supervisor that nobody does.
    owner: Option<Sender<()>>,
    /// When this manager drives itself.
    thread: Option<builder::OwnThread>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        drop(self.owner.take());
        if let Some(thread) = &mut self.thread {
            thread.join();
        }
    }
}

impl ServiceManager {
    /// A manager with state of its own, which goes with it, driven by a thread of its own.
    ///
    /// # Errors
    /// [`ManagerError`] when its directories cannot be made.
    pub async fn new() -> Result<Self, ManagerError> {
        Self::builder().start().await
    }

    /// A manager made to measure.
    pub fn builder() -> ManagerBuilder {
        ManagerBuilder::default()
    }

    /// Returns once every service of an earlier owner of the state has been found again, or found gone.
    pub async fn adopted(&self) {
        // Nothing is ever sent: the channel closes.
        let Err(_closed) = self.shared.adopted.recv().await else {
            return;
        };
    }

    /// Defines or redefines a stack. Nothing is started or stopped by it.
    ///
    /// # Errors
    /// [`ApplyError`]; nothing of the definition was taken over then.
    pub async fn apply(&self, stack: StackSpec, mode: ApplyMode) -> Result<Applied, ApplyError> {
        self.apply_with(stack, SecretValues::default(), mode).await
    }

    /// The same, with values of its secrets. Values that were known and do not come again stay as they were.
    ///
    /// # Errors
    /// As [`ServiceManager::apply`].
    pub async fn apply_with(
        &self,
        stack: StackSpec,
        secrets: SecretValues,
        mode: ApplyMode,
    ) -> Result<Applied, ApplyError> {
        let stack = Box::new(stack);
        let answer = self.ask(|reply| Request::Apply {
            stack,
            secrets,
            mode,
            reply,
        });
        answer.await.unwrap_or(Err(ApplyError::Ended))
    }

    /// Does something with units of a stack; without names, with all of them. Returns once it is decided, not once it
    /// is done: see [`ServiceManager::wait`].
    ///
    /// # Errors
    /// [`OrderError`]; nothing was done then.
    pub async fn order(
        &self,
        stack: &StackName,
        units: &[UnitName],
        order: Order,
    ) -> Result<Ordered, OrderError> {
        let answer = self.ask(|reply| Request::Command {
            stack: stack.clone(),
            units: units.to_vec(),
            order,
            reply,
        });
        answer.await.unwrap_or(Err(OrderError::Ended))
    }

    /// Waits until every unit (or, with `any`, one of them) has come as far as the goal, or never can.
    ///
    /// # Errors
    /// [`OrderError`] when there are no such units.
    ///
    /// # Cancellation
    /// Dropping the future ends the waiting, and nothing else.
    pub async fn wait(
        &self,
        stack: &StackName,
        units: &[UnitName],
        goal: Goal,
        any: bool,
    ) -> Result<Waited, OrderError> {
        let answer = self.ask(|reply| Request::Wait {
            stack: stack.clone(),
            units: units.to_vec(),
            goal,
            any,
            ordered_down: false,
            reply,
        });
        answer.await.unwrap_or(Err(OrderError::Ended))
    }

    /// Waits until every unit is gone, for whoever has ordered them down: [`Waited::Never`] at once when another order
    /// has started one again since.
    ///
    /// # Errors
    /// As [`ServiceManager::wait`].
    ///
    /// # Cancellation
    /// As for [`ServiceManager::wait`].
    pub async fn wait_down(
        &self,
        stack: &StackName,
        units: &[UnitName],
    ) -> Result<Waited, OrderError> {
        let answer = self.ask(|reply| Request::Wait {
            stack: stack.clone(),
            units: units.to_vec(),
            goal: Goal::Stopped,
            any: false,
            ordered_down: true,
            reply,
        });
        answer.await.unwrap_or(Err(OrderError::Ended))
    }

    /// How a stack stands.
    ///
    /// # Errors
    /// [`OrderError::UnknownStack`], [`OrderError::Ended`].
    pub async fn status(&self, stack: &StackName) -> Result<StackStatus, OrderError> {
        let answer = self.ask(|reply| Request::Status {
            stack: stack.clone(),
            reply,
        });
        answer.await.unwrap_or(Err(OrderError::Ended))
    }

    /// How a stack stands, as JSON of [`StackStatus`]: for those who pass it on. While nothing happens, the same text is
    /// handed out again.
    ///
    /// # Errors
    /// As [`ServiceManager::status`].
    pub async fn status_text(&self, stack: &StackName) -> Result<StatusText, OrderError> {
        let answer = self.ask(|reply| Request::StatusText {
            stack: stack.clone(),
            reply,
        });
        answer.await.unwrap_or(Err(OrderError::Ended))
    }

    /// Every stack in short, by name; none when the manager has ended.
    pub async fn overview(&self) -> Vec<StackOverview> {
        self.ask(|reply| Request::Overview { reply })
            .await
            .unwrap_or_default()
    }

    /// The definitions of all stacks; none when the manager has ended.
    pub async fn stacks(&self) -> Vec<Arc<StackSpec>> {
        self.ask(|reply| Request::Stacks { reply })
            .await
            .unwrap_or_default()
    }

    /// Whether its end has come, so that what it says of no stack means nothing.
    pub fn has_ended(&self) -> bool {
        self.shared.inbox.is_closed()
    }

    /// Why a unit is where it is, down to the causes.
    ///
    /// # Errors
    /// [`OrderError`] when there is no such unit.
    pub async fn why(&self, stack: &StackName, unit: &UnitName) -> Result<Why, OrderError> {
        let answer = self.ask(|reply| Request::Why {
            stack: stack.clone(),
            unit: unit.clone(),
            reply,
        });
        answer.await.unwrap_or(Err(OrderError::Ended))
    }

    /// How units are reached by one of them, or by this machine (`None`), and why so. Units are named as users do: `api`,
    /// `api/2` for a replica; no unit: all of the stack.
    ///
    /// # Errors
    /// [`NetError`] when there is no such unit, or it is of another stack. That there is no way is no error:
    /// [`NetUnit::refusal`](crate::report::NetUnit) says why.
    pub async fn net(
        &self,
        stack: &StackName,
        asker: Option<&str>,
        unit: Option<&str>,
    ) -> Result<NetView, NetError> {
        let answer = self.ask(|reply| Request::Net {
            stack: stack.clone(),
            asker: asker.map(str::to_owned),
            unit: unit.map(str::to_owned),
            reply,
        });
        let mut view = answer
            .await
            .unwrap_or(Err(NetError::Order(OrderError::Ended)))?;
        if supervisor::forwarders(&mut view).next().is_some() {
            let listeners = blocking::unblock(listening::listeners).await;
            supervisor::see_forwarders(&mut view, &listeners);
        }
        Ok(view)
    }

    /// Forgets a stack whose units are all gone, and what they said; its volumes only when it is said so, and then also
    /// those of a stack that was forgotten before. Gives the names of the volumes that were removed.
    ///
    /// # Errors
    /// [`ForgetError`]; nothing was forgotten then, except where [`ForgetError::Leftover`] says what was not.
    pub async fn forget(
        &self,
        stack: &StackName,
        volumes: Volumes,
    ) -> Result<Vec<String>, ForgetError> {
        let answer = self.ask(|reply| Request::Forget {
            stack: stack.clone(),
            reply,
        });
        let with_volumes = volumes == Volumes::Remove;
        match answer.await.unwrap_or(Err(ForgetError::Ended)) {
            // Its volumes may have outlived it.
            Err(ForgetError::UnknownStack { .. }) if with_volumes => {}
            outcome => {
                outcome?;
                if let Err(error) = self.shared.logs.forget(stack).await {
                    tracing::warn!(%stack, %error, "what its units said is left behind");
                }
            }
        }
        let left = self.end_one_offs(stack, None).await;
        left.map_err(|OneOffLeft { reason }| ForgetError::Leftover {
            stack: stack.to_string(),
            reason,
        })?;
        let mut removed = Vec::new();
        for executor in self.shared.executors.all() {
            let forgotten = executor.forget_stack(stack, with_volumes).await;
            removed.extend(forgotten.map_err(|error| ForgetError::Leftover {
                stack: stack.to_string(),
                reason: crate::error_chain(&error),
            })?);
        }
        Ok(removed)
    }

    /// The names of volumes that somebody else made under this stack's name: they are never removed. Those that nobody can
    /// name now are left out.
    pub async fn volumes_of_others(&self, stack: &StackName) -> Vec<String> {
        let mut volumes = Vec::new();
        for executor in self.shared.executors.all() {
            volumes.extend(executor.volumes_of_others(stack).await);
        }
        volumes
    }

    /// Makes something ready that is run by the definition of a unit, and beside it: whoever asks begins it himself, and it
    /// ends with him.
    ///
    /// # Errors
    /// [`BeginError`]; nothing is left then.
    ///
    /// # Cancellation
    /// Dropping the future leaves a run that ends with its holder, as any.
    pub async fn one_off(
        &self,
        stack: &StackName,
        unit: &UnitName,
        wish: OneOffWish,
    ) -> Result<OneOffReady, BeginError> {
        let answer = self.ask(|reply| Request::OneOff {
            stack: stack.clone(),
            unit: unit.clone(),
            wish: Box::new(wish),
            reply,
        });
        answer.await.unwrap_or(Err(OrderError::Ended.into()))
    }

    /// Ends one-off runs of a stack, this one or all, and returns when nothing of them is left.
    ///
    /// # Errors
    /// [`OneOffLeft`], when something is; it is tried again and again then.
    pub async fn end_one_offs(
        &self,
        stack: &StackName,
        id: Option<&str>,
    ) -> Result<(), OneOffLeft> {
        let ended = self.ask(|reply| Request::EndOneOffs {
            stack: stack.clone(),
            id: id.map(str::to_owned),
            reply,
        });
        for over in ended.await.unwrap_or_default() {
            // Closed when it is over.
            if let Ok(reason) = over.recv().await {
                return Err(OneOffLeft { reason });
            }
        }
        Ok(())
    }

    /// Events from this sequence number on (`None`: from now on). The subscription ends when its reader falls more than
    /// `capacity` events behind: subscribe again after the last one seen, and nothing is lost.
    pub async fn subscribe(&self, since: Option<u64>, capacity: usize) -> Subscribed {
        let answer = self
            .ask(|reply| Request::Subscribe {
                since,
                capacity,
                reply,
            })
            .await;
        answer.unwrap_or_else(|| Subscribed {
            missed: 0,
            events: async_channel::bounded(1).1,
        })
    }

    /// What the units have said.
    pub fn logs(&self) -> &LogStore {
        &self.shared.logs
    }

    /// Ends the manager: stops every unit first, or, with `keep`, leaves them to the next owner of the state. When it
    /// returns, the state directory is free.
    pub async fn shutdown(&self, keep: bool) {
        self.ask(|reply| Request::Shutdown { keep, reply }).await;
        // Nothing is ever sent: the channel closes.
        let Err(_closed) = self.shared.ended.recv().await else {
            return;
        };
    }

    /// Services are left running when the last handle goes. Where no state is kept, nobody can find them then.
    pub fn detach(&self) {
        self.shared.detached.store(true, Ordering::Release);
    }

    /// Asks the supervisor; `None` when it has ended.
    async fn ask<T>(&self, request: impl FnOnce(Sender<T>) -> Request) -> Option<T> {
        let (reply, answer) = async_channel::bounded(1);
        let request = Inbox::Request(request(reply));
        self.shared.inbox.try_send(request).ok()?;
        answer.recv().await.ok()
    }
}
