//! Many clients at once.
//!
//! Owns: the random operations, and the words for it when one ends as none may.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::chance::Chance;
use crate::fault::{Fault, promise};
use crate::invariants::{Acknowledged, Checker};
use crate::place::Place;
use crate::proc;
use crate::row::Order;

/// Eight clients start, stop, restart, reload and kill what they like.
pub(crate) fn clients(order: &Order) -> Result<String, Fault> {
    let place = Place::new(&stack(0))?;
    let mut checker = Checker::new(&place, &UNITS)?;
    place.ok(&["start", "--wait"])?;
    let each = order.pick(20, 250);
    let counts = Counts::default();
    let results: Vec<Result<(), Fault>> = std::thread::scope(|scope| {
        let client = |number: u64| {
            let (place, counts) = (&place, &counts);
            let mut chance = Chance::new(order.seed.wrapping_mul(CLIENTS).wrapping_add(number));
            scope.spawn(move || -> Result<(), Fault> {
                for _ in 0..each {
                    act(place, &mut chance, counts)?;
                }
                Ok(())
            })
        };
        let clients: Vec<_> = (0..CLIENTS).map(client).collect();
        let join = |client: std::thread::ScopedJoinHandle<'_, Result<(), Fault>>| {
            client
                .join()
                .unwrap_or_else(|_| Err(Fault::broken("a client does not panic", "it did")))
        };
        clients.into_iter().map(join).collect()
    });
    results.into_iter().collect::<Result<(), Fault>>()?;
    checker.check(&place, Acknowledged::Nothing)?;
    place.ok(&["start", "--wait"])?;
    checker.check(&place, Acknowledged::Up(&UNITS))?;
    place.ok(&["stop"])?;
    checker.check(&place, Acknowledged::Down(&UNITS))?;
    let attempts: usize = UNITS
        .iter()
        .map(|unit| place.account().attempts(unit).len())
        .sum();
    place.finish()?;
    let operations = each * usize::try_from(CLIENTS).unwrap_or(0);
    let (kills, given_up) = (counts.kills.into_inner(), counts.given_up.into_inner());
    Ok(format!(
        "{operations} operations, {kills} of them kills, {given_up} given up; {attempts} attempts, never two at once"
    ))
}

/// What came of the operations.
#[derive(Debug, Default)]
struct Counts {
    kills: AtomicUsize,
    given_up: AtomicUsize,
}

fn act(place: &Place, chance: &mut Chance, counts: &Counts) -> Result<(), Fault> {
    let unit = *chance.of(&UNITS);
    let arguments = match chance.below(100) {
        0..30 => vec!["start", unit],
        30..50 => vec!["stop", unit, "--force"],
        50..70 => vec!["restart", unit],
        70..80 => {
            let generation = chance.below(1000);
            // Another client may read it at any time.
            let (new, file) = (
                format!("new-{generation}"),
                place.path().join("harness.yaml"),
            );
            place.write(&new, &stack(generation))?;
            // Two with the same number mean the same: the second finds it moved.
            let _ = fs::rename(place.path().join(new), file);
            vec!["start"]
        }
        _ => {
            let victims = proc::marked();
            if let Some(victim) = victims
                .iter()
                .find(|process| process.service() == Some(unit))
            {
                proc::kill(victim.pid);
                counts.kills.fetch_add(1, Ordering::Relaxed);
            }
            return Ok(());
        }
    };
    // Who waits for a stop that another client has undone waits long: it is given up, as by a user.
    let begun = Instant::now();
    let code = place.run_unless(&arguments, || begun.elapsed() > LONG)?;
    // Done, failed because others were quicker, or refused: never a defect, never ended by a signal, never no daemon.
    promise(
        matches!(code, None | Some(0 | 1 | 8)),
        "an operation is done or refused in order",
        || format!("{} ended with {code:?}", arguments.join(" ")),
    )?;
    counts
        .given_up
        .fetch_add(usize::from(code.is_none()), Ordering::Relaxed);
    Ok(())
}

fn stack(generation: usize) -> String {
    format!(
        "\
name: races
x-env: &env {{GENERATION: \"{generation}\"}}
x-stop: &stop {{grace: 2s}}
x-restart: &restart {{policy: always, backoff: {{initial: 20ms, max: 100ms}}, crash_loop: {{limit: 1000, window: 1s}}}}
services:
  a: {{type: process, command: [PLAYER, writer, --rate, \"40\"], stop: *stop, restart: *restart}}
  b: {{type: process, command: [PLAYER, writer, --rate, \"40\"], env: *env, stop: *stop, restart: *restart, dependencies: [a]}}
  c: {{type: process, command: [PLAYER, writer, --rate, \"40\"], env: *env, stop: *stop, restart: *restart}}
"
    )
}

const UNITS: [&str; 3] = ["a", "b", "c"];
const CLIENTS: u64 = 8;

/// Longer than any stop, start or restart of these units takes.
const LONG: Duration = Duration::from_secs(8);
