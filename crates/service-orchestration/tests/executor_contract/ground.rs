//! Where the promises are tried: an executor, and what a test must know of the place where it runs programs.
//!
//! Owns: what all promises share in saying: launch, wait for the end, read what was said.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_lite::{StreamExt, future};
use rustix::process::{Pid, Signal, kill_process};
use service_orchestration::config::ServiceConfig;
use service_orchestration::executors::{
    AttemptEvent, GroundOrder, LaunchError, LaunchOrder, Progress, RunningAttempt, ServiceExecutor,
    StopOrder, Ticket,
};
use service_orchestration::logs::{LogLine, LogQuery, LogStore, LogStream};
use service_orchestration::report::ExitInfo;
use service_orchestration::spec::{StackName, StopScope, UnitId, UnitName};
use testkit::within;

/// A place where an executor runs programs, the fixture and a POSIX shell among them.
pub(crate) trait Ground: Sync {
    /// The unit that all orders are for.
    fn unit(&self) -> UnitId;

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

    /// How an end by this signal is told there.
    fn by_signal(&self, signal: i32) -> Plain;

    /// The same order, as another user.
    fn as_user(&self, order: LaunchOrder, user: &str) -> LaunchOrder;

    /// Whether this process lives there.
    fn is_alive(&self, pid: u32) -> bool;

    /// Whether programs can be run there as somebody else.
    fn may_switch_user(&self) -> bool;

    /// Where output is kept.
    fn logs(&self) -> &LogStore;
}

/// How long anything may take that is not limited otherwise.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// Exit code, signal, and whether nobody knows.
pub(crate) type Plain = (Option<i32>, Option<i32>, bool);

/// The one unit of a stack.
pub(crate) fn unit_of(stack: &str) -> UnitId {
    let stack = StackName::new(stack).expect("a legal name");
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
    prepare(&*executor, &order).await;
    let launching = executor.launch(order);
    within(SOON, "the launch", launching)
        .await
        .expect("the program is there")
}

/// Makes what an attempt stands on, where the executor has it so.
pub(crate) async fn prepare(executor: &dyn ServiceExecutor, order: &LaunchOrder) {
    if !executor.needs_ground(&order.target) {
        return;
    }
    let own = order.container.as_deref();
    let ground = GroundOrder {
        since: None,
        unit: order.unit.clone(),
        attempt: order.attempt,
        target: order.target.clone(),
        image: own.and_then(|own| own.image.clone()),
        directory: order.working_dir.clone(),
        progress: Progress::default(),
    };
    let preparing = executor.prepare(ground);
    let prepared = within(SOON, "the ground", preparing).await;
    prepared.expect("it can be made");
}

/// A launch that is refused.
pub(crate) async fn refusal(ground: &dyn Ground, order: LaunchOrder) -> LaunchError {
    let executor = ground.executor();
    prepare(&*executor, &order).await;
    let launched = within(SOON, "the launch", executor.launch(order)).await;
    launched.map(drop).expect_err("it cannot be launched")
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
                AttemptEvent::Notified { .. } | AttemptEvent::Networks { .. } => {}
                event @ (AttemptEvent::Unreachable(_)
                | AttemptEvent::Reached
                | AttemptEvent::Paused
                | AttemptEvent::Resumed
                | AttemptEvent::Checked) => {
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

pub(crate) fn code(code: i32) -> Plain {
    (Some(code), None, false)
}

/// The exit without what the stop took.
pub(crate) fn plain(exit: &ExitInfo) -> Plain {
    (exit.exit_code, exit.signal, exit.exit_unknown)
}

/// Everything that was written to one stream, byte for byte.
pub(crate) async fn written(ground: &dyn Ground, stream: LogStream) -> Vec<u8> {
    let query = LogQuery {
        stream: Some(stream),
        ..LogQuery::default()
    };
    let lines = ground.logs().open(&ground.unit()).read(query).await;
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

/// The number that the fixture told on stdout as `name number`; waits for it. Whoever waits for what happens to an attempt
/// may be who takes its output, so that is done too.
pub(crate) async fn told(ground: &dyn Ground, attempt: &mut dyn RunningAttempt, name: &str) -> u32 {
    let first = future::or(logged(ground, name), goes_on(attempt));
    within(SOON, name, first).await
}

/// The same of one that nobody needs to watch.
pub(crate) async fn logged(ground: &dyn Ground, name: &str) -> u32 {
    let lines = ground
        .logs()
        .open(&ground.unit())
        .follow(LogQuery::default());
    let numbers = lines.filter_map(|line| {
        let line = line.expect("the log is readable");
        let text = String::from_utf8(line.bytes).ok()?;
        text.strip_prefix(name)?.trim().parse().ok()
    });
    let first = std::pin::pin!(numbers).next().await;
    first.expect("a log has no end")
}

/// Nothing happens to it.
pub(crate) async fn goes_on<T>(attempt: &mut dyn RunningAttempt) -> T {
    let event = attempt.next().await;
    panic!("{event:?}")
}

/// Waits until it has said this line on stdout.
pub(crate) async fn said(ground: &dyn Ground, attempt: &mut dyn RunningAttempt, text: &str) {
    let lines = ground
        .logs()
        .open(&ground.unit())
        .follow(LogQuery::default());
    let is_it = |line: &Result<_, _>| {
        let line: &LogLine = line.as_ref().expect("the log is readable");
        line.bytes == text.as_bytes()
    };
    let mut lines = std::pin::pin!(lines);
    let found = async { while !is_it(&lines.next().await.expect("a log has no end")) {} };
    within(SOON, text, future::or(found, goes_on(attempt))).await;
}

/// Ends what a failed test left running of these instances.
pub(crate) fn end_all(launched: &mut Mutex<Vec<String>>) {
    let launched = launched.get_mut();
    for id in launched.expect("no test panics there").drain(..) {
        for pid in testkit::processes_with_env(&format!("HARNESS_INSTANCE_ID={id}")) {
            let pid = Pid::from_raw(pid.cast_signed()).expect("a PID is positive");
            kill_process(pid, Signal::KILL).ok();
        }
    }
}
