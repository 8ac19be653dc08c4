//! A world of programs that do what the test says, behind the executors' contract.
#![allow(dead_code)] // Each test file uses its part of it.

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
        Ok(Box::new(Playing {
            stage: self.clone(),
            id: order.instance_id,
            actor,
        }))
    }

    async fn adopt(&self, ticket: Ticket) -> Result<Adoption, AdoptError> {
        let scene = self.scene();
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

    async fn forget(&self, _instance_id: &str) {}

    async fn known(&self) -> BTreeSet<String> {
        BTreeSet::new()
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
    async fn stop(&self, _stop: &StopOrder) -> Result<(), ControlError> {
        self.stage.scene().acts.push(format!("stop {}", self.unit));
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
        name: stack_name(),
        description: None,
        directory: "/".into(),
        files: vec![],
        environment: BTreeMap::from([("PATH".into(), "/usr/bin:/bin".into())]),
        networks: BTreeMap::new(),
        units,
    }
}
