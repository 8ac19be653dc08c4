//! Which container a unit gets: one that it had, started again, or a new one.
//!
//! Owns: the decision, as a plain function of what the engine has and what is wanted. Never asks and never changes
//! anything.
//!
//! Invariant: what is started again, or taken because somebody else has started it, was made by the very definition that is
//! wanted, of the image that its name stands for now. Whatever else the unit has had goes, but not before what replaces it is made.

use container_engine::ContainerId;

/// A container of the unit, as the engine has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Former {
    pub(super) id: ContainerId,
    pub(super) name: String,
    /// What it was made by; absent where nothing says it.
    pub(super) hash: Option<String>,
    /// Whether it runs by somebody else's doing: a unit is launched when none of it does by ours.
    pub(super) is_alive: bool,
    /// When it was made, in seconds since 1970.
    pub(super) created: i64,
}

/// What the unit shall have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted<'a> {
    pub(super) name: &'a str,
    pub(super) hash: &'a str,
    /// Whether it has to be a new one.
    pub(super) renew: bool,
}

/// What is done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// These run, and are stopped first.
    pub(super) stop: Vec<ContainerId>,
    /// Which one it gets.
    pub(super) choice: Choice,
    /// These are removed once that is there, and before it is started.
    pub(super) remove: Vec<ContainerId>,
}

/// See [`Plan::choice`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// The one that it had.
    Again {
        id: ContainerId,
        /// Whether it has to be given its name: whoever made it died before.
        rename: bool,
    },
    /// The one that it had, and that somebody else has started.
    Running {
        /// It.
        id: ContainerId,
        /// As above.
        rename: bool,
    },
    /// A new one.
    Anew {
        /// Whether it is made by another name at first, because what it replaces has its own.
        name_is_held: bool,
    },
}

