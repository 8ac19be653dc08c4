//! Attempts that stand on a ground: it is made first, its addresses are told, and it can be out of reach.

mod common;
#[path = "supervisor_ground/found.rs"]
mod found;
#[path = "supervisor_ground/progress.rs"]
mod progress;
#[path = "supervisor_ground/reach.rs"]
mod reach;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_channel::{Receiver, Sender};
use async_trait::async_trait;
use command_executor::event::ProcessEventStream;
use common::world::{PATIENCE, START, STOP, World, begin, comes_to, status, wait};
use common::{Stage, stack, stack_name, unit};
use service_orchestration::ServiceManager;
use service_orchestration::config::ServiceConfig;
use service_orchestration::executors::*;
use service_orchestration::model::Goal;
use service_orchestration::report::{ExitInfo, Health};
use service_orchestration::spec::*;
use service_orchestration::supervisor::Waited;
use testkit::{eventually, eventually_async};

/// The executor of containers in a world of programs that do what the test says.
#[derive(Clone, Debug, Default)]
struct Yard {
    stage: Stage,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// How often a ground cannot be made yet.
    failures: u32,
    /// How often nobody can be asked for one.
    unanswered: u32,
    /// Grounds that are made only once something comes through here.
    door: Option<Receiver<()>>,
    begun: u32,
    given_up: u32,
    orders: BTreeMap<String, LaunchOrder>,
    news: BTreeMap<String, Sender<AttemptEvent>>,
    /// Who wants to know what is started.
    starts: Option<Sender<Started>>,
    /// Whose containers somebody else has started.
    foreign: BTreeSet<String>,
    asked: u32,
}

impl Yard {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics while it holds it")
    }

    fn order(&self, unit: &str) -> LaunchOrder {
        self.state().orders[unit].clone()
    }

    /// Something happens to a unit.
    fn tell(&self, unit: &str, event: AttemptEvent) {
        let sent = self.state().news[unit].try_send(event);
        sent.expect("it is watched");
    }

    async fn manager(&self, world: &World) -> ServiceManager {
        let builder = ServiceManager::builder()
            .state_dir(world.home.path())
            .store(world.shelf.clone())
            .executor(self.stage.clone())
            .executor(self.clone());
        builder.start().await.expect("a private directory")
    }

    /// With what else happens to it than its end.
    fn heard(
        &self,
        unit: String,
        attempt: Box<dyn RunningAttempt>,
        by_somebody_else: bool,
    ) -> Box<dyn RunningAttempt> {
        let (sender, news) = async_channel::unbounded();
        self.state().news.insert(unit, sender);
        Box::new(Standing {
            attempt,
            news,
            by_somebody_else,
        })
    }
}

/// Counts a ground whose making is given up.
struct Begun<'a>(&'a Yard, bool);

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        self.0.state().given_up += u32::from(!self.1);
    }
}

struct Standing {
    attempt: Box<dyn RunningAttempt>,
    news: Receiver<AttemptEvent>,
    by_somebody_else: bool,
}

#[async_trait]
impl RunningAttempt for Standing {
    fn facts(&self) -> AttemptFacts {
        AttemptFacts {
            is_by_somebody_else: self.by_somebody_else,
            ..self.attempt.facts()
        }
    }

    fn control(&self) -> Arc<dyn AttemptControl> {
        self.attempt.control()
    }

    async fn next(&mut self) -> AttemptEvent {
        let news = async {
            match self.news.recv().await {
                Ok(event) => event,
                Err(async_channel::RecvError) => std::future::pending().await,
            }
        };
        futures_lite::future::or(news, self.attempt.next()).await
    }
}

#[async_trait]
impl ServiceExecutor for Yard {
    fn kind(&self) -> TargetKind {
        TargetKind::Docker
    }

    fn needs_ground(&self, _target: &TargetSpec) -> bool {
        true
    }

