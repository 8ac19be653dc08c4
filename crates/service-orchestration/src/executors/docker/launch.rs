//! Making a container, or taking the one that the unit has had, and starting it.
//!
//! Owns: the order of it. A new one is there before a former one goes, and what tells the attempt's run from others is on
//! the disk before the start, so whoever dies in between leaves what the next launch, or adoption, goes on from.

use std::time::{Duration, Instant};

use async_io::Timer;
use container_engine::{ContainerConfig, ContainerId, ContainerSummary, Engine, EngineError};

use super::check::{self, Check};
use super::identity::{
    HASH, container_name, hash_labels, labels, of_unit, project_labels, stop_label,
};
use super::keep::{self, Choice, Former, Wanted};
use super::name::{self, NameError};
use super::past::Past;
use super::pump::{Output, PumpError};
use super::record::Record;
use super::{
    RunningContainer, Shared, create, gone_is_fine, image, machine, others, port, refusal, rejoin,
    volume,
};
use crate::executors::{
    AdoptError, CheckOrder, ContainerOrder, LaunchError, LaunchOrder, RunningAttempt,
};
use crate::spec::{ContainerTarget, TargetSpec};

pub(super) async fn launch(
    shared: &Shared,
    order: LaunchOrder,
) -> Result<Box<dyn RunningAttempt>, LaunchError> {
    let launch = Launch::of(shared, &order)?;
    let _busy = shared.busy.enter(&order.unit);
    let host = shared.site.facts(&order.unit).await?;
    let mut renew = false;
    loop {
        let error = match launch.run(renew).await {
            Ok(running) => return Ok(Box::new(running.on(&shared.site, host))),
            Err(error) => error,
        };
        match error {
            // What it stood on is gone, or it is itself: a new one needs neither.
            Trouble::Again(EngineError::NotFound { .. }) if !renew => renew = true,
            Trouble::Again(error) | Trouble::Engine(error) => {
                return Err(refused(&order, error));
            }
            Trouble::Launch(error) => return Err(error),
        }
    }
}

/// One attempt, and with whom it is made to run.
pub(super) struct Launch<'a> {
    shared: &'a Shared,
    pub(super) engine: &'a Engine,
    pub(super) home: String,
    order: &'a LaunchOrder,
    target: &'a ContainerTarget,
    own: &'a ContainerOrder,
}

/// Why it does not run.
pub(super) enum Trouble {
    Engine(EngineError),
    /// The same, with a container that the unit has had.
    Again(EngineError),
    Launch(LaunchError),
}

impl From<EngineError> for Trouble {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

impl From<LaunchError> for Trouble {
    fn from(error: LaunchError) -> Self {
        Self::Launch(error)
    }
}

/// A container that has only to be started.
struct Ready {
    id: ContainerId,
    output: Output,
    /// When the run before began.
    before_ns: Option<u64>,
    /// Where it comes from.
    origin: Origin,
}

/// Where a container comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// It was made for this run.
    Anew,
    /// The unit had it already.
    Again,
    /// The same, and somebody else has started it.
    Running,
}

impl<'a> Launch<'a> {
    pub(super) fn of(shared: &'a Shared, order: &'a LaunchOrder) -> Result<Self, LaunchError> {
        let (TargetSpec::Docker(target), Some(own)) = (&order.target, order.container.as_deref())
        else {
            return Err(LaunchError::WrongTarget {
                executor: "DockerExecutor",
                target: order.target.kind(),
            });
        };
        let engine = shared.engine();
        let home = shared.home.id();
        Ok(Self {
            shared,
            engine: engine.map_err(|error| refusal(&order.unit, error))?,
            home: home.map_err(|error| machine(&order.unit, error))?,
            order,
            target,
            own,
        })
    }

    /// Sees to the volumes that it mounts, and to the ways by which it reaches this machine. What is to be said of who else has
    /// those volumes open.
    pub(super) async fn surroundings(&self) -> Result<Option<String>, Trouble> {
        let stack = self.order.unit.stack.as_str();
        let (engine, home) = (self.engine, self.home.as_str());
        let of_others = volume::of_stack(engine, home, self.order, self.target, self.own).await?;
        let users = others::users(engine, home, &of_others).await;
        let _turn = self.shared.turn.lock().await;
        let ways = self.shared.forwarders.ensure(stack, &self.own.forwards);
        ways.await.map_err(|error| self.machine(error))?;
        Ok(users)
    }

