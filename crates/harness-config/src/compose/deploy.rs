//! How many, how much, how often again, and where its output goes.

use super::convert::{Converter, SWARM, fields_of, stack_field};
use super::inner;
use super::keys;
use super::nodes::{entry, get, map, plain, text};
use super::service::Draft;
use crate::table::{Shape, size};
use crate::yaml::{Entry, Node, shorten};

pub(super) fn turn(converter: &mut Converter<'_>, draft: &mut Draft<'_>, own: &Entry) {
    let of = format!("`deploy` of `{}`", shorten(draft.name));
    converter.misspelt_within(&own.value, inner::DEPLOY, &of);
    for part in own
        .value
        .entries()
        .iter()
        .filter(|part| !part.value.is_null())
    {
        match part.key.as_str() {
            "replicas" => replicas(converter, draft, part),
            "resources" => resources(converter, draft, &part.value),
            "restart_policy" => restart(converter, draft, part),
            "mode" if converter.value(&part.value).as_deref() == Some("replicated") => {}
            key if !inner::DEPLOY.contains(&key) => {}
            key => {
                let what = format!("`deploy.{}` of `{}`", shorten(key), shorten(draft.name));
                converter.lost(part.key_span, &what, SWARM.0, SWARM.1);
            }
        }
    }
}

/// `deploy.replicas` or `scale`.
pub(super) fn replicas(converter: &mut Converter<'_>, draft: &mut Draft<'_>, own: &Entry) {
    let count = converter.value(&own.value).unwrap_or_default();
    let can_be = stack_field("replicas", draft.is_task).is_some_and(|field| match &field.shape {
        Shape::Known(format) => (format.check)(&count).is_ok(),
        _ => false,
    });
    match count.as_str() {
        "1" => {}
        _ if can_be => draft.put("replicas", own.key_span, own.value.clone()),
        "0" => {
            let message = format!(
                "`{}` has no instance in Compose, and one here",
                shorten(draft.name)
            );
            converter.changed(
                own.key_span,
                message,
                "give it a profile that is not active: `profiles: [off]`",
            );
        }
        count => {
            let message = format!(
                "`{}` has {} instances in Compose, and one here",
                shorten(draft.name),
                shorten(count)
            );
            converter.changed(
                own.key_span,
                message,
                "write a second service where one is not enough",
            );
        }
    }
}

fn resources(converter: &mut Converter<'_>, draft: &mut Draft<'_>, resources: &Node) {
    let of = format!("`deploy.resources` of `{}`", shorten(draft.name));
    if let Some(reserved) = resources.entry("reservations") {
        let devices = reserved.value.entry("devices");
        if let Some(devices) = devices.filter(|devices| !devices.value.is_null()) {
            let what = format!("`devices` of {of}");
            let means = "graphics processors and other devices are not there inside";
            let instead = "start this container yourself and attach to it: `type: docker-attach`";
            converter.lost(devices.key_span, &what, means, instead);
        }
        let why = ("nothing is set aside for it", "nothing is to be done");
        let known: (&[&str], _) = (&["devices"], inner::RESERVATIONS);
        converter.rest_is_lost(&reserved.value, known, &of, why);
    }
    converter.misspelt_within(resources, inner::RESOURCES, &of);
    for part in get(resources, "limits")
        .map(Node::entries)
        .unwrap_or_default()
    {
        match part.key.as_str() {
            "memory" => limit(converter, draft, part, "memory"),
            "cpus" => limit(converter, draft, part, "cpus"),
            "pids" => limit(converter, draft, part, "pids"),
            _ => {
                let of = format!("`deploy.resources.limits` of `{}`", shorten(draft.name));
                converter.is_misspelt(part, inner::LIMITS, &of);
            }
        }
    }
}