    async fn prepare(&self, order: GroundOrder) -> Result<Ground, LaunchError> {
        let mut making = Begun(self, false);
        let door = {
            let mut state = self.state();
            state.begun += 1;
            state.door.clone()
        };
        if let Some(door) = door {
            order.progress.tell(Making {
                activity: Activity::Building,
                what: "building db:1 (step 1 of 2)".into(),
                output: vec!["compiling".into()],
            });
            door.recv().await.expect("the test holds the other side");
        }
        making.1 = true;
        let unanswered = self.state().unanswered;
        if unanswered > 0 {
            self.state().unanswered -= 1;
            return Err(LaunchError::Unreachable {
                unit: order.unit.local_name(),
                source: "no engine at /run/docker.sock".into(),
            });
        }
        let failures = self.state().failures;
        if failures > 0 {
            self.state().failures -= 1;
            return Err(LaunchError::Machine {
                program: order.unit.local_name(),
                source: "the engine is away".into(),
            });
        }
        let attachment = service_registry::Attachment {
            ip: None,
            gateway: Some(GATEWAY),
        };
        Ok(Ground {
            networks: BTreeMap::from([("shop_default".to_owned(), attachment)]),
            ..Ground::default()
        })
    }

    async fn launch(&self, order: LaunchOrder) -> Result<Box<dyn RunningAttempt>, LaunchError> {
        let unit = order.unit.local_name();
        self.state().orders.insert(unit.clone(), order.clone());
        let by_somebody_else = self.state().foreign.remove(&unit);
        let attempt = self.stage.launch(order).await?;
        Ok(self.heard(unit, attempt, by_somebody_else))
    }

    async fn adopt(&self, ticket: Ticket) -> Result<Adoption, AdoptError> {
        let unit = ticket.unit.local_name();
        Ok(match self.stage.adopt(ticket).await? {
            Adoption::Alive(attempt) => Adoption::Alive(self.heard(unit, attempt, false)),
            gone @ (Adoption::Ended(_) | Adoption::NeverBegan) => gone,
        })
    }

    async fn forget(&self, instance_id: &str) {
        self.stage.forget(instance_id).await;
    }

    async fn known(&self) -> BTreeSet<String> {
        BTreeSet::new()
    }

    fn starts(&self) -> Option<Receiver<Started>> {
        let (sender, starts) = async_channel::unbounded();
        self.state().starts = Some(sender);
        Some(starts)
    }

