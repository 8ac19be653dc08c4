//! Many streams over one connection, as either side sees them: bytes in, events out; orders in, bytes out.
//!
//! Owns: which streams there are, how much each may send, and the rules. No clock, no I/O. A stream that nobody reads holds up
//! no other: each side says how much it takes.
//!
//! Invariant: nobody is owed more than [`WINDOW`] bytes of a stream, so memory has a bound that no peer can move.

use std::collections::BTreeMap;

use serde::Serialize;

use super::frame::{Decoder, Frame, FrameError, Kind, MAGIC, MAX_DATA, MAX_JSON, encode};
use super::protocol::{Answer, Failure, FailureKind, Hello, Request};

/// How many bytes of a stream may be on their way, before any are taken.
pub const WINDOW: u32 = 256 * 1024;

/// How many streams there may be at once.
pub const MAX_STREAMS: usize = 1024;

/// What the shell of a host may say before the agent begins.
const MAX_LEAD: usize = 64 * 1024;

/// One end of a connection.
#[derive(Debug)]
pub struct Mux {
    side: Side,
    /// What came before anything that an agent says; none once it has begun.
    lead: Option<Vec<u8>>,
    decoder: Decoder,
    streams: BTreeMap<u32, Stream>,
    /// The number after the last stream's.
    next: u32,
    is_greeted: bool,
    out: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Client,
    Agent,
}

#[derive(Debug)]
struct Stream {
    /// How much may be sent.
    credit: u32,
    /// How much the other side may send.
    granted: u32,
    /// How much was taken, and not granted anew.
    taken: u32,
    sent_end: bool,
    got_end: bool,
}

/// What the other side did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It says who it is; the first of all.
    Hello(Hello),
    /// It asks for something; none when the request makes no sense. Only an agent hears this.
    Opened(u32, Option<Request>),
    /// It has taken the request. Only a client hears this.
    Answered(u32, Answer),
    /// Bytes came. [`Mux::taken`] makes room for more.
    Data(u32, Vec<u8>),
    /// More may be sent.
    Room(u32),
    /// No more data will come.
    Ended(u32),
    /// The stream is over.
    Failed(u32, Failure),
    /// It is there.
    Pong,
}

/// What no sound peer sends. The connection is of no use any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// It speaks in no frames.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// No agent speaks there.
    #[error("what answers is no agent")]
    NoAgent,
    /// A frame that is out of place.
    #[error("a frame of kind {kind:?} on stream {stream} is out of place")]
    Place {
        /// What came.
        kind: Kind,
        /// Where.
        stream: u32,
    },
    /// It sent more than it was allowed to.
    #[error("stream {stream} sends more than it may")]
    Window {
        /// Which.
        stream: u32,
    },
    /// What it says is no JSON of the kind that it must be.
    #[error("a frame of kind {kind:?} on stream {stream} cannot be read")]
    Content {
        /// What came.
        kind: Kind,
        /// Where.
        stream: u32,
    },
}

impl Mux {
    /// The end of whoever asks.
    pub fn client() -> Mux {
        Mux::new(Side::Client)
    }

    /// The end of an agent, which has said who it is.
    pub fn agent(hello: &Hello) -> Mux {
        let mut mux = Mux::new(Side::Agent);
        mux.is_greeted = true;
        mux.lead = None;
        mux.out.extend_from_slice(MAGIC);
        mux.say(0, Kind::Hello, hello);
        mux
    }

    fn new(side: Side) -> Mux {
        Mux {
            side,
            lead: Some(Vec::new()),
            decoder: Decoder::default(),
            streams: BTreeMap::new(),
            next: 1,
            is_greeted: false,
            out: Vec::new(),
        }
    }

