//! The set-up that tests of the supervisor share: a manager over programs that do what the test says.

use std::time::Duration;

use service_orchestration::ServiceManager;
use service_orchestration::model::Goal;
use service_orchestration::report::UnitStatus;
use service_orchestration::spec::{RestartWhen, StackSpec};
use service_orchestration::supervisor::{ApplyMode, Order, Waited};
use testkit::{eventually_async, temp_dir, within};

use super::shelf::Shelf;
use super::{Stage, stack, stack_name, unit};

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const START: Order = Order::Start {
    no_dependencies: false,
    again: false,
};

pub(crate) const STOP: Order = Order::Stop {
    with_dependents: false,
    force: false,
    grace: None,
};

/// A manager whose services outlive it, its store and its programs.
pub(crate) struct World {
    pub(crate) stage: Stage,
    pub(crate) shelf: Shelf,
    pub(crate) home: tempfile::TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            stage: Stage::default(),
            shelf: Shelf::default(),
            home: temp_dir(),
        }
    }

    /// The next manager of the same state and programs.
    pub(crate) async fn manager(&self) -> ServiceManager {
        ServiceManager::builder()
            .state_dir(self.home.path())
            .store(self.shelf.clone())
            .executor(self.stage.clone())
            .start()
            .await
            .expect("a private directory")
    }
}

/// A manager without state.
pub(crate) async fn manager(stage: &Stage) -> ServiceManager {
    ServiceManager::builder()
        .executor(stage.clone())
        .start()
        .await
        .expect("a manager without state")
}

/// Defines the stack; starts all of it and returns at once.
pub(crate) async fn begin(manager: &ServiceManager, spec: StackSpec) {
    manager
        .apply(spec, ApplyMode::Replace)
        .await
        .expect("a good stack");
    manager
        .order(&stack_name(), &[], START)
        .await
        .expect("known units");
}

/// As `begin`, and returns when all of it was launched.
pub(crate) async fn up(manager: &ServiceManager, spec: StackSpec) {
    begin(manager, spec).await;
    wait(manager, &[], Goal::Launched).await;
}

pub(crate) async fn wait(manager: &ServiceManager, names: &[&str], goal: Goal) -> Waited {
    let names: Vec<_> = names.iter().map(|name| unit(name)).collect();
    let stack = stack_name();
    let waiting = manager.wait(&stack, &names, goal, false);
    within(PATIENCE, "the units to come so far", waiting)
        .await
        .expect("known units")
}

pub(crate) async fn status(manager: &ServiceManager, name: &str) -> UnitStatus {
    let status = manager.status(&stack_name()).await.expect("a known stack");
    let found = status.items.into_iter().find(|item| item.name == name);
    found.expect("a known unit")
}

pub(crate) async fn comes_to(manager: &ServiceManager, name: &str, state: &str) {
    eventually_async(PATIENCE, state, || async {
        status(manager, name).await.state == state
    })
    .await;
}

/// A stack of units that are never restarted.
pub(crate) fn once(text: &str) -> StackSpec {
    let mut spec = stack(text);
    for unit in spec.units.values_mut() {
        unit.restart.when = RestartWhen::Never;
    }
    spec
}
