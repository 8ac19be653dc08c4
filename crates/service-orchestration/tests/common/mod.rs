//! A world of programs that do what the test says, behind the executors' contract.
#![allow(dead_code, reason = "each test program uses a part of it")]

pub(crate) mod shelf;
pub(crate) mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use async_channel::{Receiver, Sender};
use async_trait::async_trait;
use command_executor::event::ProcessEventStream;
use service_orchestration::config::ServiceConfig;
use service_orchestration::executors::*;
use service_orchestration::report::ExitInfo;
use service_orchestration::spec::*;

/// Programs that live in this process. A clone is the same world: it survives the manager.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stage(Arc<Mutex<Scene>>);

#[derive(Debug, Default)]
pub(crate) struct Scene {
    /// What was done, in order: `launch db`, `stop api`, `kill api`.
    pub(crate) acts: Vec<String>,
    pub(crate) alive: BTreeMap<String, Actor>,
    /// Programs that do not end when asked.
    pub(crate) deaf: BTreeSet<String>,
    /// Programs that cannot be launched.
    pub(crate) missing: BTreeSet<String>,
    /// Programs that do not end when killed either.
    pub(crate) immortal: BTreeSet<String>,
    /// Programs that are launched only once something comes through here.
    pub(crate) doors: BTreeMap<String, Receiver<()>>,
    /// Programs that are launched without anybody learning of it.
    pub(crate) unclear: BTreeSet<String>,
    /// Programs that cannot be found again for so many times.
    pub(crate) hidden: BTreeMap<String, u32>,
    /// Programs of which nothing was launched when they are looked for.
    pub(crate) unbegun: BTreeSet<String>,
    /// What was known of attempts that were looked for.
    pub(crate) tickets: Vec<Ticket>,
    /// What is kept of attempts: made by a launch, gone when it is forgotten.
    pub(crate) kept: BTreeSet<String>,
    /// How programs were asked to end: whom, and how long it may take.
    pub(crate) graces: Vec<(String, std::time::Duration)>,
    /// How programs end that nobody watched.
    pub(crate) ended: BTreeMap<String, ExitInfo>,
}

#[derive(Clone, Debug)]
pub(crate) struct Actor {
    pub(crate) unit: String,
    pub(crate) attempt: u64,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) command: Vec<String>,
    exit: Sender<ExitInfo>,
    watch: Receiver<ExitInfo>,
}

impl Stage {
    pub(crate) fn scene(&self) -> MutexGuard<'_, Scene> {
        self.0
            .lock()
            .expect("no test panics while it holds the scene")
    }

    pub(crate) fn acts(&self) -> Vec<String> {
        self.scene().acts.clone()
    }

    pub(crate) fn actor(&self, unit: &str) -> Option<Actor> {
        self.scene()
            .alive
            .values()
            .find(|actor| actor.unit == unit)
            .cloned()
    }

    /// The program of this unit ends by itself.
    pub(crate) fn exits(&self, unit: &str, code: i32) {
        let exit = ExitInfo {
            exit_code: Some(code),
            ..ExitInfo::default()
        };
        self.ends(unit, exit);
    }

    fn ends(&self, unit: &str, exit: ExitInfo) {
        let mut scene = self.scene();
        let found = scene
            .alive
            .iter()
            .find(|(_, actor)| actor.unit == unit)
            .map(|(id, _)| id.clone());
        if let Some(id) = found {
            let actor = scene.alive.remove(&id).expect("it was just found");
            scene.ended.insert(id, exit.clone());
            drop(actor.exit.try_send(exit));
        }
    }
}

#[async_trait]
impl ServiceExecutor for Stage {
    fn kind(&self) -> TargetKind {
        TargetKind::Process
    }

    async fn launch(&self, order: LaunchOrder) -> Result<Box<dyn RunningAttempt>, LaunchError> {
        let unit = order.unit.local_name();
        let door = self.scene().doors.remove(&unit);
        if let Some(door) = door {
            door.recv().await.expect("the test holds the other side");
        }
        let mut scene = self.scene();
        scene.acts.push(format!("launch {unit}"));
        if scene.missing.contains(&unit) {
            return Err(LaunchError::NotRunnable {
                program: unit,
                reason: "it is missing".into(),
            });
        }
        assert!(
            !scene.alive.values().any(|actor| actor.unit == unit),
            "two live attempts of {unit}"
        );
        let (exit, watch) = async_channel::bounded(1);
        let actor = Actor {
            unit,
            attempt: order.attempt,
            env: order.env,
            command: order.command,
            exit,
            watch,
        };
        scene.alive.insert(order.instance_id.clone(), actor.clone());
        scene.kept.insert(order.instance_id.clone());
        if scene.unclear.remove(&order.unit.local_name()) {
            return Err(LaunchError::Unclear(AdoptError {
                unit: order.unit,
                instance_id: order.instance_id,
                source: "nobody answers".into(),
            }));
        }
        Ok(Box::new(Playing {
            stage: self.clone(),
            id: order.instance_id,
            actor,
        }))
    }

