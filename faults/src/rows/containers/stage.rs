//! A place whose services are containers, and what has to hold there.
//!
//! Owns: the stack file's common parts, and the check that who lives with the engine is who is known.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::Engine;
use crate::fault::{Fault, promise};
use crate::place::Place;
use crate::talk::Ends;
use crate::wait::{Look, PATIENCE, until};

/// A place and the engine of its containers.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) place: Place,
    pub(super) engine: Engine,
}

impl Stage {
    /// With these services. `TALKER` stands for a container that runs [`crate::player`], its arguments in `args`;
    /// `HOLDER` for one whose log waits for room.
    pub(super) fn new(services: &str) -> Result<Self, Fault> {
        let engine = Engine::of_row()?;
        let mut place = Place::new("")?;
        place.set("DOCKER_HOST", "unix:///var/run/docker.sock");
        let stack = format!("name: faults\nservices:\n{services}");
        let player = place.program("faults").display().to_string();
        let directory = place.path().display().to_string();
        // The player needs the libraries that it was built with: the machine's.
        let talker = format!(
            "type: docker, image: harness-test/busybox, pull: never, entrypoint: [/player, play, writer, --talk], \
             working_dir: {directory}, log: {{max_size: 64MiB}}, stop: {{grace: 200ms}}, volumes: [\"/lib:/lib:ro\", \"/lib64:/lib64:ro\", \
             \"/usr/lib:/usr/lib:ro\", \"{player}:/player:ro\", \"{directory}:{directory}\"]"
        );
        let holder = talker.replace("max_size: 64MiB", "max_size: 64MiB, on_full: block");
        let stack = stack.replace("TALKER", &talker).replace("HOLDER", &holder);
        place.write("harness.yaml", &stack)?;
        Ok(Self { place, engine })
    }

    /// Waits until nothing is on its way, then looks: of each unit that is up its container lives and no other, of the
    /// others none; no unit has more than one container; and none has lived twice at any time.
    pub(super) fn sound(&self) -> Result<(), Fault> {
        until(
            PATIENCE,
            "who lives with the engine is who is known",
            || {
                let status = self.place.until_settled()?;
                let mut living: BTreeMap<String, Vec<String>> = BTreeMap::new();
                let mut wrong = Vec::new();
                let mut had = BTreeSet::new();
                for container in self.engine.ours()? {
                    if !had.insert(container.service.clone()) {
                        wrong.push(format!("{} is one too many", container.name));
                    }
                    if container.is_alive() {
                        let own = living.entry(container.service).or_default();
                        own.push(container.id);
                    }
                }
                for unit in status.units() {
                    let found = living.remove(unit.name()).unwrap_or_default();
                    let known = unit.0["container_id"].as_str().unwrap_or_default();
                    let is_right = match unit.is_up() {
                        true => found.len() == 1 && found[0] == known,
                        false => found.is_empty(),
                    };
                    if !is_right {
                        wrong.push(format!("{} has {found:?}: {}", unit.name(), unit.0));
                    }
                }
                wrong.extend(
                    living
                        .into_iter()
                        .map(|(unit, found)| format!("{unit}: {found:?}")),
                );
                Ok(match wrong.as_slice() {
                    [] => Look::Holds(()),
                    wrong => Look::NotYet(wrong.join("; ")),
                })
            },
        )?;
        self.nobody_lived_twice()
    }

    pub(super) fn nobody_lived_twice(&self) -> Result<(), Fault> {
        let violations = self.place.account().violations();
        promise(violations.is_empty(), "no unit ever lives twice", || {
            violations.join(", ")
        })
    }

    /// The container of a unit.
    pub(super) fn container(&self, unit: &str) -> Result<String, Fault> {
        let unit = self.place.unit(unit)?;
        let id = unit.0["container_id"].as_str().map(str::to_owned);
        id.filter(|_| unit.is_up()).ok_or_else(|| {
            Fault::broken(
                format!("{} has a container", unit.name()),
                unit.0.to_string(),
            )
        })
    }

    /// The containers of these.
    pub(super) fn containers(&self, units: &[&str]) -> Result<Vec<String>, Fault> {
        units.iter().map(|unit| self.container(unit)).collect()
    }

    /// Waits until a unit has written more than it had.
    pub(super) fn until_more(&self, unit: &str) -> Result<(), Fault> {
        let count = || -> u64 {
            let account = self.place.account();
            account
                .attempts(unit)
                .iter()
                .map(|attempt| account.told(attempt))
                .sum()
        };
        let had = count();
        until(PATIENCE, &format!("{unit} writes"), || {
            Ok(crate::wait::seen(count() > had, &had))
        })
    }

    /// Stops everything, compares the logs of these with their account, and ends with nothing left. How many lines they
    /// have.
    pub(super) fn finish(self, talkers: &[&str], ends: &Ends) -> Result<u64, Fault> {
        self.sound()?;
        self.place.ok(&["stop"])?;
        let mut lines = 0;
        for talker in talkers {
            lines += self.place.talked(talker, ends)?;
        }
        self.place.ok(&["down", "--yes"])?;
        let engine = self.engine;
        until(PATIENCE, "nothing is left with the engine", || {
            let left = engine.left()?;
            Ok(match left.as_slice() {
                [] => Look::Holds(()),
                left => Look::NotYet(left.join(", ")),
            })
        })?;
        self.place.finish()?;
        Ok(lines)
    }
}
