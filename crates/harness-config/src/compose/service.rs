//! One service of a Compose file as a service or a task in a container.
//!
//! Owns: which rule turns which key, and the defaults in which the two formats differ. What a service of Compose does not
//! say about restarts is said here: it is not started again.

use super::convert::{Converter, stack_field};
use super::keys::{self, Fate, Key, Rule};
use super::nodes::{entry, get, list, map, one_or_more, plain, text, written};
use super::plan::retries;
use super::{build, depends, deploy, health, mounts, networks, ports, tmpfs};
use crate::keys::{COMMON, SERVICE, TASK, signal};
use crate::report::Code;
use crate::source::Span;
use crate::table::{Shape, duration, find};
use crate::yaml::{Entry, Node, Value, shorten};

/// What a service becomes, key by key in the order of the source.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    /// The name of the service.
    pub(super) name: &'a str,
    /// Where its name stands.
    pub(super) span: Span,
    /// What Compose says.
    pub(super) source: &'a Node,
    pub(super) is_task: bool,
    /// A network of the engine, instead of the stack's own.
    pub(super) engine_network: Option<Node>,
    made: Vec<Entry>,
}

impl Draft<'_> {
    pub(super) fn put(&mut self, key: &str, key_span: Span, value: Node) {
        match self.made.iter_mut().find(|known| known.key == key) {
            None => self.made.push(entry(key, key_span, value)),
            Some(known) => match (&mut known.value.value, value.value) {
                (Value::Map(entries), Value::Map(more)) => entries.extend(more),
                (Value::List(items), Value::List(more)) => items.extend(more),
                // The first word stands.
                (Value::Map(_) | Value::List(_) | Value::Scalar(_), _) => {}
            },
        }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.made.iter().any(|known| known.key == key)
    }

    /// `in.key: value`, with whatever else stands in that mapping.
    pub(super) fn put_in(&mut self, outer: &str, key: &str, key_span: Span, value: Node) {
        let inner = map(value.span, vec![entry(key, key_span, value)]);
        self.put(outer, key_span, inner);
    }
}

