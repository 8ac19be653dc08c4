//! One stack in all its states, for the snapshots.
//!
//! Owns: nothing; it is made up.

use chrono::{DateTime, TimeDelta, Utc};
use harness_core::report::{Health, Phase, StackStatus, StopInfo, UnitStatus, WaitingFor};
use harness_core::spec::{StackName, UnitKind};

pub(crate) fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_268_800, 0).expect("a time")
}

pub(crate) fn ago(seconds: i64) -> DateTime<Utc> {
    now() - TimeDelta::seconds(seconds)
}

pub(crate) fn stack() -> StackStatus {
    let db = UnitStatus {
        health: Health::Healthy,
        pid: Some(4_242),
        address: Some("127.0.0.1:5432".to_owned()),
        ports: [("tcp".to_owned(), 5_432)].into(),
        required_by: vec!["api".to_owned(), "schema".to_owned()],
        started_at: Some(ago(8_040)),
        instance_id: Some("0123456789ab".to_owned()),
        ..unit("db", UnitKind::Service, "ready")
    };
    let schema = UnitStatus {
        exit_code: Some(0),
        started_at: Some(ago(8_035)),
        stopped_at: Some(ago(8_034)),
        ..unit("schema", UnitKind::Task, "done")
    };
    let api = UnitStatus {
        ready: false,
        health: Health::Unhealthy,
        health_reason: Some("GET /health: HTTP 503".to_owned()),
        pid: Some(4_300),
        restarts: 2,
        address: Some("127.0.0.1:8080".to_owned()),
        started_at: Some(ago(250)),
        ..unit("api", UnitKind::Service, "settling")
    };
    let worker = UnitStatus {
        exit_code: Some(1),
        restarts: 3,
        started_at: Some(ago(12)),
        stopped_at: Some(ago(8)),
        reason: None,
        ..unit("worker", UnitKind::Service, "failed")
    };
    let gateway = UnitStatus {
        waiting_for: vec![WaitingFor {
            unit: Some("api".to_owned()),
            reason: "api is unhealthy (needs ready)".to_owned(),
        }],
        ..unit("gateway", UnitKind::Service, "idle")
    };
    StackStatus {
        one_offs: Vec::new(),
        schema_version: 1,
        stack: StackName::new("webapp").expect("a legal name"),
        storage: None,
        items: vec![api, db, gateway, schema, worker],
    }
}

pub(crate) fn stopped(
    name: &str,
    signal: Option<i32>,
    escalation: &str,
    leftovers: &[&str],
) -> UnitStatus {
    UnitStatus {
        signal,
        started_at: Some(ago(60)),
        stopped_at: Some(ago(1)),
        stop: Some(StopInfo {
            escalation: escalation.to_owned(),
            leftovers: leftovers.iter().map(|name| (*name).to_owned()).collect(),
            leftover_count: u32::try_from(leftovers.len()).expect("a few"),
            took_ms: None,
        }),
        ..unit(name, UnitKind::Service, "idle")
    }
}

fn unit(name: &str, kind: UnitKind, state: &str) -> UnitStatus {
    UnitStatus {
        name: name.to_owned(),
        kind,
        target: "process".to_owned(),
        host: None,
        login: None,
        state: state.to_owned(),
        phase: Phase::Unknown,
        ready: matches!(state, "ready" | "done"),
        health: Health::None,
        health_reason: None,
        last_checked: None,
        pid: None,
        container_id: None,
        restarts: 0,
        exit_code: None,
        signal: None,
        exit_unknown: false,
        started_at: None,
        stopped_at: None,
        address: None,
        ports: Default::default(),
        waiting_for: Vec::new(),
        required_by: Vec::new(),
        instance_id: None,
        version: None,
        reason: None,
        stop: None,
        ended_at: None,
    }
}
