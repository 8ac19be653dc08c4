//! The daemon killed at any time while a container is started again and again.

use std::time::Duration;

use super::stage::Stage;
use crate::chance::Chance;
use crate::fault::{Fault, promise};
use crate::row::Order;
use crate::talk::Ends;
use crate::wait::pass;

/// It stays the same container, nothing of it is started twice, and each line is there once.
pub(crate) fn kept(order: &Order) -> Result<String, Fault> {
    let stage = Stage::new(SERVICES)?;
    let place = &stage.place;
    place.ok(&["start", "--wait"])?;
    let before = stage.container("a")?;
    let rounds = order.pick(30, 120);
    let mut chance = Chance::new(order.seed);
    for round in 0..rounds {
        let say = |fault: Fault| fault.at(format!("restart {}", round + 1));
        // In turn by order, and by policy after an end of its own.
        let mut restart = match round % 3 {
            2 => {
                stage.engine.docker(&["kill", &before]).map_err(say)?;
                None
            }
            _ => Some(place.spawn(&["restart", "a"]).map_err(say)?),
        };
        pass(Duration::from_millis(chance.below(1200) as u64));
        place.kill_daemon().map_err(say)?;
        if let Some(restart) = &mut restart {
            // It may have been cut off.
            restart
                .wait()
                .map_err(Fault::io("await", place.path()))
                .map_err(say)?;
        }
        place.daemon_up().map_err(say)?;
        stage.sound().map_err(say)?;
        place.ok(&["start", "--wait", "a"]).map_err(say)?;
        let now = stage.container("a").map_err(say)?;
        promise(now == before, "it is the same container", || now.clone()).map_err(say)?;
    }
    let runs = place.account().attempts("a").len();
    let lines = stage.finish(&["a"], &Ends::Whole)?;
    Ok(format!(
        "{rounds} restarts and kills, {runs} runs of one container, none beside another; {lines} lines on two outputs, none \
         lost, doubled or torn"
    ))
}

const SERVICES: &str = "  \
  a: {TALKER, command: [--rate, \"300\"], restart: {policy: always, backoff: {initial: 50ms, max: 200ms}, crash_loop: {limit: 1000, window: 1m}}}
";