impl Converter<'_> {
    /// The service as an entry of `services` or `tasks`.
    pub(super) fn unit(&mut self, service: &Entry, is_task: bool) -> Entry {
        if !matches!(service.value.value, Value::Map(_)) {
            // What is wrong with it is said by the check of the stack file.
            return service.clone();
        }
        let mut draft = Draft {
            name: &service.key,
            span: service.key_span,
            source: &service.value,
            is_task,
            engine_network: None,
            made: Vec::new(),
        };
        for own in service.value.entries() {
            if own.value.is_null() || own.key.starts_with("x-") {
                continue;
            }
            match keys::of(&own.key) {
                Some(key) => self.key(own, key, &mut draft),
                None => self.unknown(own, &service.key),
            }
        }
        self.defaults(&mut draft);
        networks::settle(self, &mut draft);
        let made = match draft.engine_network {
            Some(network) => nested(draft.made, network),
            None => draft.made,
        };
        entry(
            &service.key,
            service.key_span,
            map(service.value.span, made),
        )
    }

    fn unknown(&mut self, own: &Entry, service: &str) {
        let near = self.sink.suggest(&own.key, keys::names());
        let message = format!(
            "`{}` in `{}` is no key of a Compose file",
            shorten(&own.key),
            shorten(service)
        );
        self.sink
            .error(Code::UnknownField, own.key_span, message)
            .meant(near);
    }

    /// With an error noted nothing runs, so an image stands in for the one that is not named, and it is said once.
    fn without_image(&mut self, draft: &mut Draft<'_>) {
        let known = |own: &Entry| own.key.starts_with("x-") || keys::of(&own.key).is_some();
        // A misspelt `imge` has been reported already, and so has what cannot be extended.
        if draft.source.entries().iter().all(known) && draft.source.entry("extends").is_none() {
            let message = format!("`{}` has neither `image` nor `build`", shorten(draft.name));
            self.sink.error(Code::Missing, draft.span, message);
        }
        draft.put("image", draft.span, text(draft.span, "none"));
    }

    fn key(&mut self, own: &Entry, key: &'static Key, draft: &mut Draft<'_>) {
        let rule = match key.fate {
            Fate::Used => return,
            Fate::Flag(_) if self.value(&own.value).as_deref() == Some("false") => return,
            Fate::Same(name) | Fate::Flag(name) => return self.same(own, key, name, draft),
            Fate::Turned(rule) => rule,
        };
        match rule {
            Rule::Build => build::turn(self, draft, own),
            Rule::Command => self.command(own, draft),
            Rule::EnvFile => self.env_file(own, draft),
            Rule::Labels => with_nothing_as(own, draft, "labels", text),
            Rule::Environment => with_nothing_as(own, draft, "env", plain),
            Rule::Pull => self.pull(own, key, draft),
            Rule::Restart => self.restart(own, draft),
            Rule::StopSignal => self.stop_signal(own, draft),
            Rule::StopGrace => {
                self.has_unit(own, &format!("`{}`", shorten(draft.name)));
                draft.put_in("stop", "grace", own.key_span, lasting(&own.value));
            }
            Rule::Expose if own.value.items().is_empty() => {}
            Rule::Expose => self.same(own, key, "expose", draft),
            Rule::DependsOn | Rule::Links => depends::turn(self, draft, own),
            Rule::VolumesFrom => {
                self.lost_key(own, draft.name, key);
                depends::turn(self, draft, own);
            }
            Rule::HealthCheck => health::turn(self, draft, own),
            Rule::Ports => ports::turn(self, draft, own),
            Rule::Volumes => mounts::volumes(self, draft, own),
            Rule::Tmpfs => tmpfs::turn(self, draft, own),
            Rule::Secrets | Rule::Configs => mounts::files(self, draft, own, rule),
            Rule::Deploy => deploy::turn(self, draft, own),
            Rule::Scale => deploy::replicas(self, draft, own),
            Rule::Limit(name) => deploy::limit(self, draft, own, name),
            Rule::Logging => deploy::logging(self, draft, own),
            Rule::Networks => networks::turn(self, draft, own),
            Rule::NetworkMode => networks::mode(self, draft, own),
        }
    }

    fn same(&mut self, own: &Entry, key: &Key, name: &str, draft: &mut Draft<'_>) {
        match stack_field(name, draft.is_task) {
            Some(_) => draft.put(name, own.key_span, own.value.clone()),
            None => self.lost_key(own, draft.name, key),
        }
    }

    /// An empty entry point is none. An empty command cannot be said: engines take the image's for it.
    fn command(&mut self, own: &Entry, draft: &mut Draft<'_>) {
        let is_empty = match &own.value.value {
            Value::Scalar(scalar) => scalar.text.trim().is_empty(),
            Value::List(items) => items.is_empty(),
            Value::Map(_) => false,
        };
        if !is_empty {
            draft.put(&own.key, own.key_span, own.value.clone());
            return;
        }
        if own.key == "entrypoint" {
            let none = Node {
                value: Value::List(Vec::new()),
                ..own.value.clone()
            };
            draft.put(&own.key, own.key_span, none);
            return;
        }
        let what = format!("the empty `{}` of `{}`", own.key, shorten(draft.name));
        let means = "the image's own is run";
        self.lost(own.key_span, &what, means, "write the whole command");
    }

    fn env_file(&mut self, own: &Entry, draft: &mut Draft<'_>) {
        let mut files = Vec::new();
        for file in one_or_more(&own.value) {
            let mut file = file.clone();
            let span = file.span;
            let format = |word: &str| entry("format", span, text(span, word));
            match &mut file.value {
                Value::Map(entries) => {
                    let said = entries.iter().find(|part| part.key == "format");
                    let said = said.map(|part| (part.key_span, self.value(&part.value)));
                    entries.retain(|part| part.key != "format");
                    let is_raw = matches!(&said, Some((_, Some(word))) if word == "raw");
                    if let Some((key, said)) = said.filter(|_| !is_raw) {
                        let said = said.unwrap_or_default();
                        if !said.is_empty() {
                            let message =
                                format!("`{}` is no format of an environment file", shorten(&said));
                            self.sink
                                .error(Code::Invalid, key, message)
                                .help("`raw`, or leave it out");
                        }
                    }
                    entries.push(format(if is_raw { "raw" } else { "compose" }));
                }
                _ => file = map(span, vec![entry("path", span, file), format("compose")]),
            }
            files.push(file);
        }
        draft.put("env_file", own.key_span, list(own.value.span, files));
    }

    fn pull(&mut self, own: &Entry, key: &Key, draft: &mut Draft<'_>) {
        let said = self.value(&own.value).unwrap_or_default();
        let word = match said.as_str() {
            "always" => "always",
            "never" => "never",
            "missing" | "if_not_present" => "missing",
            "build" if has_word("pull", "build", draft.is_task) => "build",
            _ => {
                let message = format!(
                    "`pull_policy: {}` of `{}` becomes `missing`",
                    shorten(&said),
                    shorten(draft.name)
                );
                return self.changed(
                    own.key_span,
                    message,
                    "pull or build the image when it is to be a newer one",
                );
            }
        };
        match stack_field("pull", draft.is_task) {
            Some(_) => draft.put("pull", own.key_span, text(own.value.span, word)),
            None if word == "missing" => {}
            None => self.lost(
                own.key_span,
                &format!("`{}` of `{}`", key.name, shorten(draft.name)),
                "the image is pulled when it is not there",
                "pull it yourself when it is to be a newer one",
            ),
        }
    }

    fn restart(&mut self, own: &Entry, draft: &mut Draft<'_>) {
        let deploy = get(draft.source, "deploy");
        if deploy.is_some_and(|deploy| get(deploy, "restart_policy").is_some()) {
            // That one wins.
            return;
        }
        if !draft.is_task {
            draft.put("restart", own.key_span, own.value.clone());
            return;
        }
        if let Some(count) = retries(draft.source).filter(|count| *count != "0") {
            draft.put("retries", own.key_span, plain(own.value.span, count));
        }
    }

    fn stop_signal(&mut self, own: &Entry, draft: &mut Draft<'_>) {
        let said = self.value(&own.value);
        if said.as_deref().is_some_and(|name| signal(name).is_err()) {
            let what = format!("`stop_signal` of `{}`", shorten(draft.name));
            let means = "it is asked to end with SIGTERM";
            self.lost(
                own.key_span,
                &what,
                means,
                "use `stop.command` to end it in another way",
            );
            return;
        }
        draft.put_in("stop", "signal", own.key_span, own.value.clone());
    }

    /// Where Compose's default is not that of a stack file.
    fn defaults(&mut self, draft: &mut Draft<'_>) {
        if self.plan.asked.contains(draft.name) && !draft.has("health_check") {
            let check = entry("container", draft.span, plain(draft.span, "true"));
            draft.put("health_check", draft.span, map(draft.span, vec![check]));
        }
        let runs = ["image", "build"].iter().any(|key| draft.has(key));
        if !runs && self.is_whole {
            self.without_image(draft);
        }
        if (runs || self.is_whole) && !draft.is_task && !draft.has("restart") {
            draft.put("restart", draft.span, text(draft.span, "no"));
        }
    }
}