    /// Takes what was read, and tells what it means.
    ///
    /// # Errors
    /// [`Violation`]: what came before it is lost too.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<Vec<Event>, Violation> {
        match &mut self.lead {
            None => self.decoder.push(bytes),
            Some(lead) => {
                lead.extend_from_slice(bytes);
                let begin = lead.windows(MAGIC.len()).position(|word| word == MAGIC);
                match begin {
                    Some(at) => {
                        self.decoder.push(&lead[at + MAGIC.len()..]);
                        self.lead = None;
                    }
                    None if lead.len() > MAX_LEAD => return Err(Violation::NoAgent),
                    None => return Ok(Vec::new()),
                }
            }
        }
        let mut events = Vec::new();
        while let Some(frame) = self.decoder.next_frame()? {
            events.extend(self.hear(frame)?);
        }
        Ok(events)
    }

    /// What is to be written. The caller removes what it has.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// How many streams there are.
    pub fn streams(&self) -> usize {
        self.streams.len()
    }

    /// Asks for something on a new stream; none when there are too many, or it is too long to be said.
    pub fn open(&mut self, request: &Request) -> Option<u32> {
        let text = serde_json::to_vec(request).ok()?;
        let after = self.next.checked_add(1)?;
        if text.len() > MAX_JSON || self.streams.len() >= MAX_STREAMS {
            return None;
        }
        let stream = std::mem::replace(&mut self.next, after);
        self.streams.insert(stream, Stream::new());
        encode(&mut self.out, stream, Kind::Open, &text);
        Some(stream)
    }

    /// Answers the request of a stream.
    pub fn answer(&mut self, stream: u32, answer: &Answer) {
        if self.streams.contains_key(&stream) {
            self.say(stream, Kind::Answer, answer);
        }
    }

    /// How many bytes may be sent now; none when the stream is over.
    pub fn room(&self, stream: u32) -> usize {
        let open = self
            .streams
            .get(&stream)
            .filter(|stream| !stream.sent_end)
            .map(|stream| usize::try_from(stream.credit).unwrap_or(usize::MAX));
        open.unwrap_or_default()
    }

    /// Whether the stream is there, and its end was not said from here.
    pub fn is_open(&self, stream: u32) -> bool {
        self.streams
            .get(&stream)
            .is_some_and(|stream| !stream.sent_end)
    }

    /// Sends bytes; no more than there is room for.
    ///
    /// # Panics
    /// When they are more.
    pub fn send(&mut self, stream: u32, bytes: &[u8]) {
        assert!(bytes.len() <= self.room(stream), "the caller asks for room");
        for piece in bytes.chunks(MAX_DATA) {
            encode(&mut self.out, stream, Kind::Data, piece);
        }
        if let Some(stream) = self.streams.get_mut(&stream) {
            stream.credit -= u32::try_from(bytes.len()).expect("there was room");
        }
    }

    /// Says that no more data comes from here.
    pub fn end(&mut self, stream: u32) {
        if let Some(found) = self.streams.get_mut(&stream)
            && !found.sent_end
        {
            found.sent_end = true;
            let is_over = found.got_end;
            encode(&mut self.out, stream, Kind::End, &[]);
            if is_over {
                self.streams.remove(&stream);
            }
        }
    }

    /// Ends the stream both ways, and says why.
    pub fn fail(&mut self, stream: u32, failure: &Failure) {
        if self.streams.remove(&stream).is_some() {
            self.say(stream, Kind::Error, failure);
        }
    }

    /// Says that so many bytes that came were taken, so that more may come.
    pub fn taken(&mut self, stream: u32, bytes: usize) {
        let Some(found) = self.streams.get_mut(&stream) else {
            return;
        };
        let bytes = u32::try_from(bytes).unwrap_or(WINDOW);
        found.taken = found
            .taken
            .saturating_add(bytes)
            .min(WINDOW - found.granted);
        if found.taken >= WINDOW / 2 && !found.got_end {
            let grant = std::mem::take(&mut found.taken);
            found.granted += grant;
            encode(&mut self.out, stream, Kind::Window, &grant.to_le_bytes());
        }
    }

    /// Asks whether anybody is there.
    pub fn ping(&mut self) {
        encode(&mut self.out, 0, Kind::Ping, &[]);
    }

    fn say<T: Serialize>(&mut self, stream: u32, kind: Kind, what: &T) {
        let text = serde_json::to_vec(what).unwrap_or_default();
        let fits = match kind {
            Kind::Answer => text.len() <= MAX_JSON,
            _ => text.len() <= MAX_DATA,
        };
        if fits && !text.is_empty() {
            encode(&mut self.out, stream, kind, &text);
        } else {
            self.streams.remove(&stream);
            let message = "what is to be said is longer than may be said";
            let failure = Failure::new(FailureKind::System, message);
            let text = serde_json::to_vec(&failure).expect("two strings");
            encode(&mut self.out, stream, Kind::Error, &text);
        }
    }

    fn hear(&mut self, frame: Frame) -> Result<Option<Event>, Violation> {
        let Frame {
            stream,
            kind,
            payload,
        } = frame;
        let misplaced = Err(Violation::Place { kind, stream });
        let is_ours = kind == Kind::Hello || self.is_greeted;
        if !is_ours || (stream == 0) != matches!(kind, Kind::Hello | Kind::Ping | Kind::Pong) {
            return misplaced;
        }
        match kind {
            Kind::Hello => {
                if self.is_greeted {
                    return misplaced;
                }
                self.is_greeted = true;
                Ok(Some(Event::Hello(read(kind, stream, &payload)?)))
            }
            Kind::Ping => {
                encode(&mut self.out, 0, Kind::Pong, &[]);
                Ok(None)
            }
            Kind::Pong => Ok(Some(Event::Pong)),
            Kind::Open => self.hear_open(stream, &payload),
            Kind::Answer | Kind::Data | Kind::Window | Kind::End | Kind::Error => {
                if stream >= self.next {
                    return misplaced;
                }
                // What was under way when the stream was ended from here.
                if !self.streams.contains_key(&stream) {
                    return Ok(None);
                }
                self.hear_of(stream, kind, payload)
            }
        }
    }

    fn hear_open(&mut self, stream: u32, payload: &[u8]) -> Result<Option<Event>, Violation> {
        let after = stream.checked_add(1);
        let (Side::Agent, Some(after), true) = (self.side, after, stream >= self.next) else {
            let kind = Kind::Open;
            return Err(Violation::Place { kind, stream });
        };
        self.next = after;
        self.streams.insert(stream, Stream::new());
        if self.streams.len() > MAX_STREAMS {
            let message = "there are as many streams as there may be";
            self.fail(stream, &Failure::new(FailureKind::Busy, message));
            return Ok(None);
        }
        let request = serde_json::from_slice(payload).ok();
        Ok(Some(Event::Opened(stream, request)))
    }

    fn hear_of(
        &mut self,
        stream: u32,
        kind: Kind,
        payload: Vec<u8>,
    ) -> Result<Option<Event>, Violation> {
        let found = self
            .streams
            .get_mut(&stream)
            .expect("the caller has seen it");
        match kind {
            Kind::Answer if self.side == Side::Client => {
                Ok(Some(Event::Answered(stream, read(kind, stream, &payload)?)))
            }
            Kind::Data if !found.got_end => {
                let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
                let left = found.granted.checked_sub(length);
                found.granted = left.ok_or(Violation::Window { stream })?;
                Ok((length > 0).then_some(Event::Data(stream, payload)))
            }
            Kind::Window => {
                let more = payload.try_into().map_or(0, u32::from_le_bytes);
                let credit = found.credit.checked_add(more);
                let credit = credit.filter(|credit| *credit <= WINDOW);
                found.credit = credit.ok_or(Violation::Window { stream })?;
                Ok(Some(Event::Room(stream)))
            }
            Kind::End if !found.got_end => {
                found.got_end = true;
                if found.sent_end {
                    self.streams.remove(&stream);
                }
                Ok(Some(Event::Ended(stream)))
            }
            Kind::Error => {
                self.streams.remove(&stream);
                Ok(Some(Event::Failed(stream, read(kind, stream, &payload)?)))
            }
            Kind::Hello
            | Kind::Ping
            | Kind::Pong
            | Kind::Open
            | Kind::Answer
            | Kind::Data
            | Kind::End => Err(Violation::Place { kind, stream }),
        }
    }
}

impl Stream {
    fn new() -> Stream {
        Stream {
            credit: WINDOW,
            granted: WINDOW,
            taken: 0,
            sent_end: false,
            got_end: false,
        }
    }
}

fn read<T: for<'de> serde::Deserialize<'de>>(
    kind: Kind,
    stream: u32,
    payload: &[u8],
) -> Result<T, Violation> {
    serde_json::from_slice(payload).map_err(|_| Violation::Content { kind, stream })
}

#[cfg(test)]
#[path = "mux_tests.rs"]
mod tests;
