//! Where the promises are tried: an executor, and what a test must know of the place where it runs programs.
//!
//! Owns: what all promises share in saying: launch, wait for the end, read what was said.

use std::sync::Arc;
use std::time::Duration;

use futures_lite::StreamExt;
use service_orchestration::config::ServiceConfig;
use service_orchestration::executors::{
    AttemptEvent, LaunchOrder, RunningAttempt, ServiceExecutor, StopOrder, Ticket,
};
use service_orchestration::logs::{LogQuery, LogStore, LogStream};
use service_orchestration::report::ExitInfo;
use service_orchestration::spec::{StackName, StopScope, TargetSpec, UnitId, UnitName};
use testkit::within;

/// A place where an executor runs programs, the fixture and a POSIX shell among them.
pub(crate) trait Ground: Sync {
    /// A new executor over the same place, as a program has it that was started again.
    fn executor(&self) -> Arc<dyn ServiceExecutor>;

    /// An order for a program.
    fn order(&self, command: &[&str]) -> LaunchOrder;

    /// The same program as an embedder asks for it.
    fn config(&self, command: &[&str]) -> ServiceConfig;

    /// The program `fixture` there.
    fn fixture(&self) -> &str;

    /// A directory there that exists, and that any user may enter.
    fn directory(&self) -> &str;

    /// Puts a file there that nobody may execute, and names it.
    fn put_plain_file(&self) -> String;

    /// Whether this process lives there.
    fn is_alive(&self, pid: u32) -> bool;

    /// Whether programs can be run there as somebody else.
    fn may_switch_user(&self) -> bool;

    /// Where output is kept.
    fn logs(&self) -> &LogStore;
}

/// How long anything may take that is not limited otherwise.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// The unit that all orders are for.
pub(crate) fn unit() -> UnitId {
    let stack = StackName::new("contract").expect("a legal name");
    UnitId::single(stack, UnitName::new("unit").expect("a legal name"))
}

/// An order for the fixture.
pub(crate) fn fixture(ground: &dyn Ground, arguments: &[&str]) -> LaunchOrder {
    ground.order(&[&[ground.fixture()], arguments].concat())
}

/// An order for a shell that does this.
pub(crate) fn shell(ground: &dyn Ground, script: &str) -> LaunchOrder {
    ground.order(&["/bin/sh", "-c", script])
}

/// The same order, as another user.
pub(crate) fn as_user(mut order: LaunchOrder, user: &str) -> LaunchOrder {
    match &mut order.target {
        TargetSpec::Process(target) => target.user = Some(user.into()),
        other => panic!("a target of type {} has no user", other.kind()),
    }
    order
}

pub(crate) fn ticket(order: &LaunchOrder) -> Ticket {
    Ticket {
        unit: order.unit.clone(),
        attempt: order.attempt,
        instance_id: order.instance_id.clone(),
        details: None,
    }
}

pub(crate) async fn launch(ground: &dyn Ground, order: LaunchOrder) -> Box<dyn RunningAttempt> {
    let executor = ground.executor();
    let launching = executor.launch(order);
    within(SOON, "the launch", launching)
        .await
        .expect("the program is there")
}

pub(crate) fn pid_of(attempt: &dyn RunningAttempt) -> u32 {
    attempt.facts().pid.expect("the process is known")
}

/// How it ends.
pub(crate) async fn end_of(attempt: &mut dyn RunningAttempt) -> ExitInfo {
    let ending = async {
        loop {
            match attempt.next().await {
                AttemptEvent::Exited(exit) => return exit,
                AttemptEvent::Notified { .. } => {}
                event @ (AttemptEvent::Unreachable(_) | AttemptEvent::Reached) => {
                    panic!("{event:?}")
                }
            }
        }
    };
    within(SOON, "the end of the attempt", ending).await
}

/// A signal to the main process, and so long.
pub(crate) fn politely(signal: i32, grace: Duration) -> StopOrder {
    StopOrder {
        signal: Some(signal),
        grace,
        scope: StopScope::Main,
    }
}

pub(crate) fn code(code: i32) -> (Option<i32>, Option<i32>, bool) {
    (Some(code), None, false)
}

pub(crate) fn signal(signal: i32) -> (Option<i32>, Option<i32>, bool) {
    (None, Some(signal), false)
}

/// The exit without what the stop took.
pub(crate) fn plain(exit: &ExitInfo) -> (Option<i32>, Option<i32>, bool) {
    (exit.exit_code, exit.signal, exit.exit_unknown)
}

/// Everything that was written to one stream, byte for byte.
pub(crate) async fn written(ground: &dyn Ground, stream: LogStream) -> Vec<u8> {
    let query = LogQuery {
        stream: Some(stream),
        ..LogQuery::default()
    };
    let lines = ground.logs().open(&unit()).read(query).await;
    let mut bytes = Vec::new();
    for line in lines.expect("the log is readable") {
        assert_eq!(line.gap, None, "something is missing");
        bytes.extend_from_slice(&line.bytes);
        if !line.partial {
            bytes.push(b'\n');
        }
    }
    bytes
}

/// The number that the fixture told on stdout as `name number`; waits for it.
pub(crate) async fn told(ground: &dyn Ground, name: &str) -> u32 {
    let lines = ground.logs().open(&unit()).follow(LogQuery::default());
    let numbers = lines.filter_map(|line| {
        let line = line.expect("the log is readable");
        let text = String::from_utf8(line.bytes).ok()?;
        text.strip_prefix(name)?.trim().parse().ok()
    });
    let first = async { std::pin::pin!(numbers).next().await };
    within(SOON, name, first).await.expect("a log has no end")
}
