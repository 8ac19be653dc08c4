//! The shell on a host that does what is asked, one request after the other.
//!
//! Owns: its session, and whose answer is whose. Requests are sent without waiting for the answers of those before them.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender};
use async_io::Timer;
use futures_lite::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, FutureExt};
use service_shim::agent::protocol::{Failure, FailureKind};

use super::reply::{MARK, Outcome, Refusal, Reply, ReplyDecoder};
use super::way::ShellWords;
use crate::agent::connect::AgentPipes;
use crate::driver;
use crate::quote;

/// A shell. Cheap to clone; it ends with the last one.
#[derive(Debug, Clone)]
pub(super) struct Shell {
    asks: Sender<Ask>,
    /// Closed once it is lost.
    lost: Receiver<()>,
}

/// Why a request has no answer, or not the wanted one.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum ShellError {
    #[error("the shell there is gone")]
    Lost,
    #[error("{}", .0.message)]
    Refused(Refusal),
}

#[derive(Debug)]
struct Ask {
    line: Vec<u8>,
    reply: Sender<Outcome>,
}

/// Those who wait for an answer, in order.
type Waiting = Mutex<VecDeque<(Instant, Sender<Outcome>)>>;

impl ShellError {
    /// In the words of an agent.
    pub(super) fn failure(self) -> Failure {
        match self {
            ShellError::Lost => Failure::new(FailureKind::System, self.to_string()),
            ShellError::Refused(refusal) => refusal.failure(),
        }
    }

    /// The class of a refusal.
    pub(super) fn word(&self) -> &str {
        match self {
            ShellError::Lost => "lost",
            ShellError::Refused(refusal) => &refusal.word,
        }
    }
}

impl Shell {
    /// Speaks to a shell that reads, and tells it what it is to know.
    pub(super) fn new(pipes: AgentPipes, shell: &ShellWords) -> Shell {
        let (asks, asked) = async_channel::unbounded();
        let (tell_lost, lost) = async_channel::bounded(1);
        let prelude = prelude(shell);
        driver::run(async move {
            let AgentPipes {
                mut reader,
                mut writer,
                hold,
            } = pipes;
            let waiting = Waiting::default();
            let write = write(&mut writer, prelude, &asked, &waiting);
            let read = read(&mut reader, &waiting);
            write.or(read).await;
            drop((hold, tell_lost));
        });
        Shell { asks, lost }
    }

    /// Has a verb done.
    ///
    /// # Errors
    /// [`ShellError`].
    ///
    /// # Cancellation
    /// It is done all the same.
    pub(super) async fn ask<S: AsRef<OsStr>>(
        &self,
        verb: &str,
        words: impl IntoIterator<Item = S>,
    ) -> Result<Reply, ShellError> {
        let (reply, answer) = async_channel::bounded(1);
        let line = line(verb, words).map_err(|error| {
            ShellError::Refused(Refusal {
                word: "request".to_owned(),
                message: error.to_string(),
            })
        })?;
        let ask = Ask { line, reply };
        self.asks.send(ask).await.map_err(|_| ShellError::Lost)?;
        let outcome = answer.recv().await.map_err(|_| ShellError::Lost)?;
        outcome.map_err(ShellError::Refused)
    }

    /// Waits until it is lost.
    pub(super) async fn lost(&self) {
        // Nobody sends on it: it is closed.
        let _ = self.lost.recv().await;
    }
}

/// A request as the shell reads it: quoted words never end a line that was not meant to end.
fn line<S: AsRef<OsStr>>(
    verb: &str,
    words: impl IntoIterator<Item = S>,
) -> Result<Vec<u8>, quote::QuoteError> {
    let mut line = OsString::from("do_");
    line.push(verb);
    for word in words {
        line.push(" ");
        line.push(quoted(word.as_ref())?);
    }
    line.push("\n");
    Ok(line.into_vec())
}

/// A word that is nothing but a word to every shell.
pub(super) fn quoted(word: &OsStr) -> Result<OsString, quote::QuoteError> {
    match word.as_bytes().is_empty() {
        true => Ok(OsString::from("''")),
        false => quote::word(word),
    }
}

/// What a shell is told before anything else.
fn prelude(shell: &ShellWords) -> Vec<u8> {
    let quoted = |text: &str| {
        let word = quoted(OsStr::new(text)).expect("a script holds no NUL byte");
        word.into_string().expect("it was text")
    };
    let mark = String::from_utf8_lossy(MARK)
        .trim_end()
        .replace('\n', "\\n");
    let (shell, runner, verbs) = (quoted(&shell.0.join(" ")), quoted(RUNNER), quoted(VERBS));
    format!(
        "HARNESS_SH={shell}; export HARNESS_SH; harness_runner={runner}; harness_verbs={verbs}\n\
         eval \"$harness_runner\"; eval \"$harness_verbs\"; printf '{mark}\\n'\n"
    )
    .into_bytes()
}

async fn write(
    writer: &mut (dyn AsyncWrite + Send + Unpin),
    prelude: Vec<u8>,
    asked: &Receiver<Ask>,
    waiting: &Waiting,
) {
    let mut line = prelude;
    loop {
        if writer.write_all(&line).await.is_err() || writer.flush().await.is_err() {
            return;
        }
        let Ok(ask) = asked.recv().await else {
            return;
        };
        lock(waiting).push_back((Instant::now(), ask.reply));
        line = ask.line;
    }
}

async fn read(reader: &mut (dyn AsyncRead + Send + Unpin), waiting: &Waiting) {
    let mut decoder = ReplyDecoder::default();
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let read = async { reader.read(&mut buffer).await.unwrap_or(0) };
        let late = async {
            loop {
                let asked = lock(waiting).front().map(|(asked, _)| asked.elapsed());
                let waited = asked.unwrap_or_default();
                if waited >= PATIENCE {
                    return 0;
                }
                Timer::after(PATIENCE.saturating_sub(waited)).await;
            }
        };
        let length = read.or(late).await;
        if length == 0 {
            return;
        }
        decoder.push(&buffer[..length]);
        loop {
            match decoder.next_reply() {
                Ok(Some(outcome)) => {
                    let Some((_, reply)) = lock(waiting).pop_front() else {
                        return;
                    };
                    // Whoever asked may have stopped waiting.
                    drop(reply.try_send(outcome));
                }
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
}

fn lock(waiting: &Waiting) -> MutexGuard<'_, VecDeque<(Instant, Sender<Outcome>)>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What outlives a connection on the host.
pub(super) const RUNNER: &str = include_str!("runner.sh");

/// What the shell of a connection knows besides.
const VERBS: &str = include_str!("verbs.sh");

const READ_BYTES: usize = 64 * 1024;

/// A shell that says nothing for so long, and was asked, is given up: as a silent agent is.
const PATIENCE: Duration = Duration::from_secs(15);
