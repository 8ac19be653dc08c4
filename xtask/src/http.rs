//! The smallest HTTP/1.1 request that an assertion needs.
//!
//! Owns: one request on one connection. Not a client for anything but this workspace's examples.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A status code and a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// `METHOD path` without a body at `address` (`host:port`), within five seconds.
///
/// # Errors
/// When nobody listens there, or the answer is not HTTP.
pub(crate) fn request(method: &str, address: &str, path: &str) -> std::io::Result<Answer> {
    send(method, address, path, "")
}

/// `POST path` with this body; anything but a success is an error.
///
/// # Errors
/// As [`request`], or with the answer when it is not a success.
pub(crate) fn post(address: &str, path: &str, body: &str) -> std::io::Result<()> {
    let answer = send("POST", address, path, body)?;
    if (200..300).contains(&answer.status) {
        return Ok(());
    }
    Err(std::io::Error::other(format!(
        "{} {}",
        answer.status, answer.body
    )))
}

fn send(method: &str, address: &str, path: &str, body: &str) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    parse(&text).ok_or_else(|| std::io::Error::other(format!("not an HTTP answer: {text:?}")))
}

fn parse(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split_whitespace().nth(1)?.parse().ok()?;
    Some(Answer {
        status,
        body: body.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_and_body_are_read() {
        let answer = parse("HTTP/1.1 404 Not Found\r\nA: b\r\n\r\nno such page");
        assert_eq!(
            answer,
            Some(Answer {
                status: 404,
                body: "no such page".into()
            })
        );
        assert_eq!(parse("garbage"), None);
    }
}
