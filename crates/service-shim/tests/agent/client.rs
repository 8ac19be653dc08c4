//! The other side of an agent that is a child of the test.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Instant;

use service_shim::agent::frame::{Kind, encode};
use service_shim::agent::mux::{Event, Mux};
use service_shim::agent::protocol::{Answer, Failure, Hello, Request};
use service_shim::agent::record::{Record, RecordDecoder};

use crate::common::PATIENCE;

/// An agent and what it said.
pub(crate) struct Agent {
    pub(crate) child: Child,
    stdin: Option<ChildStdin>,
    said: Receiver<Vec<u8>>,
    mux: Mux,
    events: VecDeque<Event>,
    pub(crate) hello: Hello,
}

impl Agent {
    pub(crate) fn start() -> Agent {
        let mut child = Command::new(env!("CARGO_BIN_EXE_service-shim"))
            .arg("agent")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the shim's program");
        let stdout = child.stdout.take().expect("piped");
        let mut agent = Agent {
            stdin: child.stdin.take(),
            child,
            said: listen(stdout),
            mux: Mux::client(),
            events: VecDeque::new(),
            hello: Hello {
                v: 0,
                shim: String::new(),
                pid: 0,
                boot_id: String::new(),
                uid: 0,
                home: "/".into(),
                arch: String::new(),
                os: String::new(),
                boot_ns: 0,
                real_ns: 0,
                program: Vec::new(),
                base: None,
                weaker: Vec::new(),
            },
        };
        match agent.next() {
            Event::Hello(hello) => agent.hello = hello,
            other => panic!("{other:?}"),
        }
        agent
    }

    /// Writes what is to be said, and any bytes behind it.
    pub(crate) fn write(&mut self, more: &[u8]) {
        let mut bytes = std::mem::take(self.mux.output());
        bytes.extend_from_slice(more);
        let stdin = self.stdin.as_mut().expect("open");
        // It may have had enough of us.
        let _ = stdin.write_all(&bytes);
    }

    pub(crate) fn next(&mut self) -> Event {
        let give_up = Instant::now() + PATIENCE;
        loop {
            if let Some(event) = self.events.pop_front() {
                return event;
            }
            let left = give_up.saturating_duration_since(Instant::now());
            let bytes = self.said.recv_timeout(left);
            let bytes = bytes.expect("the agent says something in time");
            let events = self.mux.receive(&bytes).expect("a sound agent");
            self.events.extend(events);
        }
    }

    pub(crate) fn open(&mut self, request: &Request) -> u32 {
        let stream = self.mux.open(request).expect("there is room");
        self.write(b"");
        stream
    }

    /// Asks for something in these very words.
    pub(crate) fn open_raw(&mut self, request: &[u8]) -> u32 {
        let stream = self.mux.open(&Request::Facts).expect("there is room");
        self.mux.output().clear();
        let mut bytes = Vec::new();
        encode(&mut bytes, stream, Kind::Open, request);
        self.write(&bytes);
        stream
    }

    /// The answer to a request, on its stream.
    pub(crate) fn ask(&mut self, request: &Request) -> (u32, Result<Answer, Failure>) {
        let stream = self.open(request);
        (stream, self.answer(stream))
    }

    pub(crate) fn answer(&mut self, stream: u32) -> Result<Answer, Failure> {
        loop {
            match self.next() {
                Event::Answered(of, answer) if of == stream => return Ok(answer),
                Event::Failed(of, failure) if of == stream => return Err(failure),
                Event::Pong | Event::Room(_) | Event::Ended(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    pub(crate) fn send(&mut self, stream: u32, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let piece = bytes.len().min(self.mux.room(stream));
            self.mux.send(stream, &bytes[..piece]);
            self.write(b"");
            bytes = &bytes[piece..];
            if !bytes.is_empty() && self.mux.room(stream) == 0 {
                match self.next() {
                    Event::Room(_) => {}
                    other => panic!("{other:?}"),
                }
            }
        }
    }

    pub(crate) fn end(&mut self, stream: u32) {
        self.mux.end(stream);
        self.write(b"");
    }

    pub(crate) fn give_up(&mut self, stream: u32) {
        let kind = service_shim::agent::protocol::FailureKind::Cancelled;
        self.mux.fail(stream, &Failure::new(kind, "given up"));
        self.write(b"");
    }

    pub(crate) fn ping(&mut self) {
        self.mux.ping();
        self.write(b"");
        assert_eq!(self.next(), Event::Pong);
    }

    /// The next bytes of a stream; none at its end. What comes of others is passed over.
    pub(crate) fn data(&mut self, stream: u32) -> Result<Option<Vec<u8>>, Failure> {
        loop {
            match self.next() {
                Event::Data(of, bytes) if of == stream => {
                    self.mux.taken(stream, bytes.len());
                    self.write(b"");
                    return Ok(Some(bytes));
                }
                Event::Ended(of) if of == stream => return Ok(None),
                Event::Failed(of, failure) if of == stream => return Err(failure),
                _ => {}
            }
        }
    }

    /// All records to the end of a stream.
    pub(crate) fn records(&mut self, stream: u32) -> Vec<Record> {
        let mut decoder = RecordDecoder::default();
        let mut records = Vec::new();
        while let Some(bytes) = self.data(stream).expect("no failure") {
            decoder.push(&bytes);
            while let Some(record) = decoder.next_record().expect("own records") {
                records.push(record);
            }
        }
        records
    }

    pub(crate) fn close(&mut self) {
        self.stdin = None;
    }

    /// Its end, with nothing said any more.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        loop {
            match self.said.recv_timeout(PATIENCE) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it goes on"),
            }
        }
        self.child.wait().expect("ours")
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listen(mut stdout: ChildStdout) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = stdout.read(&mut buffer) {
            if sender.send(buffer[..read].to_vec()).is_err() {
                return;
            }
        }
    });
    receiver
}
