//! RFC 6455 as a table: what a server must accept, refuse and answer, byte by byte.
//!
//! Each case has a connection of its own. What is accepted must leave the session working: a question is asked afterwards.

#![allow(clippy::unwrap_used, reason = "a panic is the report of a test")]

mod rfc;
mod support;

use futures::AsyncWriteExt;
use rfc::ends::{Stream, UPGRADE, beside_a_server, http, receive, secure};
use rfc::frames::*;
use rfc::table::cases;
use serde_json::Value;
use support::if_in_time;

/// What came of the bytes of a case.
async fn outcome(stream: &mut Stream, bytes: &[u8], then: &Then) -> Result<(), String> {
    // A server that refuses early may be gone before the last byte.
    let _refused = stream.write_all(bytes).await;
    let _refused = stream.flush().await;
    let is_expected = |seen: &(u8, Vec<u8>)| match then {
        Then::Answered => *seen == (FIN | TEXT, ANSWER.as_bytes().to_vec()),
        Then::Pong(payload) => *seen == (FIN | PONG, payload.clone()),
        Then::Nothing | Then::Closed(_) => true,
    };
    if *then != Then::Nothing {
        loop {
            let seen = receive(stream).await.ok_or("the connection ended")?;
            if let Then::Closed(codes) = then {
                match seen {
                    (0x88, payload) if payload.is_empty() && codes.contains(&1005) => break,
                    (0x88, payload) if payload.len() >= 2 => {
                        let code = u16::from_be_bytes([payload[0], payload[1]]);
                        if codes.contains(&code) {
                            break;
                        }
                        return Err(format!("closed with {code}"));
                    }
                    // Pongs and answers that were on their way.
                    (0x88, payload) => return Err(format!("closed with {payload:?}")),
                    _ => continue,
                }
            }
            if is_expected(&seen) {
                break;
            }
            if seen.0 != FIN | PONG {
                return Err(format!(
                    "got {:#x} {:?}",
                    seen.0,
                    String::from_utf8_lossy(&seen.1)
                ));
            }
        }
    }
    if matches!(then, Then::Closed(_)) {
        let _answer = stream.write_all(&close(1000, b"")).await;
        while let Some((first, _)) = receive(stream).await {
            if first != FIN | PONG {
                return Err(format!("{first:#x} after the close"));
            }
        }
        return Ok(());
    }
    let again = ASK.replace("\"id\":1", "\"id\":2");
    stream
        .write_all(&frame(FIN | TEXT, again.as_bytes()))
        .await
        .map_err(|error| error.to_string())?;
    loop {
        match receive(stream).await {
            Some((0x81, text)) => {
                let answer: Value = serde_json::from_slice(&text).map_err(|e| e.to_string())?;
                return match answer["id"].as_i64() {
                    Some(2) => Ok(()),
                    _ => Err(format!("another answer: {answer}")),
                };
            }
            Some((first, _)) if first == FIN | PONG => {}
            other => return Err(format!("the session did not go on: {other:?}")),
        }
    }
}

#[test]
fn every_frame_is_met_as_the_rfc_says() {
    beside_a_server(async |address, config| {
        let cases = cases();
        let count = cases.len();
        let mut wrong = Vec::new();
        for (name, bytes, then) in cases {
            let one = async {
                let mut stream = secure(&config, address).await;
                let head = http(&mut stream, UPGRADE).await;
                assert!(head.starts_with("HTTP/1.1 101"), "{head}");
                stream
                    .write_all(&frame(FIN | TEXT, HELLO.as_bytes()))
                    .await
                    .unwrap();
                receive(&mut stream).await.expect("an answer to hello");
                outcome(&mut stream, &bytes, &then).await
            };
            let outcome = if_in_time(one).await;
            if let Err(reason) = outcome.unwrap_or_else(|| Err("nothing came".to_owned())) {
                wrong.push(format!("{name}: expected {then:?}: {reason}"));
            }
        }
        assert!(
            wrong.is_empty(),
            "{} of {count}:\n{}",
            wrong.len(),
            wrong.join("\n")
        );
        assert!(count >= 100, "{count}");
    });
}
