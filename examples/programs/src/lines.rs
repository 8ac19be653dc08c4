//! A key-value store that speaks one line per question and one per answer.
//!
//! Owns: the protocol (`GET k`, `SET k v`, `INCR k`, `KEYS prefix`) and the map behind it, in memory only.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use crate::http::connect;

/// Serves an empty store at `address`.
///
/// # Errors
/// When the address cannot be bound. Never returns otherwise.
pub fn serve(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    println!("store: listening on {address}");
    let entries = Arc::new(Mutex::new(BTreeMap::new()));
    for stream in listener.incoming() {
        let stream = stream?;
        let entries = entries.clone();
        std::thread::spawn(move || {
            if let Err(error) = converse(&stream, &entries) {
                eprintln!("store: a connection broke: {error}");
            }
        });
    }
    Ok(())
}

/// Asks the store at `address` one question.
///
/// # Errors
/// When nobody answers.
pub fn ask(address: &str, question: &str) -> io::Result<String> {
    let mut stream = connect(address)?;
    writeln!(stream, "{question}")?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    Ok(answer.trim_end().to_owned())
}

fn converse(stream: &TcpStream, entries: &Mutex<BTreeMap<String, String>>) -> io::Result<()> {
    let mut writer = stream;
    for question in BufReader::new(stream).lines() {
        let answer = {
            // Held for one question, never across I/O.
            let mut entries = entries.lock().expect("no answer panics");
            reply(&mut entries, &question?)
        };
        writeln!(writer, "{answer}")?;
    }
    Ok(())
}

fn reply(entries: &mut BTreeMap<String, String>, question: &str) -> String {
    let mut words = question.splitn(3, ' ');
    match (words.next(), words.next(), words.next()) {
        (Some("GET"), Some(key), None) => entries.get(key).cloned().unwrap_or_default(),
        (Some("SET"), Some(key), Some(value)) => {
            entries.insert(key.to_owned(), value.to_owned());
            "OK".to_owned()
        }
        (Some("INCR"), Some(key), None) => {
            let entry = entries.entry(key.to_owned()).or_default();
            let next = entry.parse::<u64>().unwrap_or(0) + 1;
            *entry = next.to_string();
            entry.clone()
        }
        (Some("KEYS"), Some(prefix), None) => {
            let keys = entries.keys().filter(|key| key.starts_with(prefix));
            keys.cloned().collect::<Vec<_>>().join(" ")
        }
        _ => "ERROR GET k, SET k v, INCR k or KEYS prefix".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_found_and_counted() {
        let mut entries = BTreeMap::new();
        assert_eq!(reply(&mut entries, "SET text.1 two words"), "OK");
        assert_eq!(reply(&mut entries, "GET text.1"), "two words");
        assert_eq!(reply(&mut entries, "INCR n"), "1");
        assert_eq!(reply(&mut entries, "INCR n"), "2");
        assert_eq!(reply(&mut entries, "KEYS text."), "text.1");
        assert!(reply(&mut entries, "DROP").starts_with("ERROR"));
    }
}
