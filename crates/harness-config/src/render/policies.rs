//! Probes and policies, each only as far as it differs from the default.

use std::time::Duration;

use service_orchestration::spec::{
    Backoff, CrashLoop, Log, LogMode, OnFull, Probe, ProbeAction, Restart, RestartWhen, Stop,
    StopScope,
};

use super::literal;
use super::secrets::{Secrets, shown, shown_text};
use super::target::texts;
use super::value::{Map, Yaml};

pub(super) fn probe(probe: &Probe, secrets: Secrets) -> Map {
    let mut map = Map::default();
    match &probe.action {
        ProbeAction::Command { command } => map.put("command", texts(command, secrets)),
        ProbeAction::Http {
            url,
            status,
            headers,
        } => {
            let mut http = Map::default();
            http.put("url", shown_text(url, secrets));
            http.list(
                "status",
                status
                    .iter()
                    .map(|code| Yaml::from(u64::from(*code)))
                    .collect(),
            );
            let headers = headers
                .iter()
                .map(|(name, value)| (name.clone(), header(name, value, secrets).into()));
            http.map("headers", headers.collect());
            map.put("http", Yaml::Map(http));
        }
        ProbeAction::Tcp { host, port } => {
            let mut tcp = Map::default();
            tcp.maybe("host", host.as_ref());
            tcp.put("port", port);
            map.put("tcp", Yaml::Map(tcp));
        }
        ProbeAction::Log { pattern } => map.put("log", literal(pattern)),
        ProbeAction::Notify => map.put("notify", true),
        // `non_exhaustive`: what is left today is the engine's own check.
        _ => map.put("container", true),
    }
    let default = Probe::new(ProbeAction::Notify);
    differing(&mut map, "interval", probe.interval, default.interval);
    differing(&mut map, "timeout", probe.timeout, default.timeout);
    number(&mut map, "retries", probe.retries, default.retries);
    differing(
        &mut map,
        "start_period",
        probe.start_period,
        default.start_period,
    );
    differing(
        &mut map,
        "start_interval",
        probe.start_interval,
        default.start_interval,
    );
    number(
        &mut map,
        "success_threshold",
        probe.success_threshold,
        default.success_threshold,
    );
    map
}

fn header(name: &str, value: &service_orchestration::spec::Template, secrets: Secrets) -> String {
    let is_credential = ["authorization", "cookie"].contains(&name.to_ascii_lowercase().as_str());
    shown(if is_credential { "SECRET" } else { name }, value, secrets)
}

/// The `restart` of a service that is not the default.
pub(super) fn restart(restart: &Restart) -> Option<Yaml> {
    if *restart == Restart::default() {
        return None;
    }
    let (policy, max) = match restart.when {
        RestartWhen::Never => ("no", None),
        RestartWhen::OnFailure { max } => ("on-failure", max),
        RestartWhen::Always => ("always", None),
        RestartWhen::UnlessStopped => ("unless-stopped", None),
    };
    let is_short =
        restart.backoff == Backoff::default() && restart.crash_loop == CrashLoop::default();
    if is_short {
        return Some(match max {
            Some(max) => format!("{policy}:{max}").into(),
            None => policy.into(),
        });
    }
    let mut map = Map::default();
    map.put("policy", policy);
    map.maybe("max_retries", max.map(u64::from));
    let (backoff, default) = (restart.backoff, Backoff::default());
    let mut waits = Map::default();
    differing(&mut waits, "initial", backoff.initial, default.initial);
    number(&mut waits, "factor", backoff.factor, default.factor);
    differing(&mut waits, "max", backoff.cap, default.cap);
    number(
        &mut waits,
        "jitter",
        u32::from(backoff.jitter_percent),
        u32::from(default.jitter_percent),
    );
    differing(
        &mut waits,
        "reset_after",
        backoff.reset_after,
        default.reset_after,
    );
    put_some(&mut map, "backoff", waits);
    let (looping, default) = (restart.crash_loop, CrashLoop::default());
    let mut rules = Map::default();
    number(&mut rules, "limit", looping.limit, default.limit);
    differing(&mut rules, "window", looping.window, default.window);
    if looping.retry_every != default.retry_every {
        rules.put(
            "retry_every",
            looping.retry_every.map_or_else(|| "never".into(), duration),
        );
    }
    put_some(&mut map, "crash_loop", rules);
    Some(Yaml::Map(map))
}

pub(super) fn stop(stop: &Stop, is_shell: bool, secrets: Secrets) -> Map {
    let default = Stop::default();
    let mut map = Map::default();
    if stop.signal != default.signal {
        map.put("signal", u64::try_from(stop.signal).unwrap_or(15));
    }
    differing(&mut map, "grace", stop.grace, default.grace);
    map.maybe(
        "command",
        stop.command.as_deref().map(|words| texts(words, secrets)),
    );
    let scope = match stop.scope {
        StopScope::Main if is_shell => Some("main"),
        StopScope::Main => None,
        StopScope::Group => Some("group"),
    };
    map.maybe("scope", scope);
    map
}

pub(super) fn log(log: &Log) -> Map {
    let default = Log::default();
    let mut map = Map::default();
    if log.mode == LogMode::File {
        map.put("mode", "file");
    }
    if log.max_size != default.max_size {
        map.put("max_size", log.max_size);
    }
    number(&mut map, "max_files", log.max_files, default.max_files);
    if log.on_full == OnFull::Block {
        map.put("on_full", "block");
    }
    map
}

/// Whole seconds as `90s`, else milliseconds or smaller.
pub(super) fn duration(duration: Duration) -> Yaml {
    humantime::format_duration(duration)
        .to_string()
        .replace(' ', "")
        .into()
}

pub(super) fn put_some(map: &mut Map, key: &str, value: Map) {
    if !value.is_empty() {
        map.put(key, Yaml::Map(value));
    }
}

fn differing(map: &mut Map, key: &str, value: Duration, default: Duration) {
    if value != default {
        map.put(key, duration(value));
    }
}

fn number(map: &mut Map, key: &str, value: u32, default: u32) {
    if value != default {
        map.put(key, u64::from(value));
    }
}
