//! The events of a process launched with pipes.
//!
//! Rule of the end: once the main process has ended, what is in the pipes at that moment is read, for that is all it
//! wrote; then comes `Exit`. Descendants that hold the pipes do not delay it: what they write later is not read, a
//! `System` event before `Exit` says that they are there, and the pipes stay open until the stream is dropped.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_lite::Stream;

use crate::Exit;
use crate::event::ProcessEvent;
use crate::local::pipe::Pipe;
use crate::local::process::Process;

pub(crate) struct Output {
    pipes: [Option<Pipe>; 2],
    /// Which pipe is asked first: the other one than last time, so that a flood on one does not silence the other.
    first: usize,
    process: Arc<Process>,
    /// How many events came since the process was last looked at.
    unlooked: usize,
    phase: Phase,
}

enum Phase {
    Fresh,
    Running(Pin<Box<dyn Future<Output = io::Result<Exit>> + Send>>),
    /// Ended; what it wrote is being read.
    Draining(Exit),
    /// All is read; the pipe of this index is looked at next.
    Closing(Exit, usize),
    Finished,
}

impl Output {
    pub(crate) fn new(process: Arc<Process>, pipes: [Option<Pipe>; 2]) -> Self {
        Self {
            pipes,
            first: 0,
            process,
            unlooked: 0,
            phase: Phase::Fresh,
        }
    }

    /// The next line of either pipe; `None` when both are read to their end.
    fn poll_pipes(&mut self, context: &mut Context<'_>) -> Poll<Option<ProcessEvent>> {
        let mut all_ended = true;
        for index in [self.first, 1 - self.first] {
            let Some(pipe) = &mut self.pipes[index] else {
                continue;
            };
            match pipe.poll_event(context) {
                Poll::Ready(Some(event)) => {
                    self.first = 1 - index;
                    return Poll::Ready(Some(event));
                }
                Poll::Ready(None) => {}
                Poll::Pending => all_ended = false,
            }
        }
        if all_ended {
            Poll::Ready(None)
        } else {
            Poll::Pending
        }
    }

    /// Looks for the end now and then although there is output: a descendant that never stops writing must not hide it.
    fn look_now_and_then(&mut self) {
        self.unlooked += 1;
        if self.unlooked >= EVENTS_BETWEEN_LOOKS {
            self.unlooked = 0;
            if let Ok(Some(exit)) = self.process.observe() {
                self.begin_draining(exit);
            }
        }
    }

    fn begin_draining(&mut self, exit: Exit) {
        for pipe in self.pipes.iter_mut().flatten() {
            pipe.limit_to_what_is_there();
        }
        self.phase = Phase::Draining(exit);
    }
}

impl Stream for Output {
    type Item = ProcessEvent;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<ProcessEvent>> {
        let this = self.get_mut();
        loop {
            match &mut this.phase {
                Phase::Fresh => {
                    let process = this.process.clone();
                    this.phase = Phase::Running(Box::pin(async move { process.wait().await }));
                    return Poll::Ready(Some(ProcessEvent::started(this.process.id())));
                }
                Phase::Running(_) => {
                    if let Poll::Ready(Some(event)) = this.poll_pipes(context) {
                        this.look_now_and_then();
                        return Poll::Ready(Some(event));
                    }
                    let Phase::Running(end) = &mut this.phase else {
                        continue;
                    };
                    match end.as_mut().poll(context) {
                        Poll::Ready(Ok(exit)) => this.begin_draining(exit),
                        Poll::Ready(Err(error)) => {
                            this.begin_draining(Exit::Unknown);
                            return Poll::Ready(Some(ProcessEvent::system(format!(
                                "cannot watch it: {error}"
                            ))));
                        }
                        Poll::Pending => return Poll::Pending,
                    }
                }
                Phase::Draining(exit) => {
                    let exit = *exit;
                    match this.poll_pipes(context) {
                        Poll::Ready(Some(event)) => return Poll::Ready(Some(event)),
                        Poll::Ready(None) => this.phase = Phase::Closing(exit, 0),
                        Poll::Pending => return Poll::Pending,
                    }
                }
                Phase::Closing(exit, index) => {
                    let (exit, index) = (*exit, *index);
                    let Some(slot) = this.pipes.get(index) else {
                        this.phase = Phase::Finished;
                        return Poll::Ready(Some(ProcessEvent::exited(exit)));
                    };
                    this.phase = Phase::Closing(exit, index + 1);
                    if let Some(pipe) = slot.as_ref().filter(|pipe| pipe.is_held_open()) {
                        let name = pipe.name();
                        return Poll::Ready(Some(ProcessEvent::system(format!(
                            "a descendant holds its {name}; what that writes from now on is not read"
                        ))));
                    }
                }
                Phase::Finished => return Poll::Ready(None),
            }
        }
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output")
            .field("process", &self.process)
            .finish_non_exhaustive()
    }
}

/// One system call per so many events costs nothing, and a pipe holds about as many short lines.
const EVENTS_BETWEEN_LOOKS: usize = 256;
