//! Names that are taken.

use std::fs;

use super::stage::Stage;
use crate::fault::{Fault, promise};
use crate::row::Order;
use crate::talk::Ends;

/// A dead container of ours gives its name up; a stranger's, and one that lives, are left alone, and said whose they are.
pub(crate) fn stale(_order: &Order) -> Result<String, Fault> {
    let stage = Stage::new(SERVICES)?;
    let (place, engine) = (&stage.place, stage.engine);
    // Makes the identity of this installation.
    place.ok(&["start", "--wait", "a"])?;
    place.ok(&["stop", "a"])?;
    stage.sound()?;
    let home = place.home().join("state/docker/home");
    let home = fs::read_to_string(&home).map_err(Fault::io("read", home))?;
    let own = format!("org.harness.home={}", home.trim());
    // Died between making and starting it; has run; both as an earlier run would have left them.
    for verb in ["create", "run"] {
        engine.docker(&["rm", "faults-a-1"])?;
        engine.docker(&[
            verb,
            "--name=faults-a-1",
            "--label",
            &own,
            "--label=org.harness.stack=faults",
            "--label=org.harness.service=a",
            "--label=org.harness.instance=0123456789ab",
            IMAGE,
            "true",
        ])?;
        place.ok(&["start", "--wait", "a"])?;
        stage.sound()?;
        place.ok(&["stop", "a"])?;
        stage.sound()?;
    }
    engine.docker(&["rm", "faults-a-1"])?;
    engine.docker(&["create", "--name=faults-a-1", IMAGE, "true"])?;
    let refused = place.run(&["start", "--wait", "a"])?;
    promise(
        refused.code == 1 && refused.stderr.contains("faults-a-1"),
        "a stranger's name is not taken, and the error names it",
        || format!("{}: {}", refused.code, refused.stderr),
    )?;
    let unit = place.unit("a")?;
    let reason = unit.0["reason"].as_str().unwrap_or_default().to_owned();
    promise(
        reason.contains("faults-a-1"),
        "the reason says which name is taken, and by whom",
        || unit.0.to_string(),
    )?;
    let strangers = engine.docker(&["ps", "--all", "--quiet", "--filter=name=^faults-a-1$"])?;
    promise(
        !strangers.is_empty(),
        "the stranger is left alone",
        String::new,
    )?;
    engine.docker(&["rm", "faults-a-1"])?;
    place.ok(&["start", "--wait", "a"])?;
    let lines = stage.finish(&["a"], &Ends::Whole)?;
    Ok(format!(
        "2 of ours taken over, 1 of others refused (`{reason}`); {lines} lines exact"
    ))
}

const IMAGE: &str = "harness-test/busybox";

const SERVICES: &str = "  \
  a: {TALKER, command: [--rate, \"200\"], restart: \"no\"}
";
