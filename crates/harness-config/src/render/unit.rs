//! Services and tasks.

use service_orchestration::spec::{
    Dependency, Gate, OnUnhealthy, PortNumber, PortSpec, Protocol, RestartWhen, ServiceSpec,
    StackSpec, Stop, TargetSpec, UnitKind,
};

use super::literal;
use super::policies::{duration, log, probe, put_some, restart, stop};
use super::secrets::{Secrets, is_secret_name, shown_variable};
use super::target::target;
use super::value::{Map, Yaml, json};

pub(super) fn unit(stack: &StackSpec, unit: &ServiceSpec, secrets: Secrets) -> Yaml {
    let mut map = Map::default();
    let type_key = match unit.kind {
        UnitKind::Service => "service_type",
        UnitKind::Task => "task_type",
    };
    map.maybe(type_key, unit.type_name.as_deref().map(literal));
    map.maybe("name", unit.display_name.as_deref().map(literal));
    map.maybe("description", unit.description.as_deref().map(literal));
    map.maybe("target", target(&unit.target, secrets).map(Yaml::Map));
    let aliases = match &unit.target {
        TargetSpec::Docker(container) => container.aliases.as_slice(),
        _ => &[],
    };
    super::container::network(&mut map, unit.network.as_deref(), aliases);
    if let Some(action) = &unit.action {
        map.put("action", masked(action, secrets));
    }
    let env = unit
        .env
        .iter()
        .map(|(name, value)| (name.clone(), shown_variable(stack, name, value, secrets)));
    map.map("env", env.collect());
    if !unit.inject {
        map.put("inject", false);
    }
    if matches!(unit.target, TargetSpec::Docker(_)) {
        super::container::ports(&mut map, &unit.ports);
    } else {
        map.list("ports", unit.ports.iter().map(port).collect());
    }
    dependencies(&mut map, &unit.dependencies);
    match unit.kind {
        UnitKind::Service => service(&mut map, unit, secrets),
        UnitKind::Task => task(&mut map, unit),
    }
    let is_shell =
        matches!(&unit.target, TargetSpec::Process(p) if p.program.as_literal() == Some("sh"));
    let mut ending = stop(&unit.stop, is_shell, secrets);
    let has_image_signal = |target: &TargetSpec| match target {
        TargetSpec::Docker(container) => container.image_signal,
        _ => true,
    };
    if !has_image_signal(&unit.target) && unit.stop.signal == Stop::default().signal {
        // Said, so that it is not the image's.
        ending.put("signal", u64::try_from(unit.stop.signal).unwrap_or(15));
    }
    put_some(&mut map, "stop", ending);
    put_some(&mut map, "log", log(&unit.log));
    map.list(
        "profiles",
        unit.profiles
            .iter()
            .map(|profile| literal(profile))
            .collect(),
    );
    map.map(
        "labels",
        unit.labels
            .iter()
            .map(|(name, value)| (name.clone(), literal(value)))
            .collect(),
    );
    Yaml::Map(map)
}

fn service(map: &mut Map, unit: &ServiceSpec, secrets: Secrets) {
    for (key, asked) in [
        ("health_check", &unit.readiness),
        ("liveness", &unit.liveness),
        ("startup", &unit.startup),
    ] {
        map.maybe(
            key,
            asked.as_ref().map(|asked| Yaml::Map(probe(asked, secrets))),
        );
    }
    if unit.readiness.is_none() && has_no_check(&unit.target) {
        let mut none = Map::default();
        none.put("disable", true);
        map.put("health_check", Yaml::Map(none));
    }
    if unit.on_unhealthy == OnUnhealthy::Restart {
        map.put("on_unhealthy", "restart");
    }
    map.maybe("restart", restart(&unit.restart));
    map.maybe("startup_timeout", unit.startup_timeout.map(duration));
}

fn has_no_check(target: &TargetSpec) -> bool {
    matches!(target, TargetSpec::Docker(container) if container.no_check)
}

fn task(map: &mut Map, unit: &ServiceSpec) {
    if let RestartWhen::OnFailure { max: Some(retries) } = unit.restart.when {
        map.put("retries", u64::from(retries));
    }
    map.maybe("timeout", unit.timeout.map(duration));
}

fn port(port: &PortSpec) -> Yaml {
    let number = match port.port {
        PortNumber::Fixed(number) => Yaml::from(u64::from(number)),
        PortNumber::Auto => "auto".into(),
    };
    if port.name.is_none() && port.protocol == Protocol::Tcp {
        return number;
    }
    let mut map = Map::default();
    map.maybe("name", port.name.as_deref().map(literal));
    map.put("port", number);
    if port.protocol != Protocol::Tcp {
        map.put("protocol", port.protocol.as_str());
    }
    Yaml::Map(map)
}

/// A list of names where that says it all, else a mapping.
fn dependencies(map: &mut Map, edges: &[Dependency]) {
    let are_plain = edges
        .iter()
        .all(|edge| edge.gate.is_none() && edge.required && !edge.restart);
    if are_plain {
        map.list(
            "dependencies",
            edges.iter().map(|edge| edge.unit.as_str().into()).collect(),
        );
    } else {
        let edges = edges
            .iter()
            .map(|edge| (edge.unit.to_string(), dependency(edge)));
        map.map("dependencies", edges.collect());
    }
}

fn dependency(edge: &Dependency) -> Yaml {
    let mut map = Map::default();
    let condition = edge.gate.map(|gate| match gate {
        Gate::Started => "started",
        Gate::Ready => "ready",
        Gate::Completed => "completed",
    });
    map.maybe("condition", condition);
    if !edge.required {
        map.put("required", false);
    }
    if edge.restart {
        map.put("restart", true);
    }
    Yaml::Map(map)
}

/// A task's input, with the values masked whose key says that they are secret.
fn masked(value: &serde_json::Value, secrets: Secrets) -> Yaml {
    fn mask(value: &serde_json::Value) -> serde_json::Value {
        use serde_json::Value as Json;
        match value {
            Json::Object(entries) => Json::Object(
                entries
                    .iter()
                    .map(|(key, value)| {
                        let is_text = value.is_string() || value.is_number();
                        let value = if is_secret_name(key) && is_text {
                            "***".into()
                        } else {
                            mask(value)
                        };
                        (key.clone(), value)
                    })
                    .collect(),
            ),
            Json::Array(items) => Json::Array(items.iter().map(mask).collect()),
            other => other.clone(),
        }
    }
    match secrets {
        Secrets::Show => json(value),
        Secrets::Mask => json(&mask(value)),
    }
}
