//! The HTTP request that becomes a WebSocket, in its variants.

#![allow(clippy::unwrap_used, reason = "a panic is the report of a test")]

mod rfc;
mod support;

use futures::{AsyncReadExt, AsyncWriteExt};
use rfc::ends::{UPGRADE, beside_a_server, http, secure};

#[test]
fn the_answer_to_an_upgrade_is_the_one_of_the_rfc() {
    beside_a_server(async |address, config| {
        let head = http(&mut secure(&config, address).await, UPGRADE)
            .await
            .to_lowercase();
        assert!(
            head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="),
            "{head}"
        );
        assert!(head.contains("sec-websocket-protocol: harness.1"), "{head}");
        assert!(!head.contains("sec-websocket-extensions"), "{head}");
    });
}

#[test]
fn requests_that_are_no_upgrade_become_no_websocket() {
    let change = |from: &str, to: &str| {
        assert!(UPGRADE.contains(from), "{from}");
        UPGRADE.replace(from, to)
    };
    let accepted = [
        (
            "lower-case names",
            UPGRADE.replace("Connection: Upgrade", "connection: upgrade"),
        ),
        (
            "several words in Connection",
            change("Connection: Upgrade", "Connection: keep-alive, Upgrade"),
        ),
        (
            "Upgrade in capitals",
            change("Upgrade: websocket", "Upgrade: WEBSOCKET"),
        ),
        (
            "extensions offered",
            change(
                "\r\n\r\n",
                "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
            ),
        ),
        (
            "several protocols offered",
            change("harness.1", "chat, harness.1"),
        ),
        (
            "a port in Host",
            change("Host: localhost", "Host: localhost:9443"),
        ),
        ("a query", change("/rpc", "/rpc?x=1")),
    ];
    let refused = [
        ("another method", change("GET", "POST")),
        ("HTTP/1.0", change("HTTP/1.1", "HTTP/1.0")),
        ("no Upgrade", change("Upgrade: websocket\r\n", "")),
        (
            "another Upgrade",
            change("Upgrade: websocket", "Upgrade: h2c"),
        ),
        ("no Connection", change("Connection: Upgrade\r\n", "")),
        (
            "another Connection",
            change("Connection: Upgrade", "Connection: close"),
        ),
        ("no version", change("Sec-WebSocket-Version: 13\r\n", "")),
        ("an older version", change("Version: 13", "Version: 8")),
        (
            "no key",
            change("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", ""),
        ),
        (
            "an origin",
            change("\r\n\r\n", "\r\nOrigin: https://evil.example\r\n\r\n"),
        ),
        (
            "the origin of a file",
            change("\r\n\r\n", "\r\nOrigin: null\r\n\r\n"),
        ),
        (
            "our own address as origin",
            change("\r\n\r\n", "\r\nOrigin: https://localhost:9443\r\n\r\n"),
        ),
        ("no Host", change("Host: localhost\r\n", "")),
        (
            "two Hosts",
            change("Host: localhost", "Host: localhost\r\nHost: localhost"),
        ),
        (
            "a foreign Host",
            change("Host: localhost", "Host: evil.example"),
        ),
        (
            "a Host that begins like ours",
            change("Host: localhost", "Host: localhost.evil.example"),
        ),
        ("another path", change("/rpc", "/")),
        ("a path that goes up", change("/rpc", "/x/../rpc")),
        (
            "no subprotocol",
            change("Sec-WebSocket-Protocol: harness.1\r\n", ""),
        ),
        ("another subprotocol", change("harness.1", "harness.10")),
        ("no HTTP at all", "\x16\x03\x01 nonsense\r\n\r\n".to_owned()),
        (
            "a header without an end",
            format!("GET /rpc HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(200_000)),
        ),
        (
            "a thousand headers",
            format!("GET /rpc HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(1000)),
        ),
    ];
    beside_a_server(async |address, config| {
        for (name, request) in accepted {
            let head = http(&mut secure(&config, address).await, &request).await;
            assert!(head.starts_with("HTTP/1.1 101"), "{name}: {head}");
        }
        for (name, request) in refused {
            let mut stream = secure(&config, address).await;
            let _gone = stream.write_all(request.as_bytes()).await;
            let _gone = stream.flush().await;
            let mut answer = Vec::new();
            let _end = stream.read_to_end(&mut answer).await;
            let answer = String::from_utf8_lossy(&answer);
            assert!(
                answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
                "{name}: {answer}"
            );
        }
    });
}