    async fn run(&self, renew: bool) -> Result<RunningContainer, Trouble> {
        let users = self.surroundings().await?;
        let name = self.target.container_name.clone();
        let name = name.unwrap_or_else(|| container_name(&self.order.unit));
        let ready = match self.own.keep {
            true => self.kept(&name, renew).await?,
            false => self.fresh(&name).await?,
        };
        let heard = self.shared.hub.listen(self.engine, ready.id.clone());
        if let Err(error) = self.begin(&ready).await {
            self.give_up(&ready).await;
            return Err(error);
        }
        let unclear = |error: EngineError| {
            LaunchError::Unclear(AdoptError {
                unit: self.order.unit.clone(),
                instance_id: self.order.instance_id.clone(),
                source: error.into(),
            })
        };
        let seen = self.engine.inspect(&ready.id).await.map_err(unclear)?;
        let check = match self.own.keep || self.own.check == CheckOrder::Needed {
            true => check::find(self.engine, &seen).await,
            // Nobody asks a task how it is.
            false => Check::Unknown,
        };
        if self.own.check == CheckOrder::Needed && check == Check::Lacks {
            let at_once = Some(Duration::ZERO);
            gone_is_fine(self.engine.stop(&ready.id, at_once).await).map_err(unclear)?;
            self.give_up(&ready).await;
            return Err(self.not_runnable(NO_CHECK.into()).into());
        }
        let Ready {
            output,
            before_ns,
            origin,
            ..
        } = ready;
        let running =
            RunningContainer::new(self.engine.clone(), seen, heard, Some(output), before_ns)
                .beside(users);
        let running = running.with_check(check.known());
        Ok(match origin {
            Origin::Anew => running,
            Origin::Again => running.started_again(before_ns.is_some()),
            Origin::Running => running.started_by_somebody_else(),
        })
    }

    /// What it is made of, but for what says so.
    pub(super) async fn config(
        &self,
    ) -> Result<(ContainerConfig, Option<container_engine::Image>), Trouble> {
        let mut labels = labels(&self.home, self.order);
        let mut found = None;
        if self.target.image_signal || self.own.keep || !self.own.told.is_empty() {
            let name = image::name(self.own.image.as_deref(), &self.order.unit);
            found = Some(self.engine.image(&name).await?);
        }
        if let (true, Some(image)) = (self.target.image_signal, &found) {
            labels.extend(image.stop_signal.clone().map(stop_label));
        }
        let said = found.as_ref().map(|image| image.environment.clone());
        let said = said.unwrap_or_default();
        let config = create::config(self.order, self.target, self.own, labels, &said);
        let mut config = config.map_err(|error| self.machine(error.0))?;
        config.healthcheck = check::told(self.own.check, found.as_ref());
        Ok((config, found))
    }

    /// A container for this run alone.
    async fn fresh(&self, name: &str) -> Result<Ready, Trouble> {
        let output = Output::new(self.order);
        let (mut config, _) = self.config().await?;
        config.labels.extend([output.label()]);
        config.labels.extend(project_labels(self.order));
        config.open_stdin = self.order.input.is_some();
        let made = name::create(self.engine, &self.home, name, &config).await;
        Ok(Ready {
            id: made.map_err(|error| self.unnamed(error))?,
            output,
            before_ns: None,
            origin: Origin::Anew,
        })
    }

