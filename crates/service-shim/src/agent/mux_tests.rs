//! Two ends that speak with each other, and one that speaks with anybody.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn hello() -> Hello {
    Hello {
        v: super::super::protocol::AGENT_VERSION,
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

/// A client and an agent that have met.
fn pair() -> (Mux, Mux) {
    let (mut client, mut agent) = (Mux::client(), Mux::agent(&hello()));
    let events = carry(&mut agent, &mut client);
    assert_eq!(events, [Event::Hello(hello())]);
    (client, agent)
}

fn carry(from: &mut Mux, to: &mut Mux) -> Vec<Event> {
    let bytes = std::mem::take(from.output());
    to.receive(&bytes).expect("a sound peer")
}

#[test]
fn what_a_shell_says_first_is_passed_over() {
    let (mut client, mut agent) = (Mux::client(), Mux::agent(&hello()));
    let said = [b"Welcome!\n\0harness-".as_slice(), agent.output()].concat();
    for byte in &said[..said.len() - 1] {
        assert_eq!(client.receive(&[*byte]), Ok(vec![]));
    }
    let last = &said[said.len() - 1..];
    assert_eq!(client.receive(last), Ok(vec![Event::Hello(hello())]));
    let noise = vec![b'x'; MAX_LEAD + 1];
    assert_eq!(Mux::client().receive(&noise), Err(Violation::NoAgent));
}

#[test]
fn a_stream_is_asked_for_answered_and_ended_by_both() {
    let (mut client, mut agent) = pair();
    let stream = client.open(&Request::Facts).expect("there is room");
    client.send(stream, b"in");
    client.end(stream);
    assert_eq!(
        carry(&mut client, &mut agent),
        [
            Event::Opened(stream, Some(Request::Facts)),
            Event::Data(stream, b"in".to_vec()),
            Event::Ended(stream)
        ]
    );
    agent.answer(stream, &Answer::Open);
    agent.send(stream, b"out");
    agent.end(stream);
    assert_eq!(
        carry(&mut agent, &mut client),
        [
            Event::Answered(stream, Answer::Open),
            Event::Data(stream, b"out".to_vec()),
            Event::Ended(stream)
        ]
    );
    assert_eq!((client.streams(), agent.streams()), (0, 0));
    client.ping();
    assert_eq!(carry(&mut client, &mut agent), []);
    assert_eq!(carry(&mut agent, &mut client), [Event::Pong]);
}

#[test]
fn no_more_is_sent_than_is_taken() {
    let (mut client, mut agent) = pair();
    let stream = client.open(&Request::Facts).expect("there is room");
    let whole = usize::try_from(WINDOW).expect("small");
    assert_eq!(client.room(stream), whole);
    client.send(stream, &vec![7; whole]);
    assert_eq!(client.room(stream), 0);
    carry(&mut client, &mut agent);
    agent.taken(stream, whole / 2 - 1);
    assert_eq!(carry(&mut agent, &mut client), []);
    agent.taken(stream, 1);
    assert_eq!(carry(&mut agent, &mut client), [Event::Room(stream)]);
    assert_eq!(client.room(stream), whole / 2);
    // It says that it has taken what never came.
    agent.taken(stream, usize::MAX);
    carry(&mut agent, &mut client);
    assert_eq!(client.room(stream), whole);
}

#[test]
fn what_comes_for_a_stream_that_was_given_up_is_passed_over() {
    let (mut client, mut agent) = pair();
    let stream = client.open(&Request::Facts).expect("there is room");
    carry(&mut client, &mut agent);
    agent.answer(stream, &Answer::Open);
    agent.send(stream, b"late");
    let failure = Failure::new(FailureKind::Cancelled, "given up");
    client.fail(stream, &failure);
    assert_eq!(carry(&mut agent, &mut client), []);
    assert_eq!(
        carry(&mut client, &mut agent),
        [Event::Failed(stream, failure)]
    );
    assert_eq!((client.streams(), agent.streams()), (0, 0));
}

#[test]
fn a_request_that_makes_no_sense_costs_only_its_stream() {
    let (_, mut agent) = pair();
    let mut bytes = Vec::new();
    encode(&mut bytes, 1, Kind::Open, b"{\"request\":\"fly\"}");
    encode(&mut bytes, 2, Kind::Open, b"{\"request\":\"facts\"}");
    assert_eq!(
        agent.receive(&bytes),
        Ok(vec![
            Event::Opened(1, None),
            Event::Opened(2, Some(Request::Facts))
        ])
    );
}

#[test]
fn hostile_frames_end_the_connection() {
    let mut window = vec![];
    encode(&mut window, 1, Kind::Open, b"{}");
    let more = u32::MAX.to_le_bytes();
    encode(&mut window, 1, Kind::Window, &more);
    let mut flood = vec![];
    encode(&mut flood, 1, Kind::Open, b"{}");
    for _ in 0..5 {
        encode(&mut flood, 1, Kind::Data, &vec![0; MAX_DATA]);
    }
    let mut again = vec![];
    encode(&mut again, 5, Kind::Open, b"{}");
    encode(&mut again, 5, Kind::Open, b"{}");
    let mut never = vec![];
    encode(&mut never, 9, Kind::Data, b"x");
    let mut after_end = vec![];
    encode(&mut after_end, 1, Kind::Open, b"{}");
    encode(&mut after_end, 1, Kind::End, &[]);
    encode(&mut after_end, 1, Kind::Data, b"x");
    let mut answer = vec![];
    encode(&mut answer, 1, Kind::Open, b"{}");
    encode(&mut answer, 1, Kind::Answer, b"{}");
    let mut hello = vec![];
    encode(&mut hello, 0, Kind::Hello, b"{}");
    let mut zero = vec![];
    encode(&mut zero, 0, Kind::Open, b"{}");
    for bytes in [window, flood, again, never, after_end, answer, hello, zero] {
        let (_, mut agent) = pair();
        agent.receive(&bytes).expect_err("refused");
    }
}

#[test]
fn there_are_no_more_streams_than_there_may_be() {
    let (_, mut agent) = pair();
    let mut bytes = Vec::new();
    let more = u32::try_from(MAX_STREAMS).expect("small") + 1;
    for stream in 1..=more {
        encode(&mut bytes, stream, Kind::Open, b"{\"request\":\"facts\"}");
    }
    let events = agent.receive(&bytes).expect("refused, but no fault");
    assert_eq!((events.len(), agent.streams()), (MAX_STREAMS, MAX_STREAMS));
}

/// What one end may be told to do.
#[derive(Debug, Clone)]
enum Step {
    Open,
    Send(usize, usize),
    Take(usize),
    End(usize),
    Fail(usize),
    Answer(usize),
    Carry(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Open),
        (0usize..4, 0usize..100_000).prop_map(|(at, bytes)| Step::Send(at, bytes)),
        (0usize..4).prop_map(Step::Take),
        (0usize..4).prop_map(Step::End),
        (0usize..4).prop_map(Step::Fail),
        (0usize..4).prop_map(Step::Answer),
        (0usize..3000).prop_map(Step::Carry),
    ]
}