    async fn adopt(&self, ticket: Ticket) -> Result<Adoption, AdoptError> {
        let mut scene = self.scene();
        if let Some(times @ 1..) = scene.hidden.get_mut(&ticket.unit.local_name()) {
            *times -= 1;
            return Err(AdoptError {
                unit: ticket.unit,
                instance_id: ticket.instance_id,
                source: "nobody answers".into(),
            });
        }
        scene.tickets.push(ticket.clone());
        if scene.unbegun.contains(&ticket.unit.local_name()) {
            return Ok(Adoption::NeverBegan);
        }
        Ok(match scene.alive.get(&ticket.instance_id) {
            Some(actor) => Adoption::Alive(Box::new(Playing {
                stage: self.clone(),
                id: ticket.instance_id,
                actor: actor.clone(),
            })),
            None => Adoption::Ended(scene.ended.get(&ticket.instance_id).cloned().unwrap_or(
                ExitInfo {
                    exit_unknown: true,
                    ..ExitInfo::default()
                },
            )),
        })
    }

    async fn forget(&self, instance_id: &str) {
        self.scene().kept.remove(instance_id);
    }

    async fn known(&self) -> BTreeSet<String> {
        self.scene().kept.clone()
    }

    async fn start(&self, _config: ServiceConfig) -> Result<RunningService, LaunchError> {
        unreachable!("the tests go through the manager")
    }

    async fn stop(&self, _service: &RunningService) -> Result<ExitInfo, ControlError> {
        unreachable!("the tests go through the manager")
    }

    async fn stream_events(
        &self,
        _service: &RunningService,
    ) -> Result<ProcessEventStream, LaunchError> {
        unreachable!("the tests go through the manager")
    }
}

#[derive(Debug)]
struct Playing {
    stage: Stage,
    id: String,
    actor: Actor,
}

#[async_trait]
impl RunningAttempt for Playing {
    fn facts(&self) -> AttemptFacts {
        AttemptFacts {
            pid: Some(1000),
            ticket: Some(self.id.as_str().into()),
            ..AttemptFacts::default()
        }
    }

    fn control(&self) -> Arc<dyn AttemptControl> {
        Arc::new(Direction {
            stage: self.stage.clone(),
            unit: self.actor.unit.clone(),
        })
    }

    async fn next(&mut self) -> AttemptEvent {
        match self.actor.watch.recv().await {
            Ok(exit) => AttemptEvent::Exited(exit),
            Err(_) => std::future::pending().await,
        }
    }
}

#[derive(Debug)]
struct Direction {
    stage: Stage,
    unit: String,
}

#[async_trait]
impl AttemptControl for Direction {
    async fn stop(&self, stop: &StopOrder) -> Result<(), ControlError> {
        let mut scene = self.stage.scene();
        scene.acts.push(format!("stop {}", self.unit));
        scene.graces.push((self.unit.clone(), stop.grace));
        drop(scene);
        if !self.stage.scene().deaf.contains(&self.unit) {
            self.stage.ends(
                &self.unit,
                ExitInfo {
                    signal: Some(15),
                    ..ExitInfo::default()
                },
            );
        }
        Ok(())
    }

    async fn kill(&self) -> Result<(), ControlError> {
        self.stage.scene().acts.push(format!("kill {}", self.unit));
        if self.stage.scene().immortal.contains(&self.unit) {
            return Ok(());
        }
        self.stage.ends(
            &self.unit,
            ExitInfo {
                signal: Some(9),
                ..ExitInfo::default()
            },
        );
        Ok(())
    }
}

pub(crate) fn unit(name: &str) -> UnitName {
    UnitName::new(name).expect("a legal name")
}

pub(crate) fn stack_name() -> StackName {
    StackName::new("shop").expect("a legal name")
}

/// A stack from lines like `api needs db, cache` and `task seed needs db`.
pub(crate) fn stack(text: &str) -> StackSpec {
    let mut units = BTreeMap::new();
    for line in text
        .split(';')
        .map(str::trim)
        .filter(|line| !line.is_empty())
    {
        let (head, needs) = line.split_once(" needs ").unwrap_or((line, ""));
        let (kind, name) = match head.strip_prefix("task ") {
            Some(name) => (UnitKind::Task, name),
            None => (UnitKind::Service, head),
        };
        let target = TargetSpec::Process(ProcessTarget {
            program: name.into(),
            ..ProcessTarget::default()
        });
        let mut spec = ServiceSpec::new(unit(name), kind, target);
        for other in needs
            .split(',')
            .map(str::trim)
            .filter(|other| !other.is_empty())
        {
            spec.dependencies.push(Dependency {
                unit: unit(other),
                gate: None,
                required: true,
                restart: false,
                origin: Origin::default(),
            });
        }
        units.insert(spec.name.clone(), spec);
    }
    StackSpec {
        inactive: std::collections::BTreeMap::new(),
        volumes: Default::default(),
        name: stack_name(),
        description: None,
        directory: "/".into(),
        files: vec![],
        sources: Default::default(),
        environment: BTreeMap::from([("PATH".into(), "/usr/bin:/bin".into())]),
        networks: BTreeMap::new(),
        units,
        log_total: None,
        secrets: Default::default(),
    }
}
