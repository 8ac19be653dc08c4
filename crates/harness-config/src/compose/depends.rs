//! What a service waits for.
//!
//! Owns: that a dependency means what it means in Compose. A list there waits until the others run, while here it would
//! wait until they are ready, where they can tell.

use super::convert::Converter;
use super::nodes::{entry, get, list, map, one_or_more, text, written};
use super::plan::{COMPLETED, HEALTHY, STARTED};
use super::service::Draft;
use crate::source::Span;
use crate::yaml::{Entry, Node, Value, shorten};

/// Turns `depends_on`, `links` and `volumes_from`, whichever comes first, into one `depends_on`.
pub(super) fn turn(converter: &mut Converter<'_>, draft: &mut Draft<'_>, own: &Entry) {
    if own.key == "links" {
        aliases(converter, draft, &own.value);
    }
    if draft.has("depends_on") {
        return;
    }
    let said = get(draft.source, "depends_on");
    if let Some(node) = said
        && (node.scalar().is_some() || node.items().iter().any(|item| item.scalar().is_none()))
    {
        // What is wrong with it is said by the check of the stack file.
        draft.put("depends_on", own.key_span, node.clone());
        return;
    }
    let mut needs: Vec<Entry> = Vec::new();
    match said.map(|node| &node.value) {
        Some(Value::Map(entries)) => {
            for need in entries {
                let how = match need.value.is_null() || need.value.entries().is_empty() {
                    true => condition(need.key_span, STARTED),
                    false => need.value.clone(),
                };
                needs.push(entry(&need.key, need.key_span, how));
            }
        }
        Some(Value::List(items)) => {
            for item in items {
                add(&mut needs, written(item).unwrap_or_default(), item.span);
            }
        }
        Some(Value::Scalar(_)) | None => {}
    }
    for (name, span) in implied(draft.source) {
        add(&mut needs, &name, span);
    }
    if needs.is_empty() {
        return;
    }
    let is_list = !matches!(said.map(|node| &node.value), Some(Value::Map(_)));
    let is_plain = needs.iter().all(|need| {
        let said = get(&need.value, "condition").and_then(written);
        need.value.entries().len() == 1 && said == Some(usual(converter, &need.key))
    });
    let span = said.map_or(own.value.span, |node| node.span);
    let value = if is_list && is_plain {
        let names = needs.iter().map(|need| text(need.key_span, &need.key));
        list(span, names.collect())
    } else {
        map(span, needs)
    };
    draft.put("depends_on", own.key_span, value);
}

/// What a plain name waits for in a stack file.
fn usual(converter: &Converter<'_>, name: &str) -> &'static str {
    if converter.plan.tasks.contains(name) {
        COMPLETED
    } else if converter.plan.checked.contains(name) {
        HEALTHY
    } else {
        STARTED
    }
}

fn condition(span: Span, word: &str) -> Node {
    map(span, vec![entry("condition", span, text(span, word))])
}

fn add(needs: &mut Vec<Entry>, name: &str, span: Span) {
    if needs.iter().all(|need| need.key != name) {
        needs.push(entry(name, span, condition(span, STARTED)));
    }
}

/// The services that a service needs without saying so.
fn implied(service: &Node) -> Vec<(String, Span)> {
    let mut names = Vec::new();
    for key in ["links", "volumes_from"] {
        for item in get(service, key).map(one_or_more).unwrap_or_default() {
            let first = written(item).and_then(|said| said.split(':').next());
            if let Some(name) = first.filter(|name| *name != "container" && !name.is_empty()) {
                names.push((name.to_owned(), item.span));
            }
        }
    }
    for key in ["network_mode", "pid", "ipc"] {
        let node = get(service, key);
        let said = node.and_then(|node| Some((node.span, written(node)?)));
        if let Some((span, name)) =
            said.and_then(|(span, said)| Some((span, said.strip_prefix("service:")?)))
        {
            names.push((name.to_owned(), span));
        }
    }
    names
}

/// A link under another name.
fn aliases(converter: &mut Converter<'_>, draft: &Draft<'_>, links: &Node) {
    for item in one_or_more(links) {
        let said = written(item).and_then(|said| said.split_once(':'));
        if let Some((name, alias)) = said.filter(|(name, alias)| name != alias) {
            let what = format!(
                "the name `{}` for `{}` in `{}`",
                shorten(alias),
                shorten(name),
                shorten(draft.name)
            );
            let instead = format!("use the name `{}`", shorten(name));
            converter.lost(item.span, &what, "it does not resolve", &instead);
        }
    }
}