proptest! {
    /// Whatever two sound ends do, and wherever the bytes are cut, neither finds fault with the other, and all data
    /// arrives in order.
    #[test]
    fn two_ends_always_understand_each_other(
        steps in prop::collection::vec((any::<bool>(), step()), 1..200),
    ) {
        let (client, agent) = pair();
        let mut ends = [client, agent];
        let mut sent: [BTreeMap<u32, Vec<u8>>; 2] = Default::default();
        let mut got: [BTreeMap<u32, Vec<u8>>; 2] = Default::default();
        let mut owed: [BTreeMap<u32, usize>; 2] = Default::default();
        let mut number = 0u8;
        for (side, step) in steps {
            let me = usize::from(side);
            let names: Vec<u32> = ends[me].streams.keys().copied().collect();
            let at = |place: usize| names.get(place % names.len().max(1)).copied();
            match step {
                Step::Open if me == 0 => drop(ends[0].open(&Request::Facts)),
                Step::Open => {}
                Step::Send(place, bytes) => if let Some(stream) = at(place) {
                    number = number.wrapping_add(1);
                    let bytes = vec![number; bytes.min(ends[me].room(stream))];
                    ends[me].send(stream, &bytes);
                    sent[me].entry(stream).or_default().extend(bytes);
                },
                Step::Take(place) => if let Some(stream) = at(place) {
                    let bytes = owed[me].remove(&stream).unwrap_or_default();
                    ends[me].taken(stream, bytes);
                },
                Step::End(place) => if let Some(stream) = at(place) { ends[me].end(stream); },
                Step::Fail(place) => if let Some(stream) = at(place) {
                    ends[me].fail(stream, &Failure::new(FailureKind::Cancelled, ""));
                },
                Step::Answer(place) => if let (1, Some(stream)) = (me, at(place)) {
                    ends[1].answer(stream, &Answer::Open);
                },
                Step::Carry(most) => {
                    let out = ends[me].output();
                    let bytes: Vec<u8> = out.drain(..most.min(out.len())).collect();
                    for event in ends[1 - me].receive(&bytes).expect("a sound peer") {
                        if let Event::Data(stream, bytes) = event {
                            *owed[1 - me].entry(stream).or_default() += bytes.len();
                            got[1 - me].entry(stream).or_default().extend(bytes);
                        }
                    }
                }
            }
        }
        for me in 0..2 {
            for (stream, bytes) in &got[1 - me] {
                prop_assert!(sent[me].get(stream).is_some_and(|all| all.starts_with(bytes)));
            }
        }
    }

    /// Any bytes are understood or refused, in any pieces, and what is kept of them has a bound.
    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..2000), cut in 1usize..64) {
        let (_, mut agent) = pair();
        for piece in bytes.chunks(cut) {
            if agent.receive(piece).is_err() {
                break;
            }
        }
        prop_assert!(agent.streams() <= MAX_STREAMS);
    }
}
