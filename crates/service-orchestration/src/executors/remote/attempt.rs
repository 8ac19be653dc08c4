//! An attempt on another host that runs, or has run and is not told to have ended yet.
//!
//! Owns: what is heard of it, and the order of its end: it is over there, its last byte is here, and only then is that told.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use async_channel::{Receiver, Sender};
use async_trait::async_trait;
use command_executor::agent::{HostLink, HostState};
use command_executor::supervised::{SupervisedEvent, SupervisedProcess};
use futures_lite::future;
use service_shim::ExitRecord;

use super::control::RemoteControl;
use super::mirror::Mirror;
use super::slip::Slip;
use crate::executors::copy::LogCopy;
use crate::executors::shimmed::exit_info;
use crate::executors::{
    AttemptControl, AttemptEvent, AttemptFacts, HostFacts, NoControl, RunningAttempt,
};
use crate::report::ExitInfo;

/// See the module.
pub(super) struct RemoteAttempt {
    facts: AttemptFacts,
    control: Arc<dyn AttemptControl>,
    host: HostLink,
    /// Until its end is known.
    process: Option<SupervisedProcess>,
    /// Its output on the way; kept over a dropped `next`. None once all of it is here.
    mirror: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// Tells the mirror of the end.
    ended: Sender<u64>,
    end: Option<ExitInfo>,
    /// What becomes of the host, while the last of the output is waited for.
    changes: Option<Receiver<HostState>>,
    is_told_unreachable: bool,
}

enum Step {
    Happened(SupervisedEvent),
    Mirrored,
    Changed(HostState),
}

impl RemoteAttempt {
    /// One that runs.
    pub(super) fn running(
        host: HostLink,
        slip: &Slip,
        process: SupervisedProcess,
        facts: HostFacts,
    ) -> Self {
        let pid = process.pid();
        let control = RemoteControl {
            control: process.control(),
            host: host.clone(),
            working_dir: slip.working_dir.clone(),
        };
        Self::new(host, slip, Arc::new(control), Some(pid), facts).with(Some(process))
    }

    /// One that is over, and whose output may not all be here.
    pub(super) fn ended(host: HostLink, slip: &Slip, exit: &ExitRecord, facts: HostFacts) -> Self {
        let mut this = Self::new(host, slip, Arc::new(NoControl), exit.pid, facts);
        this.over(exit);
        this
    }

    fn new(
        host: HostLink,
        slip: &Slip,
        control: Arc<dyn AttemptControl>,
        pid: Option<u32>,
        facts: HostFacts,
    ) -> Self {
        let (ended, told) = async_channel::bounded(1);
        let mirror = Mirror {
            host: host.clone(),
            log_dir: slip.log_dir.clone(),
            attempt: slip.attempt,
            copy: LogCopy::new(slip.copy.clone(), slip.attempt),
            ended: told,
        };
        Self {
            facts: AttemptFacts {
                pid,
                note: weaker(&host),
                host: Some(Box::new(facts)),
                ..AttemptFacts::default()
            },
            control,
            host,
            process: None,
            mirror: Some(Box::pin(mirror.run())),
            ended,
            end: None,
            changes: None,
            is_told_unreachable: false,
        }
    }

    fn with(self, process: Option<SupervisedProcess>) -> Self {
        Self { process, ..self }
    }

    fn over(&mut self, exit: &ExitRecord) {
        self.end = Some(exit_info(exit));
        self.process = None;
        self.changes = Some(self.host.subscribe());
        // It is told once, and a mirror that is done does not listen.
        let _ = self.ended.try_send(exit.ended_at_ns);
    }

    /// What happens next. Every future that goes on is kept in `self`, so dropping this one loses nothing.
    async fn step(&mut self) -> Step {
        let happened = async {
            match &mut self.process {
                Some(process) => Step::Happened(process.next_event().await),
                None => future::pending().await,
            }
        };
        let mirrored = async {
            match &mut self.mirror {
                Some(mirror) => {
                    mirror.await;
                    Step::Mirrored
                }
                None => future::pending().await,
            }
        };
        let changed = async {
            match &self.changes {
                // It ends never, for we hold the host.
                Some(changes) => match changes.recv().await {
                    Ok(state) => Step::Changed(state),
                    Err(async_channel::RecvError) => future::pending().await,
                },
                None => future::pending().await,
            }
        };
        // An end is told as soon as it can be.
        future::or(happened, future::or(mirrored, changed)).await
    }

    /// What a step means; an event when it is one for others.
    fn digest(&mut self, step: Step) -> Option<AttemptEvent> {
        match step {
            Step::Mirrored => self.mirror = None,
            Step::Changed(HostState::Unreachable(error)) => {
                return self.unreachable(crate::error_chain(&*error));
            }
            // Its end is all that is left to tell.
            Step::Changed(_) => {}
            Step::Happened(SupervisedEvent::Notify(state)) => {
                return Some(AttemptEvent::Notified {
                    ready: state.ready,
                    status: state.status,
                });
            }
            Step::Happened(SupervisedEvent::Exited(exit)) => self.over(&exit),
            Step::Happened(SupervisedEvent::Unwatched(error)) => {
                return self.unreachable(crate::error_chain(&error));
            }
            Step::Happened(SupervisedEvent::Watched) => {
                let was_told = std::mem::take(&mut self.is_told_unreachable);
                return was_told.then_some(AttemptEvent::Reached);
            }
            // `Stopping`, and whatever a later shim may say besides.
            Step::Happened(_) => {}
        }
        None
    }

    fn unreachable(&mut self, reason: String) -> Option<AttemptEvent> {
        let is_first = !std::mem::replace(&mut self.is_told_unreachable, true);
        is_first.then_some(AttemptEvent::Unreachable(reason))
    }
}

/// What people should know of a host that no shim serves.
fn weaker(host: &HostLink) -> Option<String> {
    let HostState::Reached(hello) = host.state() else {
        return None;
    };
    let words = hello.weaker.join("; ");
    (!words.is_empty()).then(|| format!("kept by sh: {words}"))
}

#[async_trait]
impl RunningAttempt for RemoteAttempt {
    fn facts(&self) -> AttemptFacts {
        self.facts.clone()
    }

    fn control(&self) -> Arc<dyn AttemptControl> {
        Arc::clone(&self.control)
    }

    async fn next(&mut self) -> AttemptEvent {
        loop {
            if let (Some(exit), None) = (&self.end, &self.mirror) {
                return AttemptEvent::Exited(exit.clone());
            }
            let step = self.step().await;
            if let Some(event) = self.digest(step) {
                return event;
            }
        }
    }
}