    async fn runs(&self, unit: &UnitId) -> bool {
        self.state().asked += 1;
        self.state().foreign.contains(&unit.local_name())
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

const GATEWAY: IpAddr = IpAddr::V4(Ipv4Addr::new(172, 30, 0, 1));

/// The stack, with these units as containers.
fn with_containers(text: &str, names: &[&str]) -> StackSpec {
    let mut spec = stack(text);
    for name in names {
        let unit = spec.units.get_mut(&unit(name)).expect("defined");
        unit.target = TargetSpec::Docker(Box::default());
        unit.restart.backoff.initial = Duration::from_millis(1);
    }
    spec
}

fn ready() -> AttemptEvent {
    AttemptEvent::Notified {
        ready: true,
        status: None,
    }
}

fn set_up() -> (Yard, World) {
    let yard = Yard::default();
    let world = World {
        stage: yard.stage.clone(),
        ..World::new()
    };
    (yard, world)
}

#[test]
fn a_ground_that_cannot_be_made_is_tried_again_and_says_why() {
    smol::block_on(async {
        let (yard, world) = set_up();
        yard.state().failures = u32::MAX;
        let manager = yard.manager(&world).await;
        let mut spec = with_containers("db", &["db"]);
        let db = spec.units.get_mut(&unit("db")).expect("defined");
        db.restart.backoff = Backoff::default();
        begin(&manager, spec).await;
        eventually_async(PATIENCE, "it waits, and says why", async || {
            let said = status(&manager, "db").await;
            let reason = said.reason.unwrap_or_default();
            said.state == "backoff" && reason.contains("the engine is away")
        })
        .await;
        assert!(yard.stage.acts().is_empty(), "nothing was launched");
        eventually(PATIENCE, "it is tried again", || yard.state().begun > 1).await;
        yard.state().failures = 0;
        let again = manager.order(&stack_name(), &[], START).await;
        again.expect("known units");
        assert_eq!(wait(&manager, &[], Goal::Ready).await, Waited::Reached);
        assert_eq!(status(&manager, "db").await.reason, None);
        assert_eq!(yard.stage.acts(), ["launch db"]);
    });
}

#[test]
fn a_stop_gives_up_a_ground_that_is_being_made() {
    smol::block_on(async {
        let (yard, world) = set_up();
        let shop = stack_name();
        let (_never, door) = async_channel::unbounded();
        yard.state().door = Some(door);
        let manager = yard.manager(&world).await;
        begin(&manager, with_containers("db", &["db"])).await;
        eventually(PATIENCE, "a ground is made", || yard.state().begun == 1).await;
        let stopping = manager.order(&shop, &[], STOP).await;
        stopping.expect("known units");
        assert_eq!(wait(&manager, &[], Goal::Stopped).await, Waited::Reached);
        eventually(PATIENCE, "it is given up", || yard.state().given_up == 1).await;
        assert_eq!(status(&manager, "db").await.state, "idle");
        assert!(yard.stage.acts().is_empty(), "{:?}", yard.stage.acts());
        // It starts as any other afterwards.
        yard.state().door = None;
        let starting = manager.order(&shop, &[], START).await;
        starting.expect("known units");
        assert_eq!(wait(&manager, &[], Goal::Ready).await, Waited::Reached);
    });
}

#[test]
fn what_it_needs_of_this_machine_is_told_by_the_way_through_its_ground() {
    smol::block_on(async {
        let (yard, world) = set_up();
        let manager = yard.manager(&world).await;
        let mut spec = with_containers("api; worker needs api", &["worker"]);
        let api = spec.units.get_mut(&unit("api")).expect("defined");
        api.ports.push(PortSpec::new(PortNumber::Fixed(8080)));
        begin(&manager, spec).await;
        assert_eq!(wait(&manager, &[], Goal::Ready).await, Waited::Reached);
        let order = yard.order("worker");
        let own = order.container.expect("a container");
        assert_eq!(own.hosts, [("api".to_owned(), GATEWAY)]);
        let way = Forward {
            listen: SocketAddr::new(GATEWAY, 8080),
            to: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
        };
        assert_eq!(own.forwards, [way]);
        assert_eq!(order.env["API_ADDR"], format!("{GATEWAY}:8080"));
        assert!(!order.env.contains_key("PATH"), "nothing of the caller's");
    });
}

#[test]
fn on_the_machines_own_network_a_container_finds_what_it_needs_by_name_and_without_a_forwarder() {
    smol::block_on(async {
        let (yard, world) = set_up();
        let manager = yard.manager(&world).await;
        let mut spec = with_containers("api; worker needs api", &["worker"]);
        let api = spec.units.get_mut(&unit("api")).expect("defined");
        api.ports.push(PortSpec::new(PortNumber::Fixed(8080)));
        let worker = spec.units.get_mut(&unit("worker")).expect("defined");
        worker.target = TargetSpec::Docker(Box::new(ContainerTarget {
            network: Some("host".into()),
            ..ContainerTarget::default()
        }));
        begin(&manager, spec).await;
        assert_eq!(wait(&manager, &[], Goal::Ready).await, Waited::Reached);
        let own = yard.order("worker").container.expect("a container");
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        assert_eq!(own.hosts, [("api".to_owned(), here)]);
        assert_eq!(own.forwards, []);
    });
}

#[test]
fn a_port_that_was_chosen_outside_is_kept_over_restarts_and_a_restore() {
    smol::block_on(async {
        let (yard, world) = set_up();
        let first = yard.manager(&world).await;
        let mut spec = with_containers("db", &["db"]);
        let db = spec.units.get_mut(&unit("db")).expect("defined");
        db.ports.push(PortSpec {
            published: Some(Published {
                address: None,
                port: PortNumber::Auto,
            }),
            ..PortSpec::new(PortNumber::Fixed(5432))
        });
        begin(&first, spec).await;
        comes_to(&first, "db", "ready").await;
        let published = |yard: &Yard| {
            let own = yard.order("db").container.expect("a container");
            assert_eq!(own.ports[0].inside, 5432);
            own.ports[0].published.expect("it is published")
        };
        let at = published(&yard);
        assert!(at.ip().is_loopback());
        yard.stage.exits("db", 1);
        eventually(PATIENCE, "it runs again", || yard.order("db").attempt == 2).await;
        comes_to(&first, "db", "ready").await;
        assert_eq!(published(&yard), at);
        first.shutdown(true).await;
        let next = yard.manager(&world).await;
        comes_to(&next, "db", "ready").await;
        assert_eq!(status(&next, "db").await.ports["5432"], at.port());
        yard.stage.exits("db", 1);
        eventually(PATIENCE, "it runs again", || yard.order("db").attempt == 3).await;
        assert_eq!(published(&yard), at);
        comes_to(&next, "db", "ready").await;
    });
}
