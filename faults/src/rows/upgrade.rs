//! One daemon after the other, as at an upgrade.
//!
//! Owns: the clients that go on asking.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::fault::{Fault, promise};
use crate::invariants::{Acknowledged, Checker};
use crate::place::Place;
use crate::row::Order;

/// Daemons come and go while clients ask; every client is answered.
pub(crate) fn clients(order: &Order) -> Result<String, Fault> {
    let place = Place::new(STACK)?;
    let mut checker = Checker::new(&place, &["a", "b"])?;
    place.ok(&["start", "--wait"])?;
    let before = (place.pid("a")?, place.pid("b")?);
    let rounds = order.pick(5, 25);
    let is_over = AtomicBool::new(false);
    let (asked, again) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| -> Result<(), Fault> {
        let ask = || -> Result<(), Fault> {
            while !is_over.load(Ordering::Relaxed) {
                let run = place.run(&["status", "-o", "json"])?;
                match run.code {
                    0 => asked.fetch_add(1, Ordering::Relaxed),
                    // Asked while one goes: the next try finds the next.
                    5 => again.fetch_add(1, Ordering::Relaxed),
                    _ => return Err(run.fault()),
                };
            }
            Ok(())
        };
        let clients: Vec<_> = (0..3).map(|_| scope.spawn(ask)).collect();
        let restarts = || -> Result<(), Fault> {
            for round in 0..rounds {
                if round % 2 == 0 {
                    // Not there any more, if a client was quicker to bring up the next.
                    place.run(&["daemon", "stop", "--keep"])?;
                } else {
                    place.kill_daemon()?;
                }
            }
            Ok(())
        };
        let restarted = restarts();
        is_over.store(true, Ordering::Relaxed);
        for client in clients {
            client
                .join()
                .unwrap_or_else(|_| Err(Fault::broken("a client does not panic", "it did")))?;
        }
        restarted
    })?;
    promise(
        (place.pid("a")?, place.pid("b")?) == before,
        "services notice nothing",
        String::new,
    )?;
    checker.check(&place, Acknowledged::Up(&["a", "b"]))?;
    place.finish()?;
    let (asked, again) = (asked.into_inner(), again.into_inner());
    Ok(format!(
        "{rounds} daemons, {asked} questions of 3 clients answered, {again} asked again"
    ))
}

const STACK: &str = "\
name: upgrade
services:
  a: {type: process, command: [PLAYER, writer, --rate, \"100\"]}
  b: {type: process, command: [PLAYER, writer, --rate, \"100\"], dependencies: [a]}
";
