//! Frames: what is accepted, what is refused, and with which code.

use proptest::prelude::*;

use super::*;

fn code_of(text: &str) -> i64 {
    Frame::parse(text, 64).expect_err(text).error.code
}

#[test]
fn what_is_written_is_read_again() {
    let text = request(
        &Id::Number(7),
        "status",
        &serde_json::json!({"stack": "demo"}),
    )
    .unwrap();
    assert_eq!(
        text,
        r#"{"jsonrpc":"2.0","id":7,"method":"status","params":{"stack":"demo"}}"#
    );
    let Frame::Request { id, method, params } = Frame::parse(&text, 64).unwrap() else {
        panic!("no request")
    };
    assert_eq!((id, method.as_str()), (Id::Number(7), "status"));
    assert_eq!(params.as_json(), Some(r#"{"stack":"demo"}"#));

    let text = response(&Id::Text("a".into()), &()).unwrap();
    assert_eq!(text, r#"{"jsonrpc":"2.0","id":"a","result":null}"#);
    let frame = Frame::parse(&text, 64).unwrap();
    assert!(matches!(
        frame,
        Frame::Response {
            id: Some(Id::Text(_)),
            outcome: Ok(_)
        }
    ));

    let text = failure(None, &RpcError::new(code::PARSE_ERROR, "no"));
    assert_eq!(
        text,
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"no"}}"#
    );
    assert!(matches!(
        Frame::parse(&text, 64).unwrap(),
        Frame::Response {
            id: None,
            outcome: Err(_)
        }
    ));
}

#[test]
fn absent_parameters_suit_methods_without_any() {
    #[derive(serde::Deserialize)]
    struct AllOptional {
        #[serde(default)]
        name: Option<String>,
    }
    let text = request(&Id::Number(1), "list", &()).unwrap();
    assert_eq!(text, r#"{"jsonrpc":"2.0","id":1,"method":"list"}"#);
    let Frame::Request { params, .. } = Frame::parse(&text, 64).unwrap() else {
        panic!("no request")
    };
    params.parse::<()>().unwrap();
    assert_eq!(params.parse::<AllOptional>().unwrap().name, None);
    assert_eq!(
        params.parse::<u32>().unwrap_err().code,
        code::INVALID_PARAMS
    );
    assert!(
        request(&Id::Number(1), "list", &5).is_err(),
        "a bare number is no parameter"
    );
}

#[test]
fn malformed_messages_are_told_apart() {
    assert_eq!(code_of("{"), code::PARSE_ERROR);
    assert_eq!(code_of(""), code::PARSE_ERROR);
    assert_eq!(
        code_of(r#"{"jsonrpc":"2.0","id":1,"method":"a"} x"#),
        code::PARSE_ERROR
    );
    assert_eq!(code_of("\"text\""), code::INVALID_REQUEST);
    assert_eq!(code_of(r#"{"id":1,"method":"a"}"#), code::INVALID_REQUEST);
    assert_eq!(
        code_of(r#"{"jsonrpc":"1.0","id":1,"method":"a"}"#),
        code::INVALID_REQUEST
    );
    assert_eq!(
        code_of(r#"{"jsonrpc":"2.0","id":null,"method":"a"}"#),
        code::INVALID_REQUEST
    );
    assert_eq!(
        code_of(r#"{"jsonrpc":"2.0","id":1.5,"method":"a"}"#),
        code::INVALID_REQUEST
    );
    assert_eq!(
        code_of(r#"{"jsonrpc":"2.0","id":1,"method":"a","params":5}"#),
        code::INVALID_REQUEST
    );
    assert_eq!(
        code_of(r#"{"jsonrpc":"2.0","id":1,"method":"a","extra":5}"#),
        code::INVALID_REQUEST
    );
    assert_eq!(
        code_of(r#"{"jsonrpc":"2.0","id":1,"method":"a","result":5}"#),
        code::INVALID_REQUEST
    );
    assert_eq!(
        code_of(r#"{"jsonrpc":"2.0","id":1}"#),
        code::INVALID_REQUEST
    );
    assert_eq!(
        code_of(r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"a"}"#),
        code::INVALID_REQUEST
    );
}

#[test]
fn a_batch_is_refused_by_name() {
    let refused = Frame::parse(r#" [{"jsonrpc":"2.0","id":1,"method":"a"}]"#, 64).unwrap_err();
    assert_eq!(refused.error.code, code::INVALID_REQUEST);
    assert!(
        refused.error.message.contains("batches are not supported"),
        "{}",
        refused.error.message
    );
}

#[test]
fn an_error_names_the_request_where_it_can() {
    let malformed = Frame::parse(r#"{"jsonrpc":"1.0","id":"x","method":"a"}"#, 64).unwrap_err();
    assert_eq!(malformed.id, Some(Id::Text("x".into())));
}

#[test]
fn nesting_is_bounded_before_anything_is_parsed() {
    let nested = |depth: usize| {
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"a","params":{}{}}}"#,
            "[".repeat(depth),
            "]".repeat(depth)
        )
    };
    assert!(Frame::parse(&nested(63), 64).is_ok());
    assert_eq!(code_of(&nested(64)), code::INVALID_REQUEST);
    assert_eq!(code_of(&nested(1_000_000)), code::INVALID_REQUEST);
    let brackets_in_text = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"\"{}"}}"#,
        "[".repeat(100)
    );
    assert!(Frame::parse(&brackets_in_text, 64).is_ok());
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in ".{0,200}") {
        let _ = Frame::parse(&text, 8);
    }

    #[test]
    fn no_json_like_text_makes_the_parser_panic(text in r#"[\[\]{}":,a-c0-9\\ ]{0,80}"#) {
        let _ = Frame::parse(&text, 8);
        let _ = Frame::parse(&format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{text}}}"#), 8);
    }

    #[test]
    fn ids_are_echoed_exactly(number in any::<i64>(), text in ".{0,40}") {
        for id in [Id::Number(number), Id::Text(text)] {
            let written = response(&id, &1).unwrap();
            let Frame::Response { id: read, .. } = Frame::parse(&written, 8).unwrap() else { panic!("no response") };
            prop_assert_eq!(read, Some(id));
        }
    }
}
