//! The daemon killed at every request that it makes of the engine for an order.

use super::stage::Stage;
use crate::chance::Chance;
use crate::fault::{Fault, promise};
use crate::proxy::{Kill, Proxy, Side};
use crate::row::Order;
use crate::talk::Ends;

/// Before the engine has heard of a request, and when it has done it: one container or none, nothing is left, and the
/// same order once more is carried out.
pub(crate) fn points(order: &Order) -> Result<String, Fault> {
    let mut stage = Stage::new(SERVICES)?;
    let proxy = Proxy::new(stage.place.path())?;
    stage.place.set("DOCKER_HOST", proxy.address());
    stage.place.ok(&["start", "a", "--wait"])?;
    let mut chance = Chance::new(order.seed);
    let mut figures = Vec::new();
    for operation in [START, STOP, RESTART] {
        let say = |fault: Fault| fault.at(operation.words.join(" "));
        let all = operation.points(&stage, &proxy).map_err(say)?;
        let most = order.pick(6, usize::MAX);
        let chosen = chance.fairly(&all, most, |(_, side)| *side);
        for (at, side) in &chosen {
            let place = format!("request {at}, {side:?}");
            operation
                .killed_at(&stage, &proxy, *at, *side)
                .map_err(|fault| fault.at(place))
                .map_err(say)?;
        }
        figures.push(format!(
            "{} {} of {}",
            operation.words[0],
            chosen.len(),
            all.len()
        ));
    }
    let lines = stage.finish(&["a"], &Ends::Whole)?;
    Ok(format!(
        "points: {}; {lines} lines exact, nothing left over",
        figures.join(", ")
    ))
}

/// An order, and how things are before and after it.
#[derive(Clone, Copy, Debug)]
struct Operation {
    words: &'static [&'static str],
    /// Whether the unit runs before.
    from_up: bool,
    /// Whether it runs after.
    to_up: bool,
}

const START: Operation = Operation {
    words: &["start", "a", "--wait"],
    from_up: false,
    to_up: true,
};
const STOP: Operation = Operation {
    words: &["stop", "a"],
    from_up: true,
    to_up: false,
};
const RESTART: Operation = Operation {
    words: &["restart", "a"],
    from_up: true,
    to_up: true,
};

impl Operation {
    fn begin(&self, stage: &Stage) -> Result<u32, Fault> {
        let daemon = stage.place.daemon_up()?;
        let word = if self.from_up { "start" } else { "stop" };
        stage.place.ok(&[word, "a"])?;
        stage.sound()?;
        Ok(daemon)
    }

    /// Every point of it, as a run without a fault shows.
    fn points(&self, stage: &Stage, proxy: &Proxy) -> Result<Vec<(usize, Side)>, Fault> {
        self.begin(stage)?;
        proxy.arm(None);
        stage.place.ok(self.words)?;
        let requests = proxy.requests();
        promise(!requests.is_empty(), "the engine is asked", String::new)?;
        eprintln!("{}: {requests:#?}", self.words.join(" "));
        let sides = |at| [(at, Side::Asked), (at, Side::Answered)];
        Ok((1..=requests.len()).flat_map(sides).collect())
    }

    fn killed_at(&self, stage: &Stage, proxy: &Proxy, at: usize, side: Side) -> Result<(), Fault> {
        let pid = self.begin(stage)?;
        proxy.arm(Some(Kill { pid, at, side }));
        // It may be answered by the next daemon, be cut off, or be done before so many requests were made.
        stage.place.run(self.words)?;
        proxy.arm(None);
        // Where nothing runs any more, `status` brings up none.
        stage.place.daemon_up()?;
        stage.sound()?;
        stage.place.ok(self.words)?;
        stage.sound()?;
        let unit = stage.place.unit("a")?;
        promise(
            unit.is_up() == self.to_up,
            "the next order is carried out",
            || unit.0.to_string(),
        )
    }
}

const SERVICES: &str = "  \
  a: {TALKER, command: [--rate, \"200\"], restart: \"no\"}
";
