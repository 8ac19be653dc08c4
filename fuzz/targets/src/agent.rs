//! What comes over the connection to an agent, on either side: whatever it is, it is understood or refused, and costs no
//! more memory than its streams may hold.
//!
//! The first byte says which side hears it, the second how long the pieces are in which it comes.

use service_shim::agent::mux::{Event, MAX_STREAMS, Mux, WINDOW};
use service_shim::agent::protocol::{Answer, Hello};
use service_shim::agent::record::RecordDecoder;

pub(crate) fn run(data: &[u8]) {
    let [side, size, bytes @ ..] = data else {
        return;
    };
    let pieces = bytes.chunks(usize::from(*size).max(1));
    match side {
        b'r' => records(pieces),
        b'c' => hear(Mux::client(), pieces),
        _ => hear(Mux::agent(&hello()), pieces),
    }
}

/// Answers everything, takes all that comes, and ends it.
fn hear<'a>(mut mux: Mux, pieces: impl Iterator<Item = &'a [u8]>) {
    for piece in pieces {
        mux.output().clear();
        let Ok(events) = mux.receive(piece) else {
            return;
        };
        for event in events {
            match event {
                Event::Opened(stream, Some(_)) => mux.answer(stream, &Answer::Open),
                Event::Data(stream, bytes) => {
                    mux.taken(stream, bytes.len());
                    let room = mux.room(stream).min(bytes.len());
                    mux.send(stream, &bytes[..room]);
                }
                Event::Ended(stream) => mux.end(stream),
                Event::Opened(_, None)
                | Event::Hello(_)
                | Event::Answered(..)
                | Event::Room(_)
                | Event::Failed(..)
                | Event::Pong => {}
            }
        }
        assert!(mux.streams() <= MAX_STREAMS);
        assert!(mux.output().len() <= usize::try_from(WINDOW).expect("small"));
    }
}

fn records<'a>(pieces: impl Iterator<Item = &'a [u8]>) {
    let mut decoder = RecordDecoder::default();
    for piece in pieces {
        decoder.push(piece);
        loop {
            match decoder.next_record() {
                Ok(Some(record)) => {
                    let mut again = RecordDecoder::default();
                    let mut bytes = Vec::new();
                    record.encode(&mut bytes);
                    again.push(&bytes);
                    assert_eq!(again.next_record(), Ok(Some(record)));
                }
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
}

fn hello() -> Hello {
    Hello {
        v: 1,
        shim: "0".into(),
        pid: 1,
        boot_id: "b".into(),
        uid: 0,
        home: "/".into(),
        arch: "a".into(),
        os: "o".into(),
        boot_ns: 1,
        real_ns: 2,
        program: Vec::new(),
        base: None,
        weaker: Vec::new(),
    }
}
