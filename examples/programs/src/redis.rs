//! Redis: commands as arrays of strings, and the answers that the examples meet.
//!
//! Owns: one connection. Nested arrays deeper than one and the newer types of answer are errors.

use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpStream;

use crate::http::connect;

/// A connection.
#[derive(Debug)]
pub struct Redis {
    stream: BufReader<TcpStream>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A status, a number or a string.
    Text(String),
    /// Several of them.
    List(Vec<String>),
    /// Nothing there.
    Nil,
}

impl Redis {
    /// Connects to `host:port`.
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn connect(address: &str) -> io::Result<Self> {
        Ok(Self {
            stream: BufReader::new(connect(address)?),
        })
    }

    /// Sends one command and reads its answer.
    ///
    /// # Errors
    /// When the connection breaks, or the server answers with an error.
    pub fn call(&mut self, words: &[&str]) -> io::Result<Answer> {
        let mut command = format!("*{}\r\n", words.len());
        for word in words {
            command.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        self.stream.get_mut().write_all(command.as_bytes())?;
        read_answer(&mut self.stream)
    }
}

fn read_answer(reader: &mut impl BufRead) -> io::Result<Answer> {
    let head = read_line(reader)?;
    let (kind, rest) = head.split_at_checked(1).unwrap_or_default();
    match kind {
        "+" | ":" => Ok(Answer::Text(rest.to_owned())),
        "-" => Err(io::Error::other(format!("redis: {rest}"))),
        "$" if rest == "-1" => Ok(Answer::Nil),
        "$" => {
            let length: usize = rest.parse().map_err(io::Error::other)?;
            let mut bytes = vec![0; length + 2];
            reader.read_exact(&mut bytes)?;
            bytes.truncate(length);
            let text = String::from_utf8(bytes).map_err(io::Error::other)?;
            Ok(Answer::Text(text))
        }
        "*" if rest == "-1" => Ok(Answer::Nil),
        "*" => {
            let length: usize = rest.parse().map_err(io::Error::other)?;
            let items = (0..length).map(|_| match read_answer(reader)? {
                Answer::Text(text) => Ok(text),
                Answer::List(_) | Answer::Nil => Err(io::Error::other("redis: a nested answer")),
            });
            items.collect::<io::Result<_>>().map(Answer::List)
        }
        _ => Err(io::Error::other(format!("redis: an answer `{head}`"))),
    }
}

fn read_line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read() {
        let read = |text: &str| read_answer(&mut text.as_bytes());
        assert_eq!(read(":7\r\n").expect("a number"), Answer::Text("7".into()));
        assert_eq!(read("$-1\r\n").expect("nothing"), Answer::Nil);
        assert_eq!(
            read("*2\r\n$4\r\njobs\r\n$1\r\n3\r\n").expect("a list"),
            Answer::List(vec!["jobs".into(), "3".into()])
        );
        assert!(read("-ERR wrong\r\n").is_err());
        assert!(read("").is_err());
    }
}