/// The fields of the container under `target`: beside it, `network` would be one of the stack's.
fn nested(made: Vec<Entry>, network: Node) -> Vec<Entry> {
    let span = network.span;
    let is_of_target = |entry: &Entry| find(&[COMMON, SERVICE, TASK], &entry.key).is_none();
    let (target, mut rest): (Vec<Entry>, Vec<Entry>) = made.into_iter().partition(is_of_target);
    let mut inner = vec![entry("type", span, text(span, "docker"))];
    inner.extend(target);
    inner.push(entry("network", span, network));
    rest.insert(0, entry("target", span, map(span, inner)));
    rest
}

/// Whether a field of the stack file takes this word.
fn has_word(key: &str, word: &str, is_task: bool) -> bool {
    stack_field(key, is_task).is_some_and(|field| match field.shape {
        Shape::Word(words) => words.contains(&word),
        _ => false,
    })
}

/// A mapping in which nothing, however it is written, is nothing: of a label empty text, of a variable the caller's.
fn with_nothing_as(
    own: &Entry,
    draft: &mut Draft<'_>,
    key: &str,
    nothing: fn(Span, &'static str) -> Node,
) {
    let mut value = own.value.clone();
    if let Value::Map(entries) = &mut value.value {
        for entry in entries.iter_mut().filter(|entry| entry.value.is_null()) {
            entry.value = nothing(entry.value.span, "");
        }
    }
    draft.put(key, own.key_span, value);
}

/// A duration as Compose writes it, so that a stack file reads it: `1.5s` is 1500 ms.
pub(super) fn lasting(node: &Node) -> Node {
    match written(node) {
        Some(said) if duration(said).is_err() => match milliseconds(said) {
            Some(milliseconds) => text(node.span, format!("{milliseconds}ms")),
            None => node.clone(),
        },
        Some(_) | None => node.clone(),
    }
}

/// Sums up `1h2.5m300ms`.
fn milliseconds(said: &str) -> Option<u64> {
    let mut rest = said.trim();
    let mut sum = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let count: f64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let end = rest
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(rest.len());
        sum += count
            * match &rest[..end] {
                "h" => 3_600_000.0,
                "m" => 60_000.0,
                "s" => 1000.0,
                "ms" => 1.0,
                "us" | "µs" => 0.001,
                "ns" => 0.000_001,
                _ => return None,
            };
        rest = &rest[end..];
    }
    let is_possible = sum.is_finite() && (0.0..1e15).contains(&sum);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is a whole number from 0 to 10^15 then"
    )]
    is_possible.then_some(sum.ceil() as u64)
}

#[cfg(test)]
mod tests {
    use super::milliseconds;

    #[test]
    fn durations_with_a_point_become_milliseconds() {
        assert_eq!(milliseconds("1.5s"), Some(1500));
        assert_eq!(milliseconds("1h0.5m1ms"), Some(3_630_001));
        assert_eq!(milliseconds("1us"), Some(1));
        for wrong in ["5", "1.5", "s", "1d", "1.2.3s", "x"] {
            assert_eq!(milliseconds(wrong), None, "{wrong}");
        }
    }
}
