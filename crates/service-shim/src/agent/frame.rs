//! Cuts the byte stream between an agent and its client into frames.
//!
//! Owns: their form and their limits. Never knows which frames make sense: see [`super::mux`].
//!
//! A frame is the number of its stream (four bytes, little-endian), its kind (one), the length of what follows (four), and
//! that. Before the first frame an agent writes [`MAGIC`]: what stands before it was said by the shell of the host.

/// What an agent says before its first frame.
pub const MAGIC: &[u8; 16] = b"\0harness-agent\0\n";

/// The most that a frame of data carries.
pub const MAX_DATA: usize = 64 * 1024;

/// The longest request or answer.
pub const MAX_JSON: usize = 1024 * 1024;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Who speaks, first of all: JSON, on stream 0.
    Hello,
    /// A new stream, with what is asked: JSON.
    Open,
    /// What is answered: JSON, before any data.
    Answer,
    /// Bytes of a stream.
    Data,
    /// So many bytes more may be sent: four bytes.
    Window,
    /// No more data comes this way.
    End,
    /// The stream is over, and why: JSON.
    Error,
    /// Is anybody there? On stream 0.
    Ping,
    /// Yes. On stream 0.
    Pong,
}

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Which stream; 0 is the connection itself.
    pub stream: u32,
    /// What it is.
    pub kind: Kind,
    /// What it carries.
    pub payload: Vec<u8>,
}

/// Bytes that are no frames. Nothing after them can be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// There is no such kind.
    #[error("there is no frame of kind {0}")]
    Kind(u8),
    /// It is longer than its kind may be.
    #[error("a frame of kind {kind:?} says that it has {length} bytes")]
    Length {
        /// What it is.
        kind: Kind,
        /// What it says.
        length: u32,
    },
}

/// Gathers bytes until they are frames.
#[derive(Debug, Default)]
pub struct Decoder {
    bytes: Vec<u8>,
    /// Where what was not taken yet begins.
    at: usize,
}

impl Kind {
    const ALL: [Kind; 9] = [
        Kind::Hello,
        Kind::Open,
        Kind::Answer,
        Kind::Data,
        Kind::Window,
        Kind::End,
        Kind::Error,
        Kind::Ping,
        Kind::Pong,
    ];

    fn byte(self) -> u8 {
        match self {
            Kind::Hello => 0,
            Kind::Open => 1,
            Kind::Answer => 2,
            Kind::Data => 3,
            Kind::Window => 4,
            Kind::End => 5,
            Kind::Error => 6,
            Kind::Ping => 7,
            Kind::Pong => 8,
        }
    }

    fn allows(self, length: usize) -> bool {
        match self {
            Kind::Open | Kind::Answer => length <= MAX_JSON,
            Kind::Hello | Kind::Data | Kind::Error => length <= MAX_DATA,
            Kind::Window => length == 4,
            Kind::End | Kind::Ping | Kind::Pong => length == 0,
        }
    }
}

/// Appends a frame to what is to be written.
///
/// # Panics
/// When its kind does not allow so many bytes.
pub fn encode(out: &mut Vec<u8>, stream: u32, kind: Kind, payload: &[u8]) {
    assert!(kind.allows(payload.len()), "the caller keeps to the limits");
    let length = u32::try_from(payload.len()).expect("limits are far below 4 GiB");
    out.extend_from_slice(&stream.to_le_bytes());
    out.push(kind.byte());
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(payload);
}

impl Decoder {
    /// Adds what was read.
    pub fn push(&mut self, bytes: &[u8]) {
        drop(self.bytes.drain(..std::mem::take(&mut self.at)));
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole frame. After an error there is none any more.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let rest = &self.bytes[self.at..];
        let Some((head, rest)) = rest.split_first_chunk::<HEAD>() else {
            return Ok(None);
        };
        let [a, b, c, d, byte, length @ ..] = *head;
        let length = u32::from_le_bytes(length);
        let kind = Kind::ALL.into_iter().find(|kind| kind.byte() == byte);
        let kind = kind.ok_or(FrameError::Kind(byte))?;
        let refused = FrameError::Length { kind, length };
        let whole = usize::try_from(length).map_err(|_| refused)?;
        if !kind.allows(whole) {
            return Err(refused);
        }
        let Some(payload) = rest.get(..whole) else {
            return Ok(None);
        };
        let frame = Frame {
            stream: u32::from_le_bytes([a, b, c, d]),
            kind,
            payload: payload.to_vec(),
        };
        self.at += HEAD + whole;
        Ok(Some(frame))
    }
}

const HEAD: usize = 9;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frames() -> impl Strategy<Value = Vec<Frame>> {
        let data = prop::collection::vec(any::<u8>(), 0..200);
        let kind = prop::sample::select(Kind::ALL.as_slice());
        let frame = (any::<u32>(), kind, data).prop_map(|(stream, kind, mut payload)| {
            payload.resize_with(
                match kind {
                    Kind::Window => 4,
                    Kind::End | Kind::Ping | Kind::Pong => 0,
                    Kind::Hello | Kind::Open | Kind::Answer | Kind::Data | Kind::Error => {
                        payload.len()
                    }
                },
                u8::default,
            );
            Frame {
                stream,
                kind,
                payload,
            }
        });
        prop::collection::vec(frame, 0..20)
    }

    proptest! {
        #[test]
        fn frames_come_out_as_they_went_in_whatever_the_pieces(
            frames in frames(),
            cuts in prop::collection::vec(1usize..100, 1..50),
        ) {
            let mut bytes = Vec::new();
            for frame in &frames {
                encode(&mut bytes, frame.stream, frame.kind, &frame.payload);
            }
            let mut decoder = Decoder::default();
            let mut found = Vec::new();
            let mut cuts = cuts.iter().cycle();
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let cut = (*cuts.next().expect("they never end")).min(rest.len());
                decoder.push(&rest[..cut]);
                rest = &rest[cut..];
                while let Some(frame) = decoder.next_frame().expect("own frames") {
                    found.push(frame);
                }
            }
            prop_assert_eq!(found, frames);
        }

        #[test]
        fn any_bytes_are_frames_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..500)) {
            let mut decoder = Decoder::default();
            decoder.push(&bytes);
            while let Ok(Some(_)) = decoder.next_frame() {}
        }
    }

    #[test]
    fn a_length_beyond_the_limit_is_refused_before_it_is_gathered() {
        let mut decoder = Decoder::default();
        decoder.push(&[1, 0, 0, 0, Kind::Data.byte(), 1, 0, 1, 0]);
        let length = 65_537;
        let kind = Kind::Data;
        assert_eq!(
            decoder.next_frame(),
            Err(FrameError::Length { kind, length })
        );
        let mut decoder = Decoder::default();
        decoder.push(&[0, 0, 0, 0, 9, 0, 0, 0, 0]);
        assert_eq!(decoder.next_frame(), Err(FrameError::Kind(9)));
    }
}