    /// The container of the unit, if what it was made by is what is wanted; else a new one in its place.
    async fn kept(&self, name: &str, renew: bool) -> Result<Ready, Trouble> {
        let (engine, home, unit) = (self.engine, self.home.as_str(), &self.order.unit);
        let (mut config, image) = self.config().await?;
        let image = image.expect("it is asked for where containers are kept");
        let volumes = volume::name_all(&mut config, &image, home, unit);
        let parts = [config.to_comparable(), image.id.into_bytes()];
        let hash = self.shared.home.hash(&[&parts[0], &parts[1]]);
        let hash = hash.map_err(|error| self.machine(error))?;
        let formers = engine.list(&of_unit(home, unit)).await?;
        let formers: Vec<Former> = formers.into_iter().map(former).collect();
        let hash_wanted = Wanted {
            name,
            hash: &hash,
            renew,
        };
        let plan = keep::plan(&formers, hash_wanted);
        for id in &plan.stop {
            tracing::warn!(unit = %unit, container = %id, "it was started by somebody else: it is stopped first");
            gone_is_fine(engine.stop(id, None).await)?;
        }
        let origin = match plan.choice {
            Choice::Again { .. } => Origin::Again,
            Choice::Running { .. } => Origin::Running,
            Choice::Anew { .. } => Origin::Anew,
        };
        let (id, rename) = match plan.choice {
            Choice::Again { id, rename } | Choice::Running { id, rename } => (id, rename),
            Choice::Anew { name_is_held } => {
                volume::make_all(engine, home, unit, &volumes).await?;
                config.labels.extend(hash_labels(&hash));
                // Not part of what it is made by: a stack may move.
                config.labels.extend(project_labels(self.order));
                let first = match name_is_held {
                    true => format!("{name}.{}", self.order.instance_id),
                    false => name.to_owned(),
                };
                let made = name::create(engine, home, &first, &config).await;
                (made.map_err(|error| self.unnamed(error))?, name_is_held)
            }
        };
        for former in &plan.remove {
            gone_is_fine(engine.remove(former, false, true).await)?;
        }
        if rename {
            let named = name::rename(engine, home, &id, name).await;
            named.map_err(|error| self.unnamed(error))?;
        }
        if origin == Origin::Anew && !plan.remove.is_empty() {
            volume::remove_others(engine, home, unit, &volumes).await?;
        }
        if origin != Origin::Anew {
            let joined = rejoin::networks(engine, &id, &config.network).await;
            joined.map_err(Trouble::Again)?;
        }
        self.record(id, origin).await
    }

    /// Writes down in which container the attempt will run, and what tells it from the runs before.
    async fn record(&self, id: ContainerId, origin: Origin) -> Result<Ready, Trouble> {
        let seen = self.engine.inspect(&id).await.map_err(Trouble::Again)?;
        let is_running = origin == Origin::Running && seen.state.status.is_alive();
        // What runs has begun: any start that it has is this attempt's.
        let before_ns = seen.state.started_ns.filter(|_| !is_running);
        let past = match before_ns {
            // Its end cannot be measured any more; the engine still tells when that was, and the log what was taken since.
            None if is_running => {
                let taken = Output::new(self.order).taken().await;
                let taken = taken.map_err(|error: PumpError| self.machine(error))?;
                let ended = seen.state.finished_ns.map(Past::until);
                ended.map(|past| past.and_taken(taken))
            }
            Some(_) => Past::of(self.engine, &id, seen.tty)
                .await
                .map_err(Trouble::Again)?,
            None => None,
        };
        let record = Record {
            stack: self.order.unit.stack.to_string(),
            container: id.as_str().to_owned(),
            before_ns,
            before_ended_ns: Some(seen.state.finished_ns),
            past,
            output: Output::new(self.order).policy().clone(),
        };
        let instance = &self.order.instance_id;
        let written = self.shared.records.write(instance, &record).await;
        written.map_err(|error| self.machine(error))?;
        Ok(Ready {
            id,
            output: Output::recorded(record, self.order.attempt),
            before_ns,
            origin: match origin {
                // It has ended in the meantime.
                Origin::Running if !is_running => Origin::Again,
                origin => origin,
            },
        })
    }

