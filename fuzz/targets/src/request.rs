//! What a client sends: any message is refused with a reason that can be sent back, or becomes a request that can be
//! written down and read as the same again.

use harness_core::protocol::Request;
use harness_wire::frame::Frame;

pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match Frame::parse(text, MAX_DEPTH) {
        Ok(Frame::Request { method, params, .. } | Frame::Notification { method, params }) => {
            match Request::parse(&method, &params) {
                Ok(request) => {
                    assert_eq!(request.method(), method);
                    let again = Request::parse(&method, &params).expect("it was read before");
                    // Some numbers are not equal to themselves; none of them may come in here.
                    assert!(again == request, "{method} is not the same twice");
                    assert!(!request.role().as_str().is_empty());
                }
                Err(error) => drop(serde_json::to_vec(&error).expect("it can be sent back")),
            }
        }
        Ok(Frame::Response { .. }) => {}
        Err(malformed) => {
            assert!(!malformed.error.message.is_empty());
            drop(serde_json::to_vec(&malformed.error).expect("it can be sent back"));
        }
    }
}

/// As the server's own limit.
const MAX_DEPTH: usize = 64;
