//! One daemon after the other, as at an upgrade.
//!
//! Owns: the clients that go on asking, and the look at how long nobody lets anybody in.

use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::fault::{Fault, promise};
use crate::invariants::{Acknowledged, Checker};
use crate::place::Place;
use crate::row::Order;
use crate::wait::pass;

/// `daemon restart` while clients ask and order: every client is answered at once or by waiting, none has to ask again.
pub(crate) fn clients(order: &Order) -> Result<String, Fault> {
    let place = Place::new(STACK)?;
    let mut checker = Checker::new(&place, &["a", "b"])?;
    place.ok(&["start", "--wait"])?;
    let before = (place.pid("a")?, place.pid("b")?);
    let rounds = order.pick(5, 25);
    let info = place.ok(&["daemon", "status", "-o", "json"])?.json()?;
    let listen = info["listen"].as_str().unwrap_or_default().to_owned();
    let knocking = Knocking::at(&listen)?;
    // The second never starts a daemon, the third changes something.
    let clients: [&[&str]; 3] = [
        &["status", "-o", "json"],
        &["daemon", "status", "-o", "json"],
        &["start"],
    ];
    let asked = meanwhile(&place, clients, &[], || {
        for _ in 0..rounds {
            let told = place.ok(&["daemon", "restart", "-o", "json"])?.json()?;
            promise(
                told["after"]["listen"] == listen.as_str() && told["taken_over"] == 2,
                "the next daemon listens where the last did, and has what it ran",
                || told.to_string(),
            )?;
        }
        Ok(())
    })?;
    let gaps = knocking.gaps();
    promise(
        (place.pid("a")?, place.pid("b")?) == before,
        "services notice nothing",
        String::new,
    )?;
    checker.check(&place, Acknowledged::Up(&["a", "b"]))?;
    place.finish()?;
    Ok(format!(
        "{rounds} restarts, {} questions and orders of 3 clients answered, none asked again; refused for {}",
        asked.answered,
        in_short(gaps)
    ))
}

/// Daemons that are ended and killed while clients ask; every client is answered, some at the second try.
pub(crate) fn departures(order: &Order) -> Result<String, Fault> {
    let place = Place::new(STACK)?;
    let mut checker = Checker::new(&place, &["a", "b"])?;
    place.ok(&["start", "--wait"])?;
    let before = (place.pid("a")?, place.pid("b")?);
    let rounds = order.pick(5, 25);
    let status: &[&str] = &["status", "-o", "json"];
    // Asked while one goes: the next try finds the next.
    let asked = meanwhile(&place, [status; 3], &[NO_DAEMON], || {
        for round in 0..rounds {
            if round % 2 == 0 {
                // Not there any more, if a client was quicker to bring up the next.
                place.run(&["daemon", "stop", "--keep"])?;
            } else {
                place.kill_daemon()?;
            }
        }
        Ok(())
    })?;
    promise(
        (place.pid("a")?, place.pid("b")?) == before,
        "services notice nothing",
        String::new,
    )?;
    checker.check(&place, Acknowledged::Up(&["a", "b"]))?;
    place.finish()?;
    Ok(format!(
        "{rounds} daemons, {} questions of 3 clients answered, {} asked again",
        asked.answered, asked.again
    ))
}

struct Asked {
    answered: usize,
    again: usize,
}

/// Does the work while each client gives its command again and again; it may end with these codes besides success.
fn meanwhile(
    place: &Place,
    clients: [&[&str]; 3],
    may_end: &[i32],
    work: impl FnOnce() -> Result<(), Fault>,
) -> Result<Asked, Fault> {
    let is_over = AtomicBool::new(false);
    let (answered, again) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let ask = |arguments: &[&str]| -> Result<(), Fault> {
        while !is_over.load(Ordering::Relaxed) {
            let run = place.run(arguments)?;
            match run.code {
                0 => answered.fetch_add(1, Ordering::Relaxed),
                code if may_end.contains(&code) => again.fetch_add(1, Ordering::Relaxed),
                _ => return Err(run.fault()),
            };
        }
        Ok(())
    };
    let ask = &ask;
    std::thread::scope(|scope| -> Result<(), Fault> {
        let clients = clients.map(|arguments| scope.spawn(move || ask(arguments)));
        let worked = work();
        is_over.store(true, Ordering::Relaxed);
        for client in clients {
            client
                .join()
                .unwrap_or_else(|_| Err(Fault::broken("a client does not panic", "it did")))?;
        }
        worked
    })?;
    Ok(Asked {
        answered: answered.into_inner(),
        again: again.into_inner(),
    })
}

/// Somebody who connects again and again and leaves at once.
struct Knocking {
    is_over: std::sync::Arc<AtomicBool>,
    knocker: std::thread::JoinHandle<Vec<Duration>>,
}

impl Knocking {
    fn at(listen: &str) -> Result<Self, Fault> {
        let address: SocketAddr = listen
            .parse()
            .map_err(|_| Fault::broken("a daemon says where it listens", listen.to_owned()))?;
        let is_over = std::sync::Arc::new(AtomicBool::new(false));
        let seen = std::sync::Arc::clone(&is_over);
        let knocker = std::thread::spawn(move || knock(address, &seen));
        Ok(Self { is_over, knocker })
    }

    /// How long nobody was let in, each time.
    fn gaps(self) -> Vec<Duration> {
        self.is_over.store(true, Ordering::Relaxed);
        // It only counts.
        self.knocker.join().unwrap_or_default()
    }
}

fn knock(address: SocketAddr, is_over: &AtomicBool) -> Vec<Duration> {
    let mut gaps = Vec::new();
    let mut refused_since = None;
    while !is_over.load(Ordering::Relaxed) {
        match TcpStream::connect(address) {
            Ok(_) => gaps.extend(refused_since.take().map(|since: Instant| since.elapsed())),
            Err(_) => {
                refused_since.get_or_insert_with(Instant::now);
            }
        }
        pass(BETWEEN_KNOCKS);
    }
    gaps
}

fn in_short(mut gaps: Vec<Duration>) -> String {
    gaps.sort_unstable();
    match (gaps.get(gaps.len() / 2), gaps.last()) {
        (Some(median), Some(longest)) => format!(
            "{} ms each (median), {} ms at most",
            median.as_millis(),
            longest.as_millis()
        ),
        _ => "no moment that was seen".to_owned(),
    }
}

const NO_DAEMON: i32 = 5;
const BETWEEN_KNOCKS: Duration = Duration::from_millis(2);

const STACK: &str = "\
name: upgrade
services:
  a: {type: process, command: [PLAYER, writer, --rate, \"100\"]}
  b: {type: process, command: [PLAYER, writer, --rate, \"100\"], dependencies: [a]}
";
