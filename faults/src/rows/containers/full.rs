//! The disk of the logs is full while containers write.

use super::stage::Stage;
use crate::fault::{Fault, promise};
use crate::row::Order;
use crate::rows::disk::{free_bytes, own_disk};
use crate::talk::Ends;
use crate::tools;
use crate::wait::{PATIENCE, seen, until};

/// Containers write on, the engine holds what comes; what may not be dropped is there once the disk has grown. One that ends
/// meanwhile is stopped and its exit is known.
pub(crate) fn full(_: &Order) -> Result<String, Fault> {
    let stage = Stage::new(SERVICES)?;
    let place = &stage.place;
    let log = own_disk(place, "log", "size=3m")?;
    place.ok(&["start", "--wait"])?;
    until(PATIENCE, "the disk is full", || {
        let free = free_bytes(&log)?;
        Ok(seen(free < 8192, &format!("{free} bytes are free")))
    })?;
    for unit in ["drops", "holds", "ends"] {
        stage.until_more(unit)?;
    }
    place.ok(&["stop", "ends"])?;
    let ended = place.unit("ends")?;
    promise(!ended.is_up(), "what is stopped has ended", || {
        ended.0.to_string()
    })?;
    stage.sound()?;
    tools::run(
        "mount",
        &["-o", "remount,size=512m", &log.display().to_string()],
    )?;
    let lines = stage.finish(&["holds"], &Ends::Whole)?;
    Ok(format!(
        "3 containers wrote on, one was stopped meanwhile; {lines} lines of the one that may not lose any, exact"
    ))
}

const SERVICES: &str = "  \
  drops: {TALKER, command: [--rate, \"300\"]}
  holds: {HOLDER, command: [--rate, \"300\"]}
  ends: {HOLDER, command: [--rate, \"300\"]}
";
