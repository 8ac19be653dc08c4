//! A small language for stacks, so that a test shows its graph in one line.
//!
//! `db probed; migrate task needs db; api needs db:ready!, cache?` — statements end with `;`, words after the name set
//! the policy, `needs` lists edges: `:gate` names the gate, `?` makes it optional, `!` restarts with the other.

use std::time::Duration;

use service_model::{Backoff, Gate, Restart, RestartWhen, UnitKind};
use service_model::{Edge, Index, Policy};

/// A service that is ready once launched, is restarted on failure and has no jitter in its waits.
pub(crate) fn plain_policy() -> Policy {
    Policy {
        kind: UnitKind::Service,
        edges: Vec::new(),
        probed: false,
        setup: false,
        attached: false,
        restart: Restart {
            when: RestartWhen::OnFailure { max: None },
            backoff: Backoff {
                jitter_percent: 0,
                ..Backoff::default()
            },
            ..Restart::default()
        },
        restart_on_unhealthy: false,
        startup_timeout: None,
        run_timeout: None,
        grace: Duration::from_secs(10),
    }
}

/// Names and policies, by index.
pub(crate) fn parse(text: &str) -> Vec<(String, Policy)> {
    let statements = text
        .split([';', '\n'])
        .map(str::trim)
        .filter(|part| !part.is_empty());
    let statements: Vec<&str> = statements.collect();
    let name_of = |statement: &str| {
        statement
            .split_whitespace()
            .next()
            .expect("a name")
            .to_owned()
    };
    let names: Vec<String> = statements
        .iter()
        .map(|statement| name_of(statement))
        .collect();
    let mut units: Vec<(String, Policy)> = Vec::new();
    for (name, statement) in names.iter().zip(&statements) {
        let (words, _) = split(statement);
        let mut policy = plain_policy();
        words.iter().for_each(|word| apply(&mut policy, word));
        units.push((name.clone(), policy));
    }
    for (at, statement) in statements.iter().enumerate() {
        let edges: Vec<Edge> = split(statement)
            .1
            .iter()
            .map(|need| edge(need, &names, &units))
            .collect();
        units[at].1.edges = edges;
    }
    units
}

fn split(statement: &str) -> (Vec<&str>, Vec<&str>) {
    let (head, needs) = statement.split_once(" needs ").unwrap_or((statement, ""));
    let needs = needs
        .split(',')
        .map(str::trim)
        .filter(|need| !need.is_empty());
    (head.split_whitespace().skip(1).collect(), needs.collect())
}

fn apply(policy: &mut Policy, word: &str) {
    let (key, value) = word.split_once('=').unwrap_or((word, ""));
    let number = || value.parse().expect("a number");
    let seconds = || Duration::from_secs(u64::from(number()));
    match key {
        "task" => {
            policy.kind = UnitKind::Task;
            policy.restart.when = RestartWhen::Never;
        }
        "probed" => policy.probed = true,
        "setup" => policy.setup = true,
        "attached" => policy.attached = true,
        "never" => policy.restart.when = RestartWhen::Never,
        "always" => policy.restart.when = RestartWhen::Always,
        "retries" => {
            policy.restart.when = RestartWhen::OnFailure {
                max: Some(number()),
            }
        }
        "limit" => policy.restart.crash_loop.limit = number(),
        "give-up" => policy.restart.crash_loop.retry_every = None,
        "restart-unhealthy" => policy.restart_on_unhealthy = true,
        "startup" => policy.startup_timeout = Some(seconds()),
        "run" => policy.run_timeout = Some(seconds()),
        "grace" => policy.grace = seconds(),
        unknown => panic!("`{unknown}` is no word of the test language"),
    }
}

fn edge(need: &str, names: &[String], units: &[(String, Policy)]) -> Edge {
    let bare = need.trim_end_matches(['?', '!']);
    let (name, gate) = bare.split_once(':').unwrap_or((bare, ""));
    let at = names
        .iter()
        .position(|known| known == name)
        .expect("a name of the text");
    let other = &units[at].1;
    let gate = match gate {
        "started" => Gate::Started,
        "ready" => Gate::Ready,
        "completed" => Gate::Completed,
        _ if other.kind == UnitKind::Task => Gate::Completed,
        _ if other.probed => Gate::Ready,
        _ => Gate::Started,
    };
    Edge {
        on: Index(u32::try_from(at).expect("few units")),
        gate,
        required: !need.contains('?'),
        restart: need.contains('!'),
    }
}
