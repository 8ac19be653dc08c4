//! Health checks.
//!
//! Owns: Compose's defaults, said where they are not ours: every 30 seconds, and 30 seconds for an answer. A check that
//! says no test is the image's own.

use super::convert::Converter;
use super::inner;
use super::nodes::{entry, get, map, plain, text, written};
use super::service::{Draft, lasting};
use crate::report::Code;
use crate::yaml::{Entry, Value, shorten};

pub(super) fn turn(converter: &mut Converter<'_>, draft: &mut Draft<'_>, own: &Entry) {
    let check = &own.value;
    if !matches!(check.value, Value::Map(_)) {
        draft.put("health_check", own.key_span, check.clone());
        return;
    }
    let of = format!("the health check of `{}`", shorten(draft.name));
    converter.misspelt_within(check, inner::HEALTH_CHECK, &of);
    let first = get(check, "test").and_then(|test| test.items().first());
    let is_none = first.and_then(written) == Some("NONE");
    if is_none || converter.value_of(check, "disable").as_deref() == Some("true") {
        if converter.plan.asked.contains(draft.name) {
            let message = format!(
                "others wait until `{}` is healthy, and its check is switched off",
                shorten(draft.name)
            );
            converter
                .sink
                .error(Code::Invalid, own.key_span, message)
                .help("give it a `test`, or have them wait for `service_started`");
        }
        let disable = entry("disable", own.key_span, plain(check.span, "true"));
        draft.put("health_check", own.key_span, map(check.span, vec![disable]));
        return;
    }
    let mut made = Vec::new();
    if get(check, "test").is_none() {
        made.push(entry("container", own.key_span, plain(check.span, "true")));
    }
    for part in check.entries().iter().filter(|part| !part.value.is_null()) {
        let said = converter.value(&part.value);
        // The engine takes zero for its default.
        let is_default = matches!(said.as_deref(), Some("0" | "0s" | "0ms"));
        match part.key.as_str() {
            "test" => made.push(part.clone()),
            "interval" | "timeout" | "retries" | "start_interval" if is_default => {}
            "interval" | "timeout" | "start_period" | "start_interval" => {
                converter.has_unit(part, &of);
                made.push(entry(&part.key, part.key_span, lasting(&part.value)));
            }
            "retries" => made.push(part.clone()),
            // Nothing, or said already.
            _ => {}
        }
    }
    for key in ["interval", "timeout"] {
        if made.iter().all(|part| part.key != key) {
            made.push(entry(key, own.key_span, text(check.span, "30s")));
        }
    }
    draft.put("health_check", own.key_span, map(check.span, made));
}