/// `mem_limit`, `cpus`, `pids_limit`, and the same under `deploy`.
pub(super) fn limit(converter: &mut Converter<'_>, draft: &mut Draft<'_>, own: &Entry, name: &str) {
    let said = converter.value(&own.value).unwrap_or_default();
    // What Compose takes for no limit.
    if matches!(said.as_str(), "0" | "-1" | "0.0") || own.value.is_null() {
        return;
    }
    let limits = stack_field("limits", draft.is_task).and_then(|field| fields_of(&field.shape));
    if limits.is_some_and(|fields| fields.iter().any(|field| field.is_called(name))) {
        let value = if name == "memory" {
            whole_bytes(&own.value, &said)
        } else {
            own.value.clone()
        };
        draft.put_in("limits", name, own.key_span, value);
        return;
    }
    let what = format!("the limit of {name} of `{}`", shorten(draft.name));
    let key = keys::of("mem_limit").map_or(("", ""), |key| (key.means, key.instead));
    converter.lost(own.key_span, &what, key.0, key.1);
}

/// `1.5g`, which a stack file does not take, as bytes.
fn whole_bytes(node: &Node, said: &str) -> Node {
    if size(said).is_ok() {
        return node.clone();
    }
    let end = said
        .find(|c: char| c.is_ascii_alphabetic())
        .unwrap_or(said.len());
    let one = size(&format!("1{}", &said[end..]));
    let (Ok(count), Ok(one)) = (said[..end].trim().parse::<f64>(), one) else {
        return node.clone();
    };
    #[expect(
        clippy::cast_precision_loss,
        reason = "a unit is a power of 1000 or 1024: exact"
    )]
    let bytes = (count * one as f64).ceil();
    if !(0.0..1e15).contains(&bytes) {
        return node.clone();
    }
    plain(node.span, format!("{bytes:.0}"))
}

/// Compose lets this win over `restart`.
fn restart(converter: &mut Converter<'_>, draft: &mut Draft<'_>, own: &Entry) {
    let of = format!("`deploy.restart_policy` of `{}`", shorten(draft.name));
    let known: (&[&str], _) = (&["condition", "max_attempts"], inner::RESTART_POLICY);
    converter.rest_is_lost(&own.value, known, &of, SWARM);
    let condition = converter.value_of(&own.value, "condition");
    let attempts = converter.value_of(&own.value, "max_attempts");
    let attempts = attempts.filter(|count| count.parse::<u32>().is_ok_and(|count| count > 0));
    let policy = match (condition.as_deref(), attempts) {
        (Some("none"), _) => "no".to_owned(),
        (Some("on-failure"), Some(count)) => format!("on-failure:{count}"),
        (Some("on-failure"), None) => "on-failure".to_owned(),
        _ => "unless-stopped".to_owned(),
    };
    draft.put("restart", own.key_span, text(own.value.span, policy));
}

/// The engine's files of JSON are our segments; what goes elsewhere stays here.
pub(super) fn logging(converter: &mut Converter<'_>, draft: &mut Draft<'_>, own: &Entry) {
    let name = shorten(draft.name);
    let of = format!("`logging` of `{name}`");
    converter.misspelt_within(&own.value, inner::LOGGING, &of);
    let driver = converter.value_of(&own.value, "driver");
    if let Some(driver) = driver.filter(|driver| !matches!(driver.as_str(), "json-file" | "local"))
    {
        let what = format!("the logging driver `{}` of `{name}`", shorten(&driver));
        converter.lost(
            own.key_span,
            &what,
            "its output is kept here: `harness logs`",
            "have what collects logs read `harness logs -f -o json`",
        );
        return;
    }
    let options = get(&own.value, "options");
    let mut made = Vec::new();
    for option in options.map(Node::entries).unwrap_or_default() {
        let said = converter.value(&option.value).unwrap_or_default();
        let key = match option.key.as_str() {
            "max-size" if size(&said).is_ok_and(|bytes| bytes >= 4096) => "max_size",
            "max-file" if said.parse::<u32>().is_ok_and(|count| count > 0) => "max_files",
            key => {
                let what = format!("the logging option `{}` of `{name}`", shorten(key));
                converter.lost(
                    option.key_span,
                    &what,
                    "logs are kept in segments of 10 MiB, 5 of them",
                    "see `log` in the stack file",
                );
                continue;
            }
        };
        made.push(entry(key, option.key_span, option.value.clone()));
    }
    if !made.is_empty() {
        draft.put("log", own.key_span, map(own.value.span, made));
    }
}
