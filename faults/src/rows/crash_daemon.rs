//! The daemon killed at every system call by which it changes something.
//!
//! Owns: the operations that are cut short, and how each is brought to its end afterwards.

use crate::chance::Chance;
use crate::fault::Fault;
use crate::invariants::{Acknowledged, Checker};
use crate::place::Place;
use crate::proc;
use crate::row::Order;
use crate::tracer::{Effect, Point, Tracer};
use crate::wait::{PATIENCE, until_true};

/// Cuts `start` short.
pub(crate) fn start(order: &Order) -> Result<String, Fault> {
    crashes(order, Operation::Start)
}

/// Cuts `stop` short.
pub(crate) fn stop(order: &Order) -> Result<String, Fault> {
    crashes(order, Operation::Stop)
}

/// Cuts `restart` short.
pub(crate) fn restart(order: &Order) -> Result<String, Fault> {
    crashes(order, Operation::Restart)
}

/// Cuts the start of a changed file short.
pub(crate) fn reload(order: &Order) -> Result<String, Fault> {
    crashes(order, Operation::Reload)
}

/// Cuts a daemon short that takes over from one that was killed.
pub(crate) fn adopt(order: &Order) -> Result<String, Fault> {
    crashes(order, Operation::Adopt)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Start,
    Stop,
    Restart,
    Reload,
    Adopt,
}

/// What is cut short, again and again.
struct Trial {
    place: Place,
    checker: Checker,
    operation: Operation,
    generation: usize,
}

fn crashes(order: &Order, operation: Operation) -> Result<String, Fault> {
    let place = Place::new(&stack(0))?;
    let checker = Checker::new(&place, &UNITS)?;
    let mut trial = Trial {
        place,
        checker,
        operation,
        generation: 0,
    };
    trial.prepare()?;
    let all: Vec<Point> = trial.observe()?.into_iter().collect();
    let chosen =
        Chance::new(order.seed).fairly(&all, order.pick(6, 70), |point| point.name.clone());
    let mut hit = 0;
    for point in &chosen {
        // Seen when the row fails.
        eprintln!("{point}");
        let place = point.to_string();
        hit += usize::from(trial.cut_short(point).map_err(|fault| fault.at(place))?);
    }
    trial.place.finish()?;
    Ok(format!(
        "{hit} kills at {} of {} points",
        chosen.len(),
        all.len()
    ))
}

impl Trial {
    /// The state from which the operation begins.
    fn prepare(&mut self) -> Result<(), Fault> {
        match self.operation {
            Operation::Start => {
                self.place.daemon_up()?;
                self.place.ok(&["stop"]).or_else(|fault| match fault {
                    // Nothing was ever started.
                    Fault::Ended { code: 4, .. } => self.place.ok(&["daemon", "status"]),
                    other => Err(other),
                })?;
            }
            Operation::Stop | Operation::Restart => {
                self.place.ok(&["start", "--wait"])?;
            }
            Operation::Reload => {
                self.place.ok(&["start", "--wait"])?;
                self.generation += 1;
                self.place.write("harness.yaml", &stack(self.generation))?;
            }
            Operation::Adopt => {
                self.place.ok(&["start", "--wait"])?;
                self.place.kill_daemon()?;
            }
        }
        Ok(())
    }

    /// The command a user gives.
    fn command(&self) -> &'static [&'static str] {
        match self.operation {
            Operation::Start | Operation::Reload => &["start", "--wait"],
            Operation::Stop => &["stop"],
            Operation::Restart => &["restart"],
            Operation::Adopt => &["status"],
        }
    }

    fn acknowledged(&self) -> Acknowledged<'static> {
        match self.operation {
            Operation::Stop => Acknowledged::Down(&UNITS),
            Operation::Start | Operation::Restart | Operation::Reload | Operation::Adopt => {
                Acknowledged::Up(&UNITS)
            }
        }
    }

    /// One undisturbed run, to learn where it changes something.
    fn observe(&mut self) -> Result<std::collections::BTreeSet<Point>, Fault> {
        let tracer = self.tracer(&Effect::Seen)?;
        self.place.ok(self.command())?;
        let points = tracer.points()?;
        self.complete()?;
        Ok(points)
    }

    fn tracer(&self, effect: &Effect) -> Result<Tracer, Fault> {
        if self.operation == Operation::Adopt {
            let daemon = self.place.command(&["daemon", "run"]);
            let mut tracer = Tracer::start(&self.place, &daemon, effect)?;
            // One that was killed has left its word behind.
            let endpoint = self.place.home().join("state/daemon.json");
            until_true(PATIENCE, "the daemon answers, or has been killed", || {
                let text = std::fs::read_to_string(&endpoint).unwrap_or_default();
                let pid = tracer.started().map(|pid| format!("\"pid\":{pid}"));
                pid.is_some_and(|pid| text.replace(' ', "").contains(&pid))
                    || tracer.has_ended(std::time::Duration::ZERO)
            })?;
            return Ok(tracer);
        }
        let daemon = self.place.daemon_up()?;
        Tracer::attach(&self.place, daemon, effect)
    }

    /// Kills the daemon at this point, and checks what the next one makes of it. Whether the point was met.
    fn cut_short(&mut self, point: &Point) -> Result<bool, Fault> {
        self.prepare()?;
        let before = match self.operation {
            Operation::Adopt => None,
            Operation::Start | Operation::Stop | Operation::Restart | Operation::Reload => {
                self.place.daemon()?
            }
        };
        let mut tracer = self.tracer(&Effect::Killed(point.clone()))?;
        let observed = before.or_else(|| tracer.started());
        let is_gone = || observed.is_none_or(|daemon| !proc::is_alive(daemon));
        let code = self.place.run_unless(self.command(), is_gone)?;
        let is_met = is_gone() || tracer.has_ended(SHORTLY);
        tracer.detach()?;
        let acknowledged = match code {
            Some(0) => self.acknowledged(),
            _ if is_met => Acknowledged::Nothing,
            _ => {
                let found = format!("{code:?}: {}", self.place.daemon_log());
                return Err(Fault::broken(
                    format!("{:?} succeeds", self.operation),
                    found,
                ));
            }
        };
        self.checker.check(&self.place, acknowledged)?;
        self.complete()?;
        Ok(is_met)
    }

    /// Gives the command once more; now it has to succeed.
    fn complete(&mut self) -> Result<(), Fault> {
        self.place.ok(self.command())?;
        self.checker.check(&self.place, self.acknowledged())?;
        if self.operation == Operation::Reload {
            self.is_of_this_generation()?;
        }
        Ok(())
    }

    fn is_of_this_generation(&self) -> Result<(), Fault> {
        let wanted = format!("GENERATION={}", self.generation);
        let now = testkit::processes_with_env(&wanted).len();
        crate::fault::promise(
            now == UNITS.len(),
            "every unit runs as the file says now",
            || format!("{now} of {} with {wanted}", UNITS.len()),
        )
    }
}

fn stack(generation: usize) -> String {
    format!(
        "\
name: crash
x-env: &env {{GENERATION: \"{generation}\"}}
services:
  a: {{type: process, command: [PLAYER, writer, --rate, \"40\"], env: *env}}
  b: {{type: process, command: [PLAYER, writer, --rate, \"40\"], env: *env, dependencies: [a]}}
"
    )
}

const UNITS: [&str; 2] = ["a", "b"];

/// For the last call of an operation, which may come after the answer.
const SHORTLY: std::time::Duration = std::time::Duration::from_millis(150);