/// See the module.
pub(super) fn plan(formers: &[Former], wanted: Wanted<'_>) -> Plan {
    let is_equal = |former: &&Former| former.hash.as_deref() == Some(wanted.hash);
    let equal = formers.iter().filter(is_equal).filter(|_| !wanted.renew);
    // What runs goes on. Else the latest, should somebody have died between making one and removing the other.
    let again = equal.max_by_key(|former| (former.is_alive, former.created));
    let choice = match again {
        Some(former) if former.is_alive => Choice::Running {
            id: former.id.clone(),
            rename: former.name != wanted.name,
        },
        Some(former) => Choice::Again {
            id: former.id.clone(),
            rename: former.name != wanted.name,
        },
        None => Choice::Anew {
            name_is_held: formers.iter().any(|former| former.name == wanted.name),
        },
    };
    let others = || {
        let is_other = |former: &&Former| again.is_none_or(|again| again.id != former.id);
        formers.iter().filter(is_other)
    };
    let running = others().filter(|former| former.is_alive);
    Plan {
        stop: running.map(|former| former.id.clone()).collect(),
        remove: others().map(|former| former.id.clone()).collect(),
        choice,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WANTED: Wanted<'static> = Wanted {
        name: "shop-db-1",
        hash: "new",
        renew: false,
    };

    fn former(id: &str, hash: &str, created: i64) -> Former {
        Former {
            id: ContainerId::new(id),
            name: WANTED.name.into(),
            hash: Some(hash.into()),
            is_alive: false,
            created,
        }
    }

    #[test]
    fn the_first_is_made_by_its_own_name() {
        let first = plan(&[], WANTED);
        let choice = Choice::Anew {
            name_is_held: false,
        };
        assert_eq!(first.choice, choice);
        assert!(first.stop.is_empty() && first.remove.is_empty());
    }

    #[test]
    fn an_equal_one_is_started_again_and_one_by_another_definition_is_replaced() {
        let again = plan(&[former("a", "new", 1)], WANTED);
        let id = ContainerId::new("a");
        assert_eq!(again.choice, Choice::Again { id, rename: false });
        assert!(again.remove.is_empty());
        let anew = plan(&[former("a", "old", 1)], WANTED);
        assert_eq!(anew.choice, Choice::Anew { name_is_held: true });
        assert_eq!(anew.remove, [ContainerId::new("a")]);
    }

    #[test]
    fn whoever_died_between_making_the_next_and_removing_the_former_is_gone_on_for() {
        let next = Former {
            name: "shop-db-1.0123456789ab".into(),
            ..former("b", "new", 2)
        };
        let after = plan(&[former("a", "old", 1), next.clone()], WANTED);
        let id = ContainerId::new("b");
        assert_eq!(after.choice, Choice::Again { id, rename: true });
        assert_eq!(after.remove, [ContainerId::new("a")]);
        // Ordered anew of the same definition: the later one.
        let after = plan(&[former("a", "new", 1), next], WANTED);
        assert_eq!(after.remove, [ContainerId::new("a")]);
    }

    #[test]
    fn one_that_runs_is_taken_if_it_is_equal_and_else_stopped_first() {
        let running = Former {
            is_alive: true,
            ..former("a", "new", 1)
        };
        let later = former("b", "new", 2);
        let taken = plan(&[running.clone(), later], WANTED);
        let id = ContainerId::new("a");
        assert_eq!(taken.choice, Choice::Running { id, rename: false });
        assert!(taken.stop.is_empty());
        assert_eq!(taken.remove, [ContainerId::new("b")]);
        let changed = Former {
            hash: Some("old".into()),
            ..running.clone()
        };
        let anew = plan(&[changed], WANTED);
        assert_eq!(anew.choice, Choice::Anew { name_is_held: true });
        assert_eq!(anew.stop, [ContainerId::new("a")]);
        let wanted = Wanted {
            renew: true,
            ..WANTED
        };
        let anew = plan(&[running], wanted);
        assert_eq!(anew.choice, Choice::Anew { name_is_held: true });
        assert_eq!((anew.stop.len(), anew.remove.len()), (1, 1));
    }

    proptest! {
        /// However somebody died before: one is left, by the wanted definition, and nothing else; and whoever dies after
        /// any of the steps leaves what the next plan turns into the same.
        #[test]
        fn one_is_left_whoever_dies_after_whichever_step(
            hashes in prop::collection::vec((any::<bool>(), any::<bool>(), any::<bool>(), 0_i64..3), 0..4),
            died_after in prop::collection::vec(0_usize..6, 0..4),
        ) {
            let mut held: Vec<Former> = hashes.iter().enumerate().map(|(at, (equal, named, alive, created))| Former {
                id: ContainerId::new(format!("f{at}")),
                // A name is of one only.
                name: if *named && at == 0 { WANTED.name.into() } else { format!("{}.{at}", WANTED.name) },
                hash: Some(if *equal { "new" } else { "old" }.into()),
                is_alive: *alive,
                created: *created,
            }).collect();
            let had_equal = held.iter().any(|former| former.hash.as_deref() == Some("new"));
            let had_running = held.iter().any(|former| former.hash.as_deref() == Some("new") && former.is_alive);
            let mut made = 0;
            for steps in died_after {
                carry_out(&mut held, steps, &mut made);
            }
            let chosen = carry_out(&mut held, usize::MAX, &mut made);
            prop_assert_eq!(held.len(), 1);
            prop_assert_eq!(held[0].name.as_str(), WANTED.name);
            prop_assert_eq!(held[0].hash.as_deref(), Some("new"));
            prop_assert_eq!(held[0].is_alive, had_running, "what ran is taken, and what did not is to be started");
            prop_assert_eq!(Some(&held[0].id), chosen.as_ref());
            prop_assert_eq!(made, usize::from(!had_equal), "one is made, and only where none was equal");
        }
    }

    /// What an engine has after so many steps of the plan.
    fn carry_out(held: &mut Vec<Former>, steps: usize, made: &mut usize) -> Option<ContainerId> {
        let plan = plan(held, WANTED);
        let mut left = steps;
        let mut goes_on = || {
            let goes = left > 0;
            left = left.saturating_sub(1);
            goes
        };
        for id in &plan.stop {
            if !goes_on() {
                return None;
            }
            let stopped = held.iter_mut().find(|former| former.id == *id);
            stopped.expect("it is there").is_alive = false;
        }
        if !goes_on() {
            return None;
        }
        let (chosen, rename) = match plan.choice {
            Choice::Again { id, rename } | Choice::Running { id, rename } => (id, rename),
            Choice::Anew { name_is_held } => {
                let id = ContainerId::new(format!("made{made}"));
                let own = WANTED.name.to_owned();
                held.push(Former {
                    id: id.clone(),
                    name: if name_is_held {
                        format!("{own}.x{made}")
                    } else {
                        own
                    },
                    hash: Some(WANTED.hash.into()),
                    is_alive: false,
                    created: 100,
                });
                *made += 1;
                (id, name_is_held)
            }
        };
        for id in plan.remove {
            if !goes_on() {
                return None;
            }
            held.retain(|former| former.id != id);
        }
        if rename {
            if !goes_on() {
                return None;
            }
            assert!(
                held.iter().all(|former| former.name != WANTED.name),
                "its name is free"
            );
            let own = held.iter_mut().find(|former| former.id == chosen);
            own.expect("it is there").name = WANTED.name.into();
        }
        Some(chosen)
    }
}
