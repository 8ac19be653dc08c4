//! Restart, stop and log policies.

use service_orchestration::spec::{
    Backoff, CrashLoop, Log, LogMode, OnFull, Restart, RestartWhen, Stop, StopScope,
};

use super::{Decoder, command};
use crate::keys::{BACKOFF, CRASH_LOOP, LOG, RESTART, STOP, signal};
use crate::report::Code;
use crate::table::{Fields, size};
use crate::yaml::{Entry, Node, Scalar};

impl Decoder<'_> {
    /// What `restart` says.
    pub(super) fn restart(&mut self, node: Option<&Node>) -> Restart {
        let Some(node) = node else {
            return Restart::default();
        };
        if let Some(text) = node.scalar().and_then(Scalar::literal) {
            let (word, count) = text
                .split_once(':')
                .map_or((text, None), |(word, n)| (word, n.parse().ok()));
            return Restart {
                when: restart_when(word, count),
                ..Restart::default()
            };
        }
        let fields = Fields::new(node, RESTART.fields);
        let policy = fields.word("policy").unwrap_or_else(|| "on-failure".into());
        let max = fields.number("max_retries");
        if policy != "on-failure"
            && let Some(entry) = fields.entry("max_retries")
        {
            self.sink.error(
                Code::WrongPlace,
                entry.key_span,
                "`max_retries` belongs to the policy `on-failure`",
            );
        }
        Restart {
            when: restart_when(&policy, max),
            backoff: fields.node("backoff").map(backoff).unwrap_or_default(),
            crash_loop: fields
                .node("crash_loop")
                .map(crash_loop)
                .unwrap_or_default(),
        }
    }

    /// What `stop` and its other spellings say. `group_by_default`: a shell is the main process, and a shell that is
    /// ended leaves what it runs behind, so the signal goes to all.
    pub(super) fn stop(
        &mut self,
        common: &Fields<'_>,
        shutdown: Option<&Entry>,
        group_by_default: bool,
    ) -> Stop {
        let policy = common
            .node("stop")
            .map(|node| Fields::new(node, STOP.fields));
        let inner = |key: &str| policy.and_then(|fields| fields.entry(key));
        let literal = |entry: &Entry| {
            entry
                .value
                .scalar()
                .and_then(Scalar::literal)
                .map(str::to_owned)
        };
        let candidates = |entries: Vec<Option<&Entry>>| {
            let present = entries.into_iter().flatten();
            present
                .filter_map(|e| Some((e.key_span, literal(e)?)))
                .collect::<Vec<_>>()
        };
        let signals = candidates(vec![inner("signal"), common.entry("stop_signal")]);
        let graces = candidates(vec![
            inner("grace"),
            common.entry("stop_grace_period"),
            shutdown,
        ]);
        let scope = policy.and_then(|fields| fields.word("scope"));
        let default = Stop::default();
        Stop {
            signal: self
                .one_of(signals, "the stop signal")
                .and_then(|text| signal(&text).ok())
                .unwrap_or(default.signal),
            grace: self
                .one_of(graces, "the grace period")
                .and_then(|text| crate::table::duration(&text).ok())
                .or(self.settings.shutdown_timeout)
                .unwrap_or(default.grace),
            command: inner("command")
                .and_then(|entry| command::command(&entry.value, None))
                .map(|line| line.words),
            scope: match scope.as_deref() {
                Some("group") => StopScope::Group,
                Some(_) => StopScope::Main,
                None if group_by_default => StopScope::Group,
                None => default.scope,
            },
        }
    }
}

/// What `log` says.
pub(super) fn log(node: Option<&Node>) -> Log {
    let default = Log::default();
    let Some(node) = node else {
        return default;
    };
    let fields = Fields::new(node, LOG.fields);
    Log {
        mode: match fields.word("mode").as_deref() {
            Some("file") => LogMode::File,
            _ => LogMode::Capture,
        },
        max_size: fields
            .literal("max_size")
            .and_then(|text| size(text).ok())
            .unwrap_or(default.max_size),
        max_files: fields.number("max_files").unwrap_or(default.max_files),
        on_full: match fields.word("on_full").as_deref() {
            Some("block") => OnFull::Block,
            _ => OnFull::Drop,
        },
    }
}

fn restart_when(word: &str, max: Option<u32>) -> RestartWhen {
    match word {
        "always" => RestartWhen::Always,
        "unless-stopped" => RestartWhen::UnlessStopped,
        "on-failure" => RestartWhen::OnFailure { max },
        _ => RestartWhen::Never,
    }
}

fn backoff(node: &Node) -> Backoff {
    let fields = Fields::new(node, BACKOFF.fields);
    let default = Backoff::default();
    let initial = fields.duration("initial").unwrap_or(default.initial);
    Backoff {
        initial,
        factor: fields.number("factor").unwrap_or(default.factor),
        cap: fields.duration("max").unwrap_or(default.cap).max(initial),
        jitter_percent: fields.number("jitter").unwrap_or(default.jitter_percent),
        reset_after: fields
            .duration("reset_after")
            .unwrap_or(default.reset_after),
    }
}

fn crash_loop(node: &Node) -> CrashLoop {
    let fields = Fields::new(node, CRASH_LOOP.fields);
    let default = CrashLoop::default();
    CrashLoop {
        limit: fields.number("limit").unwrap_or(default.limit),
        window: fields.duration("window").unwrap_or(default.window),
        retry_every: match fields.word("retry_every").as_deref() {
            Some("never") => None,
            Some(_) => fields.duration("retry_every"),
            None => default.retry_every,
        },
    }
}
