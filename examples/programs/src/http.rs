//! HTTP/1.1, one request per connection.
//!
//! Owns: the smallest server and client that a browser, nginx and a probe agree with. No keep-alive, no TLS, bodies up
//! to 64 KiB.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

/// The largest body that is read.
const MAX_BODY: u64 = 64 * 1024;

/// How long a peer may be silent.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `POST`, …
    pub method: String,
    /// With the leading slash, as it was sent.
    pub path: String,
    /// Empty unless a length was announced.
    pub body: String,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// 200 and the like.
    pub status: u16,
    /// Text or JSON.
    pub body: String,
}

impl Response {
    /// A response with this status and body.
    pub fn new(status: u16, body: impl Into<String>) -> Self {
        Self {
            status,
            body: body.into(),
        }
    }
}

/// Answers every request at `address` with what `handle` makes of it; an error becomes a 503 with its text.
///
/// # Errors
/// When the address cannot be bound. Never returns otherwise.
pub fn serve(
    address: &str,
    handle: impl Fn(&Request) -> io::Result<Response> + Send + Sync + 'static,
) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    println!("listening on http://{address}");
    let handle = std::sync::Arc::new(handle);
    for stream in listener.incoming() {
        let stream = stream?;
        let handle = handle.clone();
        std::thread::spawn(move || {
            if let Err(error) = answer(stream, &*handle) {
                eprintln!("a request went wrong: {error}");
            }
        });
    }
    Ok(())
}

/// Sends one request to `address` and returns the answer.
///
/// # Errors
/// When nobody answers, or not in HTTP.
pub fn send(address: &str, method: &str, path: &str, body: &str) -> io::Result<Response> {
    let mut stream = connect(address)?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.take(MAX_BODY).read_to_string(&mut answer)?;
    let status = answer
        .split_whitespace()
        .nth(1)
        .and_then(|s| s.parse().ok());
    match (status, answer.split_once("\r\n\r\n")) {
        (Some(status), Some((_, body))) => Ok(Response::new(status, body)),
        _ => Err(io::Error::other("the answer is not HTTP")),
    }
}

/// A connection that does not wait forever.
///
/// # Errors
/// When nobody listens at `address`.
pub fn connect(address: &str) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn answer(stream: TcpStream, handle: &dyn Fn(&Request) -> io::Result<Response>) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(stream);
    let Some(request) = read_request(&mut reader)? else {
        // A probe that only connects.
        return Ok(());
    };
    let response =
        handle(&request).unwrap_or_else(|error| Response::new(503, format!("{error}\n")));
    let mut stream = reader.into_inner();
    write!(
        stream,
        "HTTP/1.1 {} -\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}",
        response.status,
        if response.body.starts_with('{') {
            "application/json"
        } else {
            "text/plain"
        },
        response.body.len(),
        response.body
    )
}

fn read_request(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut first = String::new();
    if reader.by_ref().take(MAX_BODY).read_line(&mut first)? == 0 {
        return Ok(None);
    }
    let mut words = first.split_whitespace().map(str::to_owned);
    let (Some(method), Some(path)) = (words.next(), words.next()) else {
        return Err(io::Error::other("the request is not HTTP"));
    };
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.by_ref().take(MAX_BODY).read_line(&mut line)?;
        match line.trim_end().split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
            Some(_) => {}
            None => break,
        }
    }
    let mut body = String::new();
    reader
        .take(length.min(MAX_BODY))
        .read_to_string(&mut body)?;
    Ok(Some(Request { method, path, body }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_with_its_body() {
        let text = "POST /notes HTTP/1.1\r\nHost: x\r\ncontent-length: 5\r\n\r\nhello, not this";
        let request = read_request(&mut text.as_bytes()).expect("it is HTTP");
        assert_eq!(
            request,
            Some(Request {
                method: "POST".into(),
                path: "/notes".into(),
                body: "hello".into()
            })
        );
    }

    #[test]
    fn a_connection_without_a_word_is_no_error() {
        assert_eq!(read_request(&mut "".as_bytes()).expect("no error"), None);
    }
}
