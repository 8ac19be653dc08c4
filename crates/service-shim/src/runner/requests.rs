//! What clients ask and what they are told.
//!
//! Owns: the meaning of each [`Request`], and who hears which [`Notice`]. The protocol itself is in
//! [`crate::protocol`].

use crate::protocol::{self, LineBuffer, Notice, NotifyState, Request, Status};
use crate::run_dir;
use crate::signal::Signal;

use super::Runner;
use super::connection::Connection;
use super::ladder::Input;
use super::pipe::{InputClosed, StdinPipe};

impl Runner {
    pub(super) fn accept(&mut self) {
        // Non-blocking: ends once nobody waits. A client that gave up meanwhile is no concern.
        while let Ok((stream, _)) = self.listener.accept() {
            self.connections
                .push(Connection::new(stream, LineBuffer::default(), false));
        }
    }

    pub(super) fn answer_all(&mut self) {
        for at in 0..self.connections.len() {
            self.answer(at);
        }
    }

    /// Carries out what a client has asked so far.
    pub(super) fn answer(&mut self, at: usize) {
        while let Some(line) = self.connections[at].next_request() {
            let answer = match protocol::decode::<Request>(&line) {
                Ok(request) => self.carry_out(at, request),
                Err(error) => Some(Notice::Refused {
                    message: format!("cannot read the request: {error}"),
                }),
            };
            if let Some(answer) = answer {
                self.connections[at].send(answer);
            }
        }
    }

    /// The answer; none when it comes later.
    fn carry_out(&mut self, at: usize, request: Request) -> Option<Notice> {
        match request {
            Request::Status => return Some(Notice::Status(self.status())),
            Request::Subscribe => self.connections[at].is_subscribed = true,
            Request::Stop(policy) => self.step(&Input::Stop(policy)),
            Request::Kill => self.step(&Input::Kill),
            Request::Signal { signal } => return Some(self.signal_main(signal)),
            Request::Rotate => self.log.rotate(),
            Request::Stdin { data } => return self.write_stdin(at, data.as_bytes()),
            Request::CloseStdin => match &mut self.stdin {
                Some(stdin) => stdin.close(),
                None => return Some(no_stdin()),
            },
        }
        Some(Notice::Done)
    }

    fn status(&self) -> Status {
        Status {
            identity: Some(self.main.identity().clone()),
            shim_pid: std::process::id(),
            attempt: self.record.attempt,
            stopping: self.ladder.is_stopping(),
            notify: self
                .notify
                .as_ref()
                .map(|notify| notify.state.clone())
                .unwrap_or_default(),
        }
    }

    fn signal_main(&self, signal: Signal) -> Notice {
        match self.main.signal(signal) {
            Ok(true) => Notice::Done,
            Ok(false) => Notice::Refused {
                message: "the main process has ended".to_owned(),
            },
            Err(error) => Notice::Refused {
                message: format!("cannot send {signal}: {error}"),
            },
        }
    }

    fn write_stdin(&mut self, at: usize, bytes: &[u8]) -> Option<Notice> {
        let Some(stdin) = &mut self.stdin else {
            return Some(no_stdin());
        };
        match stdin.push(bytes) {
            Ok(true) => Some(Notice::Done),
            Ok(false) => {
                self.connections[at].awaits_stdin = true;
                None
            }
            Err(InputClosed) => Some(input_closed()),
        }
    }

    pub(super) fn feed_stdin(&mut self) {
        let answer = match self.stdin.as_mut().map(StdinPipe::flush) {
            None | Some(Ok(false)) => return,
            Some(Ok(true)) => Notice::Done,
            Some(Err(InputClosed)) => input_closed(),
        };
        for at in 0..self.connections.len() {
            if self.connections[at].awaits_stdin {
                self.connections[at].awaits_stdin = false;
                self.connections[at].send(&answer);
                self.answer(at);
            }
        }
    }

    /// Takes in what the service says by `sd_notify`.
    pub(super) fn hear(&mut self) {
        while let Some(message) = self.notify.as_ref().and_then(|notify| notify.receive()) {
            let Some(sender) = message.sender else {
                continue;
            };
            let pid = sender.pid.as_raw_nonzero().get();
            let is_believed = match u32::try_from(pid)
                .ok()
                .map(|pid| (pid, crate::procfs::stat(pid)))
            {
                Some((pid, Ok(Some(_)))) => self.tree.contains(self.main.identity(), pid),
                // Gone already: nobody but the service's own user, who could also attach to it, can have sent it.
                Some((_, Ok(None))) => sender.uid.as_raw() == self.service_uid(),
                Some((_, Err(_))) | None => false,
            };
            let Some(notify) = self.notify.as_mut().filter(|_| is_believed) else {
                continue;
            };
            let before = notify.state.clone();
            let Some(news) = notify.apply(&message) else {
                continue;
            };
            if (news.ready, news.stopping) != (before.ready, before.stopping) {
                // For a successor of this shim. Without it, readiness has to be told again.
                drop(self.run.write_json(
                    run_dir::NOTIFY_STATE,
                    &NotifyState {
                        watchdog: false,
                        ..news.clone()
                    },
                ));
            }
            self.tell(&Notice::Notify(news));
        }
    }

    fn service_uid(&self) -> u32 {
        self.record
            .uid
            .unwrap_or_else(|| rustix::process::geteuid().as_raw())
    }

    /// Lets every client have what was said to it.
    pub(super) fn flush_all(&mut self) {
        self.connections.iter_mut().for_each(Connection::flush);
    }

    pub(super) fn tell(&mut self, notice: &Notice) {
        for connection in self
            .connections
            .iter_mut()
            .filter(|connection| connection.is_subscribed)
        {
            connection.send(notice);
        }
    }
}

fn no_stdin() -> Notice {
    Notice::Refused {
        message: "the service was launched without a standard input".to_owned(),
    }
}

fn input_closed() -> Notice {
    Notice::Refused {
        message: "the service's standard input is closed".to_owned(),
    }
}
