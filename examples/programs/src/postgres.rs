//! PostgreSQL: the simple query protocol, version 3, for a server that trusts the connection.
//!
//! Owns: one connection, and how text becomes a literal. No parameters, no types: every value is text.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use crate::http::connect;

/// Protocol version 3.0.
const VERSION: i32 = 3 << 16;

/// A message longer than this is not one.
const MAX_MESSAGE: usize = 1 << 20;

/// A connection.
#[derive(Debug)]
pub struct Postgres {
    stream: TcpStream,
}

/// The rows of an answer; `None` is SQL's NULL.
pub type Rows = Vec<Vec<Option<String>>>;

impl Postgres {
    /// Connects to `host:port` as this user, to the database of the same name.
    ///
    /// # Errors
    /// When nobody listens there, or the server wants a password.
    pub fn connect(address: &str, user: &str) -> io::Result<Self> {
        let mut connection = Self {
            stream: connect(address)?,
        };
        let mut body = VERSION.to_be_bytes().to_vec();
        body.extend_from_slice(format!("user\0{user}\0\0").as_bytes());
        connection.send(None, &body)?;
        connection.read_until_ready()?;
        Ok(connection)
    }

    /// Runs one or more statements and returns the rows of all of them.
    ///
    /// # Errors
    /// When the connection breaks, or the server refuses: the error is the server's own message.
    pub fn query(&mut self, statement: &str) -> io::Result<Rows> {
        let mut body = statement.as_bytes().to_vec();
        body.push(0);
        self.send(Some(b'Q'), &body)?;
        self.read_until_ready()
    }

    fn send(&mut self, kind: Option<u8>, body: &[u8]) -> io::Result<()> {
        let length = i32::try_from(body.len() + 4).map_err(io::Error::other)?;
        let mut message: Vec<u8> = kind.into_iter().collect();
        message.extend_from_slice(&length.to_be_bytes());
        message.extend_from_slice(body);
        self.stream.write_all(&message)
    }

    /// Reads messages up to `ReadyForQuery`; an error among them is returned only then, so that the connection stays
    /// in step.
    fn read_until_ready(&mut self) -> io::Result<Rows> {
        let mut rows = Vec::new();
        let mut refused = None;
        loop {
            let (kind, body) = self.read_message()?;
            match kind {
                b'Z' => return refused.map_or(Ok(rows), Err),
                b'R' if body != [0, 0, 0, 0] => {
                    return Err(io::Error::other("postgres: the server wants a password"));
                }
                b'D' => {
                    rows.push(row(&body).ok_or_else(|| io::Error::other("postgres: a torn row"))?)
                }
                b'E' => refused = Some(io::Error::other(message_of(&body))),
                // Parameters, notices, row descriptions, tags: nothing that the examples look at.
                _ => {}
            }
        }
    }

    fn read_message(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let mut head = [0; 5];
        self.stream.read_exact(&mut head)?;
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        if !(4..=MAX_MESSAGE).contains(&length) {
            return Err(io::Error::other("postgres: a message of impossible length"));
        }
        let mut body = vec![0; length - 4];
        self.stream.read_exact(&mut body)?;
        Ok((head[0], body))
    }
}

/// The text as an SQL literal, quotes included.
pub fn literal(text: &str) -> String {
    // A NUL cannot be in a PostgreSQL text; everything else may stand between the quotes.
    format!("'{}'", text.replace('\0', "").replace('\'', "''"))
}

fn row(body: &[u8]) -> Option<Vec<Option<String>>> {
    let (count, mut rest) = body.split_first_chunk::<2>()?;
    let mut values = Vec::new();
    for _ in 0..u16::from_be_bytes(*count) {
        let (length, after) = rest.split_first_chunk::<4>()?;
        rest = after;
        // -1 is NULL.
        let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
            values.push(None);
            continue;
        };
        let (value, after) = rest.split_at_checked(length)?;
        rest = after;
        values.push(Some(String::from_utf8_lossy(value).into_owned()));
    }
    Some(values)
}

/// The message among the fields of an `ErrorResponse`.
fn message_of(body: &[u8]) -> String {
    let message = body
        .split(|byte| *byte == 0)
        .find_map(|field| field.strip_prefix(b"M"))
        .unwrap_or(b"an error without a message");
    format!("postgres: {}", String::from_utf8_lossy(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_with_null_is_read_and_a_torn_one_refused() {
        let body = [0, 2, 0, 0, 0, 2, b'o', b'k', 255, 255, 255, 255];
        assert_eq!(row(&body), Some(vec![Some("ok".into()), None]));
        assert_eq!(row(&body[..7]), None);
    }

    #[test]
    fn a_literal_cannot_be_left() {
        assert_eq!(literal("it's; drop"), "'it''s; drop'");
    }

    #[test]
    fn the_servers_words_are_found() {
        assert_eq!(
            message_of(b"SERROR\0Mno such table\0\0"),
            "postgres: no such table"
        );
    }
}
