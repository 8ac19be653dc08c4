//! What discovery costs over the wire: a daemon with many registered services, and many who follow them.
//!
//! Usage: `discovery [ENTRIES] [WATCHERS]`, by default 10,000 and 1,000. Watchers are subscriptions of one process over a
//! few connections: what they cost the daemon is what many processes would. There is no floor: nothing less does the job.

use std::future::Future;
use std::process::ExitCode;
use std::task::Poll;
use std::time::{Duration, Instant};

use bench::contender::{Contender, Kind};
use bench::failure::Failure;
use bench::figures::Figures;
use bench::machine::Machine;
use bench::ours::Ours;
use bench::process::Usage;
use bench::report::{Column, Report};
use bench::stage::Stage;
use futures_lite::future::{block_on, poll_fn};
use harness_core::HarnessClient;
use harness_core::client::RegistryWatch;
use harness_core::protocol::{
    Health, InstanceName, RegistryEvent, RegistryPublishParams, ResolveFrom,
};

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1).map(|word| word.parse().ok());
    let entries = words.next().flatten().unwrap_or(10_000);
    let watchers = words.next().flatten().unwrap_or(1_000);
    match measure(entries, watchers) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("discovery: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn measure(entries: usize, watchers: usize) -> Result<(), Failure> {
    let stage = Stage::new()?;
    let ours = Ours::new(&stage, &[])?;
    let mut report = Report::new("discovery", Machine::here(stage.path()), vec![]);
    let mut add =
        |what: &str, unit, figures| report.add(what, unit, Column::Of(Kind::Ours), figures);
    let client = ours.connect()?;
    let daemon = ours.daemon()?;

    let before = Usage::of(&[daemon]);
    let began = Instant::now();
    publish_all(&client, entries)?;
    add(
        "register all, 200 at a time",
        "s",
        Figures::from(began.elapsed().as_secs_f64()),
    );
    let cost = Usage::of(&[daemon]).since(before);
    add(
        "register one, CPU of the daemon",
        "µs",
        Figures::from(micros(cost.cpu) / count(entries)),
    );

    let mut took = Figures::new();
    for number in (0..entries).step_by((entries / LOOKUPS).max(1)) {
        let began = Instant::now();
        asked(block_on(client.resolve(&name(number)?, ResolveFrom::Here)))?;
        took.add(micros(began.elapsed()));
    }
    add("resolve, held connection", "µs", took);
    let mut took = Figures::new();
    for _ in 0..LOOKUPS {
        let began = Instant::now();
        asked(block_on(client.renew_lease(LEASE)))?;
        took.add(micros(began.elapsed()));
    }
    add("renew all, held connection", "µs", took);
    let began = Instant::now();
    let listed = asked(block_on(client.registry(None)))?;
    add(
        "list all",
        "ms",
        Figures::from(micros(began.elapsed()) / 1e3),
    );
    if listed.len() != entries {
        return Err(Failure::Wrong(format!("{} are listed", listed.len())));
    }

    let mut connections = Vec::new();
    for _ in 0..watchers.div_ceil(PER_CONNECTION) {
        connections.push(ours.connect()?);
    }
    let cursor = asked(block_on(async {
        let mut watch = client.watch_registry(None, None).await?;
        watch.next().await.map(|event| event.cursor())
    }))?;
    let mut watches = Vec::new();
    for number in 0..watchers {
        let client = &connections[number / PER_CONNECTION];
        watches.push(asked(block_on(client.watch_registry(None, cursor)))?);
    }
    let (mut worst, before) = (Figures::new(), Usage::of(&[daemon]));
    for round in 0..ROUNDS {
        let changed = RegistryPublishParams {
            incarnation: Some(2 + round),
            ..service(0)?
        };
        let began = Instant::now();
        asked(block_on(client.publish(&changed)))?;
        for watch in &mut watches {
            told(watch)?;
        }
        worst.add(micros(began.elapsed()) / 1e3);
    }
    let cost = Usage::of(&[daemon]).since(before);
    let told = count(watches.len()) * count(usize::try_from(ROUNDS).unwrap_or(1));
    add(
        "a change until each watcher has it, durable write included",
        "ms",
        worst,
    );
    add(
        "a change to one watcher, CPU of the daemon",
        "µs",
        Figures::from(micros(cost.cpu) / told),
    );
    let quiet = Usage::of(&[daemon]);
    std::thread::sleep(QUIET);
    let idle = Usage::of(&[daemon]).since(quiet);
    add(
        "idle with all of them: wakeups",
        "/s",
        Figures::from(idle.wakeups as f64 / QUIET.as_secs_f64()),
    );
    drop((watches, connections, client));
    Box::new(ours).close()?;
    report.finish()
}

fn publish_all(client: &HarnessClient, entries: usize) -> Result<(), Failure> {
    block_on(async {
        for first in (0..entries).step_by(AT_ONCE) {
            let some: Result<Vec<_>, Failure> =
                (first..entries.min(first + AT_ONCE)).map(service).collect();
            let some = some?;
            let calls = some.iter().map(|service| Box::pin(client.publish(service)));
            let mut calls: Vec<_> = calls.collect();
            let mut refused = None;
            poll_fn(|context| {
                calls.retain_mut(|call| match call.as_mut().poll(context) {
                    Poll::Ready(answer) => {
                        refused = refused.take().or(answer.err());
                        false
                    }
                    Poll::Pending => true,
                });
                match calls.is_empty() {
                    true => Poll::Ready(()),
                    false => Poll::Pending,
                }
            })
            .await;
            asked(refused.map_or(Ok(()), Err))?;
        }
        Ok(())
    })
}

/// Waits until the watch tells of a service.
fn told(watch: &mut RegistryWatch) -> Result<(), Failure> {
    loop {
        if let RegistryEvent::ServiceRegistered { .. } = asked(block_on(watch.next()))? {
            return Ok(());
        }
    }
}

fn service(number: usize) -> Result<RegistryPublishParams, Failure> {
    Ok(RegistryPublishParams {
        lease: LEASE.to_owned(),
        ttl_ms: 3_600_000,
        incarnation: Some(1),
        health: Health::Ready,
        ..RegistryPublishParams::new(name(number)?, 8080)
    })
}

fn name(number: usize) -> Result<InstanceName, Failure> {
    let name = format!("many:service-{number}").parse();
    name.map_err(|error| Failure::Wrong(format!("no name: {error}")))
}

fn asked<T, E: std::fmt::Display>(answer: Result<T, E>) -> Result<T, Failure> {
    answer.map_err(|error| Failure::Wrong(format!("the daemon says: {error}")))
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

fn count(number: usize) -> f64 {
    number as f64
}

const LEASE: &str = "bench";
const AT_ONCE: usize = 200;
const LOOKUPS: usize = 1_000;
const PER_CONNECTION: usize = 250;
const ROUNDS: u64 = 20;
const QUIET: Duration = Duration::from_secs(3);
