//! What a mesh costs: until it is there, and what it carries, beside the bare link and `wireguard-go` set up by hand.
//!
//! Usage: `mesh [ROUNDS]`, by default 5; needs root, for hosts of `docker-test-env/hosts`. Five nodes: this machine, two hosts
//! beside it and two behind a router, so that six pairs need a tunnel. The three ways take turns over the same two hosts; each
//! figure is a median, and each ratio the median of the ratios of single rounds.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use bench::contender::{Contender, Kind};
use bench::failure::Failure;
use bench::figures::{Figures, timed};
use bench::hosts::Hosts;
use bench::machine::Machine;
use bench::ours::Ours;
use bench::report::{Column, Report};
use bench::stage::Stage;
use bench::{link, tunnel};
use serde_json::{Map, Value, json};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("mesh: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> Result<(), Failure> {
    let wrong = |_| Failure::Wrong(format!("no address: {words:?}"));
    match words {
        [SERVE] => link::serve(PORT),
        [SEND, to] => {
            println!("{}", link::send(to.parse().map_err(wrong)?, SENDING)?);
            Ok(())
        }
        [ASK, to] => {
            println!("{}", link::ask(to.parse().map_err(wrong)?, ASKED)?);
            Ok(())
        }
        _ => measure(words.first().and_then(|word| word.parse().ok())),
    }
}

fn measure(rounds: Option<usize>) -> Result<(), Failure> {
    let (stage, hosts) = (Stage::new()?, Hosts::near_and_far(2, 2)?);
    let mut report = Report::new("mesh", Machine::here(stage.path()), Vec::new());
    let own = Column::Of(Kind::Ours);
    let program = std::env::current_exe().map_err(Failure::io("find this program"))?;
    let program = program.display().to_string();
    let ours = Box::new(ours(&stage, &hosts, &program)?);

    let (_, first) = timed(|| ours.run(&["start", "--wait"]))?;
    let mut figures = Figures::new();
    figures.add_duration(first);
    report.add(
        "five nodes from nothing, agents brought",
        "ms",
        own,
        figures,
    );
    let mut again = Figures::new();
    for _ in 0..rounds.unwrap_or(ROUNDS) {
        ours.run(&["down", "--yes"])?;
        let (_, took) = timed(|| ours.run(&["start", "--wait"]))?;
        again.add_duration(took);
    }
    report.add("five nodes, hosts connected", "ms", own, again);
    let mesh = joined(&ours)?;

    let serve = format!("setsid {program} {SERVE} </dev/null >/dev/null 2>&1 &");
    hosts.sh(TO, &serve)?;
    let ways = [
        (Column::Link, hosts.address(TO)?),
        (Column::WireGuardGo, tunnel::by_hand(&hosts, FROM, TO)?),
        (own, mesh),
    ];
    let mut told: BTreeMap<(usize, Column), Figures> = BTreeMap::new();
    for _ in 0..rounds.unwrap_or(ROUNDS) {
        for (column, at) in &ways {
            for (step, word) in [SEND, ASK].into_iter().enumerate() {
                let said = hosts.sh(FROM, &format!("{program} {word} {at}:{PORT}"))?;
                let figure: f64 = said
                    .parse()
                    .map_err(|_| Failure::Wrong(format!("{FROM} said `{said}`")))?;
                let scaled = if word == SEND { figure / 1e6 } else { figure };
                told.entry((step, *column)).or_default().add(scaled);
            }
        }
    }
    for ((step, column), figures) in &told {
        let (workload, unit) = STEPS[*step];
        report.add(workload, unit, *column, figures.clone());
        if let Some(bare) = told.get(&(*step, Column::Link))
            && *column != Column::Link
        {
            let ratio = figures.ratio_to(bare);
            report.add(&format!("{workload}, times the link"), "×", *column, ratio);
        }
    }
    let by_hand = |step| told.get(&(step, Column::WireGuardGo));
    for (step, (workload, _)) in STEPS.into_iter().enumerate() {
        if let (Some(figures), Some(other)) = (told.get(&(step, own)), by_hand(step)) {
            let ratio = figures.ratio_to(other);
            report.add(&format!("{workload}, times wireguard-go"), "×", own, ratio);
        }
    }
    ours.run(&["down", "--yes"])?;
    ours.close()?;
    report.finish()
}

/// Everybody near needs everybody far.
fn ours(stage: &Stage, hosts: &Hosts, program: &str) -> Result<Ours, Failure> {
    let mut services = Map::new();
    let mut add = |name: &str, extra: Value| {
        let mut service = json!({"network": "field", "binary": "/bin/sleep", "args": ["100000"]});
        let entries = service.as_object_mut().expect("it is one");
        entries.extend(extra.as_object().cloned().unwrap_or_default());
        services.insert(name.to_owned(), service);
    };
    for far in ["far1", "far2"] {
        let port = json!([{"name": "tcp", "port": PORT}]);
        add(
            far,
            json!({"type": "remote", "host": far, "ports": port, "binary": program, "args": [SERVE]}),
        );
    }
    let needs = json!(["far1", "far2"]);
    add("here", json!({"type": "process", "depends_on": needs}));
    for near in ["host1", "host2"] {
        let asker = json!({"type": "remote", "host": near, "depends_on": needs});
        add(near, asker);
    }
    let networks = json!({"field": {"type": "wireguard"}});
    let text = json!({"name": "bench", "networks": networks, "services": services}).to_string();
    let file = stage.path().join("harness.yaml");
    std::fs::write(&file, text).map_err(Failure::io("write the stack file"))?;
    let ours = Ours::of_file(stage, file, &[])?;
    for near in ["host1", "host2", "router"] {
        hosts.trust(&ours, near, None)?;
    }
    for far in ["far1", "far2"] {
        hosts.trust(&ours, far, Some("router"))?;
    }
    Ok(ours)
}

/// Makes sure that all five are joined and have spoken; where the one that serves is on the mesh.
fn joined(ours: &Ours) -> Result<String, Failure> {
    let said = ours.run(&["net", "status", "-o", "json"])?;
    let status: Value = serde_json::from_slice(&said)
        .map_err(|error| Failure::Wrong(format!("net status: {error}")))?;
    let mesh = &status["meshes"][0];
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let hosts = list(&mesh["hosts"]);
    let spoken = |host: &Value| {
        list(&host["peers"])
            .iter()
            .all(|one| one["handshake_at"].is_string())
    };
    let is_whole = hosts.len() == 5 && list(&mesh["pairs"]).len() == 6 && hosts.iter().all(spoken);
    let at = hosts.iter().find(|host| host["host"] == TO);
    match at.and_then(|host| host["address"].as_str()) {
        Some(at) if is_whole => Ok(at.to_owned()),
        _ => Err(Failure::Wrong(format!("not all are joined: {status}"))),
    }
}

const FROM: &str = "far1";
const TO: &str = "host1";
const PORT: u16 = 47001;
const ROUNDS: usize = 5;
const SENDING: Duration = Duration::from_secs(2);
const ASKED: usize = 2_000;
const SERVE: &str = "--serve";
const SEND: &str = "--send";
const ASK: &str = "--ask";
const STEPS: [(&str, &str); 2] = [
    ("one connection, far1 to host1", "MB/s"),
    ("round trip of a byte", "µs"),
];
