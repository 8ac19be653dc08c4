//! What services on other hosts cost: start and stop of many over several hosts, beside loops of `ssh HOST COMMAND`.
//!
//! Usage: `hosts [COUNT] [ROUNDS]`, by default 50 services over 5 hosts and 5 rounds; needs root, for hosts of
//! `docker-test-env/hosts`. The sides take turns; each figure is a median, and each ratio the median of the ratios of single
//! rounds. A loop starts one program after the other, as a script does, and supervises none.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::time::Duration;

use bench::contender::{Contender, Kind};
use bench::failure::Failure;
use bench::figures::{Figures, timed};
use bench::hosts::Hosts;
use bench::machine::Machine;
use bench::ours::Ours;
use bench::report::{Column, Report};
use bench::ssh::{Loop, connections};
use bench::stage::Stage;
use serde_json::{Map, Value, json};

fn main() -> ExitCode {
    let mut numbers = std::env::args()
        .skip(1)
        .filter_map(|word| word.parse().ok());
    let (count, rounds) = (
        numbers.next().unwrap_or(COUNT),
        numbers.next().unwrap_or(ROUNDS),
    );
    match measure(count, rounds) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("hosts: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn measure(count: usize, rounds: usize) -> Result<(), Failure> {
    let (stage, hosts) = (Stage::new()?, Hosts::up(HOSTS)?);
    let names: Vec<String> = (1..=HOSTS).map(|number| format!("host{number}")).collect();
    let addresses = names.iter().map(|name| hosts.address(name));
    let addresses = addresses.collect::<Result<Vec<String>, Failure>>()?;
    let addresses: Vec<Ipv4Addr> = addresses
        .iter()
        .filter_map(|address| address.parse().ok())
        .collect();
    let mut report = Report::new("hosts", Machine::here(stage.path()), Vec::new());
    let ours = Box::new(ours(&stage, &hosts, &names, count)?);
    // Nothing is there yet: the connections are made, and the agents brought.
    let (_, first) = timed(|| ours.run(&["start", "--wait"]))?;
    let own = Column::Of(Kind::Ours);
    let mut figures = Figures::new();
    figures.add_duration(first);
    let on = format!("{count} over {HOSTS} hosts");
    report.add(&format!("first start of {on}"), "ms", own, figures);
    let held = Figures::from(connections(&addresses)? as f64);
    report.add("connections meanwhile", "", own, held);
    ours.run(&["stop"])?;

    let sockets = stage.path().join("sockets");
    std::fs::create_dir(&sockets).map_err(Failure::io("make a directory"))?;
    let loops = [
        (Column::Ssh, Loop::new(&hosts)),
        (Column::SharedSsh, Loop::shared(&hosts, sockets)),
    ];
    let places: Vec<&str> = (0..count)
        .map(|number| names[number % names.len()].as_str())
        .collect();
    let mut took: BTreeMap<(usize, Column), Figures> = BTreeMap::new();
    let mut add = |step, column, duration: Duration| {
        let key = (step, column);
        took.entry(key).or_default().add_duration(duration);
    };
    for _ in 0..rounds {
        let (_, started) = timed(|| ours.run(&["start", "--wait"]))?;
        let (_, stopped) = timed(|| ours.run(&["stop"]))?;
        add(0, own, started);
        add(1, own, stopped);
        for (column, by_hand) in &loops {
            let (pids, started) = timed(|| {
                let pids = places.iter().map(|host| by_hand.start(host));
                pids.collect::<Result<Vec<u32>, Failure>>()
            })?;
            let ((), stopped) = timed(|| {
                let mut both = places.iter().zip(&pids);
                both.try_for_each(|(host, pid)| by_hand.stop(host, *pid))
            })?;
            add(0, *column, started);
            add(1, *column, stopped);
        }
    }
    for (_, by_hand) in &loops {
        names.iter().try_for_each(|host| by_hand.close(host))?;
    }
    for ((step, column), figures) in &took {
        let workload = format!("{} of {on}", STEPS[*step]);
        report.add(&workload, "ms", *column, figures.clone());
        let own = took.get(&(*step, own));
        if let (Column::Ssh | Column::SharedSsh, Some(own)) = (column, own) {
            let ratio = figures.ratio_to(own);
            report.add(&format!("{workload}, times harness"), "×", *column, ratio);
        }
    }
    ours.close()?;
    report.finish()
}

/// A stack of so many programs, spread over the hosts, which are trusted.
fn ours(stage: &Stage, hosts: &Hosts, names: &[String], count: usize) -> Result<Ours, Failure> {
    let service = |number: usize| {
        let service = json!({
            "type": "remote",
            "host": names[number % names.len()],
            "binary": "/bin/sleep",
            "args": ["1000"],
        });
        (format!("s{number}"), service)
    };
    let services: Map<String, Value> = (0..count).map(service).collect();
    let file = stage.path().join("harness.yaml");
    let text = json!({"name": "bench", "services": services}).to_string();
    std::fs::write(&file, text).map_err(Failure::io("write the stack file"))?;
    let ours = Ours::of_file(stage, file, &[])?;
    for name in names {
        hosts.trust(&ours, name, None)?;
    }
    Ok(ours)
}

const HOSTS: usize = 5;
const COUNT: usize = 50;
const ROUNDS: usize = 5;
const STEPS: [&str; 2] = ["start", "stop"];