    async fn begin(&self, ready: &Ready) -> Result<(), Trouble> {
        let now = chrono::Utc::now()
            .timestamp_nanos_opt()
            .and_then(|ns| u64::try_from(ns).ok());
        let begun = ready.output.clone().begin(now.unwrap_or_default()).await;
        begun.map_err(|error: PumpError| self.machine(error))?;
        if ready.origin == Origin::Running {
            return Ok(());
        }
        let given_up_at = Instant::now() + UNTIL_A_PORT_IS_FREE;
        loop {
            let error = match self.engine.start(&ready.id).await {
                // Whether it runs is seen by looking, which comes next.
                Ok(()) | Err(EngineError::Lost { .. } | EngineError::TimedOut { .. }) => {
                    return Ok(());
                }
                Err(error) => error,
            };
            match error {
                // What has just ended may still hold it.
                EngineError::PortTaken { .. } if Instant::now() < given_up_at => {
                    Timer::after(BETWEEN_TRIES).await;
                }
                EngineError::PortTaken { port, .. } => {
                    return Err(self.port_taken(ready, port).await);
                }
                error if ready.origin != Origin::Anew => return Err(Trouble::Again(error)),
                error => return Err(error.into()),
            }
        }
    }

    /// Nothing of the attempt runs. What cannot be done now is found by labels and records.
    async fn give_up(&self, ready: &Ready) {
        if self.own.keep {
            drop(self.shared.records.remove(&self.order.instance_id).await);
        }
        if ready.origin == Origin::Anew {
            // Nobody has written anything in there that somebody could miss.
            drop(self.engine.remove(&ready.id, true, true).await);
        }
    }

    async fn port_taken(&self, ready: &Ready, port: Option<u16>) -> Trouble {
        let published = self.own.ports.iter().filter_map(|port| port.published);
        let Some(port) = port.or_else(|| port::suspect(published)) else {
            return self
                .not_runnable("a port that it publishes is taken".into())
                .into();
        };
        let reason = port::taken(self.shared, &self.home, port, ready.id.as_str()).await;
        Trouble::Launch(LaunchError::PortTaken {
            unit: self.order.unit.local_name(),
            port,
            reason,
        })
    }

    fn not_runnable(&self, reason: String) -> LaunchError {
        LaunchError::NotRunnable {
            program: self.order.unit.local_name(),
            reason,
        }
    }

    fn machine(&self, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> LaunchError {
        machine(&self.order.unit, error)
    }

    pub(super) fn unnamed(&self, error: NameError) -> Trouble {
        match error {
            NameError::Taken(whose) => self.not_runnable(whose).into(),
            NameError::Engine(error) => error.into(),
        }
    }
}

/// What the refusal of an engine means for a launch.
pub(super) fn refused(order: &LaunchOrder, error: EngineError) -> LaunchError {
    let unit = order.unit.local_name();
    let program = || program(order).unwrap_or_else(|| unit.clone());
    match error {
        EngineError::Refused { message, .. } if is_about_user(&message) => {
            LaunchError::NotPermitted {
                program: program(),
                reason: message,
            }
        }
        EngineError::NotRunnable { .. } => LaunchError::NotRunnable {
            program: program(),
            reason: crate::error_chain(&error),
        },
        EngineError::NoSuchImage { .. }
        | EngineError::NameTaken { .. }
        | EngineError::NotFound { .. } => LaunchError::NotRunnable {
            program: unit,
            reason: crate::error_chain(&error),
        },
        error => refusal(&order.unit, error),
    }
}

/// What was to be run, where it is not left to the image.
fn program(order: &LaunchOrder) -> Option<String> {
    let own = order.container.as_deref()?;
    let words = [&own.entrypoint, &own.command];
    words.into_iter().flatten().flatten().next().cloned()
}

fn former(container: ContainerSummary) -> Former {
    Former {
        hash: container.labels.get(HASH).cloned(),
        is_alive: container.status.is_alive(),
        created: container.created_seconds,
        id: container.id,
        name: container.name,
    }
}

/// The engines have no status for it.
pub(super) fn is_about_user(message: &str) -> bool {
    [
        "unable to find user",
        "unable to find group",
        "no matching entries in",
    ]
    .iter()
    .any(|words| message.contains(words))
}

const NO_CHECK: &str = "its image has no check of its own: give `readiness`/`healthcheck`, or depend on `service_started`";

/// An engine frees a port after it tells the end of what had it, or will not soon.
const UNTIL_A_PORT_IS_FREE: Duration = Duration::from_secs(3);
const BETWEEN_TRIES: Duration = Duration::from_millis(100);
