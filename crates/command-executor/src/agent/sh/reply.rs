//! What the shell on a host answers: bytes in, replies out.
//!
//! Owns: the form of an answer. Pure. An answer is lines that begin with `+`, raw bytes behind a line of `*` and their number,
//! and at its end a line of `=` and what came of it. What stands before the mark was said by the shell of a login.

use service_shim::agent::protocol::{Failure, FailureKind};

/// The answer to one request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Reply {
    lines: Vec<Vec<u8>>,
    bytes: Vec<u8>,
}

/// What is said when it is not carried out: a word for the class, and a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) word: String,
    pub(super) message: String,
}

/// What came of a request.
pub(super) type Outcome = Result<Reply, Refusal>;

/// What came is no answer: nothing after it can be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what the shell there says is no answer")]
pub(super) struct Garbled;

/// Gathers bytes until they are answers.
#[derive(Debug, Default)]
pub(super) struct ReplyDecoder {
    bytes: Vec<u8>,
    at: usize,
    has_begun: bool,
    reply: Reply,
    /// How many raw bytes are still to come.
    raw: usize,
}

impl Reply {
    /// The text behind a word, of every line that begins with it.
    pub(super) fn all<'a>(&'a self, word: &'a str) -> impl Iterator<Item = String> + 'a {
        self.lines().filter_map(move |line| {
            let rest = line.strip_prefix(word)?;
            match rest.strip_prefix(' ') {
                Some(rest) => Some(rest.to_owned()),
                None if rest.is_empty() => Some(String::new()),
                None => None,
            }
        })
    }

    /// The text behind a word, of the first line that begins with it.
    pub(super) fn one(&self, word: &str) -> Option<String> {
        self.all(word).next()
    }

    /// The number behind a word.
    pub(super) fn number(&self, word: &str) -> Option<u64> {
        self.one(word)?.trim().parse().ok()
    }

    /// All lines.
    pub(super) fn lines(&self) -> impl Iterator<Item = String> + '_ {
        let text = |line: &Vec<u8>| String::from_utf8_lossy(line).into_owned();
        self.lines.iter().map(text)
    }

    /// All raw bytes.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The raw bytes as text.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

impl Refusal {
    /// In the words of an agent.
    pub(super) fn failure(self) -> Failure {
        let kind = match &*self.word {
            "not-found" => FailureKind::NotFound,
            "exists" => FailureKind::Exists,
            "permission" => FailureKind::Permission,
            "late" => FailureKind::Late,
            "busy" => FailureKind::Busy,
            "request" => FailureKind::Request,
            _ => FailureKind::System,
        };
        Failure::new(kind, self.message)
    }
}

impl ReplyDecoder {
    /// Adds what was read.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        drop(self.bytes.drain(..std::mem::take(&mut self.at)));
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole answer.
    pub(super) fn next_reply(&mut self) -> Result<Option<Outcome>, Garbled> {
        if !self.has_begun && !self.find_begin()? {
            return Ok(None);
        }
        loop {
            let rest = &self.bytes[self.at..];
            if self.raw > 0 {
                let taken = self.raw.min(rest.len());
                self.reply.bytes.extend_from_slice(&rest[..taken]);
                self.at += taken;
                self.raw -= taken;
                if self.raw > 0 {
                    return Ok(None);
                }
                continue;
            }
            let Some(length) = rest.iter().position(|byte| *byte == b'\n') else {
                return match rest.len() > MAX_LINE {
                    true => Err(Garbled),
                    false => Ok(None),
                };
            };
            let line = rest[..length].to_vec();
            self.at += length + 1;
            match line.split_first() {
                Some((b'+', text)) => self.reply.lines.push(text.to_vec()),
                Some((b'*', number)) => {
                    let number = std::str::from_utf8(number).ok();
                    let number = number.and_then(|number| number.trim().parse().ok());
                    self.raw = number.filter(|raw| *raw <= MAX_RAW).ok_or(Garbled)?;
                }
                Some((b'=', outcome)) => {
                    let reply = std::mem::take(&mut self.reply);
                    let outcome = String::from_utf8_lossy(outcome).into_owned();
                    return Ok(Some(match outcome.split_once(' ') {
                        None if outcome == "ok" => Ok(reply),
                        None => Err(refusal(&outcome, &outcome)),
                        Some((word, message)) => Err(refusal(word, message)),
                    }));
                }
                _ => return Err(Garbled),
            }
        }
    }

    fn find_begin(&mut self) -> Result<bool, Garbled> {
        let begin = self.bytes.windows(MARK.len()).position(|word| word == MARK);
        match begin {
            Some(at) => {
                self.at = at + MARK.len();
                self.has_begun = true;
                Ok(true)
            }
            None if self.bytes.len() > MAX_RAW => Err(Garbled),
            None => Ok(false),
        }
    }
}

fn refusal(word: &str, message: &str) -> Refusal {
    Refusal {
        word: word.to_owned(),
        message: message.trim().to_owned(),
    }
}

/// What our shell says first of all.
pub(super) const MARK: &[u8] = b"\n@harness-sh@\n";

/// No path and no fact is longer.
const MAX_LINE: usize = 64 * 1024;

/// A piece of a log, an index, or a table of sockets.
const MAX_RAW: usize = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn answers_come_out_whole_wherever_they_are_cut() {
        let said =
            b"Welcome!\n\n@harness-sh@\n+pid 7\n+home /a b\n*4\n=ok\n+x\n=ok\n=late too late \n";
        let wanted = vec![
            Ok(Reply {
                lines: vec![b"pid 7".to_vec(), b"home /a b".to_vec(), b"x".to_vec()],
                bytes: b"=ok\n".to_vec(),
            }),
            Err(refusal("late", "too late")),
        ];
        for cut in 0..said.len() {
            let mut decoder = ReplyDecoder::default();
            let mut found = Vec::new();
            for piece in [&said[..cut], &said[cut..]] {
                decoder.push(piece);
                while let Some(reply) = decoder.next_reply().expect("sound") {
                    found.push(reply);
                }
            }
            assert_eq!(found, wanted, "cut at {cut}");
        }
        let first = wanted[0].clone().expect("ok");
        assert_eq!(first.number("pid"), Some(7));
        assert_eq!(first.one("home").as_deref(), Some("/a b"));
        assert_eq!(first.one("ho"), None);
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut decoder = ReplyDecoder::default();
            decoder.push(MARK);
            decoder.push(&bytes);
            while let Ok(Some(_)) = decoder.next_reply() {}
        }
    }
}
