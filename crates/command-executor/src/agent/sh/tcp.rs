//! A TCP connection as the host reaches its target: a channel of the connection of SSH, not of the shell.
//!
//! Owns: when it counts as made. Never connects by guess: a channel that was refused is a refusal.

use std::future::Future;
use std::io::{self, BufRead};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::process::{ChildStderr, Command};
use std::time::Duration;

use async_io::{Async, Timer};
use futures_lite::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, FutureExt, future};
use service_shim::agent::protocol::{Answer, Failure, FailureKind};

use super::bridge::Bridge;
use super::way::Way;
use crate::agent::connect::{StartedAgent, start};
use crate::agent::stream::AgentStream;
use crate::ssh::SshConnection;

/// Carries the stream there, until one of the two ends it.
pub(super) async fn carry(
    bridge: &Bridge,
    address: IpAddr,
    port: u16,
    stream: &AgentStream,
) -> Result<(), Failure> {
    let to = SocketAddr::new(address, port);
    match &bridge.way {
        Way::Ssh(connection) => {
            let opened = in_time(to, open(connection, to)).await?;
            stream.say(&Answer::Open);
            let pipes = opened.pipes;
            both(stream, pipes.reader, pipes.writer).await;
            drop((pipes.hold, opened.stderr));
        }
        Way::Here { .. } => {
            let connect = async {
                Async::<TcpStream>::connect(to)
                    .await
                    .map_err(|error| Failure::system(&format!("cannot reach {to}"), &error))
            };
            let socket = in_time(to, connect).await?;
            stream.say(&Answer::Open);
            let (reader, writer) = futures_lite::io::split(socket);
            both(stream, reader, writer).await;
        }
    }
    Ok(())
}

async fn in_time<T>(
    to: SocketAddr,
    connect: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let late = async {
        Timer::after(PATIENCE).await;
        let message = format!("cannot reach {to}: no answer within {PATIENCE:?}");
        Err(Failure::new(FailureKind::System, message))
    };
    connect.or(late).await
}

/// A channel that is open: the client says so, and has more to say as long as it is asked.
async fn open(connection: &SshConnection, to: SocketAddr) -> Result<StartedAgent, Failure> {
    let mut command = Command::new(connection.program());
    command.arg("-F").arg(connection.config());
    // Without the first of these the client takes the second for a forward that it shall clear.
    command.args(["-o", "ClearAllForwardings=no", "-v", "-W"]);
    command.arg(match to {
        SocketAddr::V4(to) => to.to_string(),
        SocketAddr::V6(to) => format!("[{}]:{}", to.ip(), to.port()),
    });
    command.arg("--").arg(connection.host().name());
    let started = start(command).await;
    let StartedAgent { pipes, stderr } =
        started.map_err(|error| Failure::system("cannot start the client of SSH", &error))?;
    let stderr = Async::new(stderr);
    let stderr =
        stderr.map_err(|error| Failure::system("cannot hear the client of SSH", &error))?;
    let stderr = told_open(stderr, to).await?;
    Ok(StartedAgent { pipes, stderr })
}

/// Reads what the client says until it is clear what has come of the channel.
async fn told_open(mut stderr: Async<ChildStderr>, to: SocketAddr) -> Result<ChildStderr, Failure> {
    let mut said = Vec::new();
    let mut piece = [0; 1024];
    loop {
        let read = stderr.read(&mut piece).await.unwrap_or(0);
        said.extend_from_slice(&piece[..read]);
        if contains(&said, OPENED) {
            return stderr
                .into_inner()
                .map_err(|error| Failure::system("cannot hear the client of SSH", &error));
        }
        if read == 0 || said.len() > MOST_SAID {
            let refused = contains(&said, b"refused");
            let kind = match refused {
                true => FailureKind::Refused,
                false => FailureKind::System,
            };
            let last = said
                .lines()
                .map_while(io::Result::ok)
                .filter(|line| !line.starts_with("debug") && !line.is_empty())
                .last();
            let why = last.unwrap_or_default();
            return Err(Failure::new(kind, format!("cannot reach {to}: {why}")));
        }
    }
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window == word)
}

/// Bytes both ways. An end of one direction is told to the other side, a failure ends both.
pub(super) async fn both(
    stream: &AgentStream,
    mut reader: impl AsyncRead + Unpin,
    mut writer: impl AsyncWrite + Unpin,
) {
    let there = async {
        while let Some(bytes) = stream.read().await.map_err(|_| ())? {
            writer.write_all(&bytes).await.map_err(|_| ())?;
            writer.flush().await.map_err(|_| ())?;
            stream.taken(bytes.len());
        }
        writer.close().await.map_err(|_| ())
    };
    let back = async {
        let mut piece = vec![0; PIECE];
        loop {
            match reader.read(&mut piece).await {
                Ok(0) | Err(_) => break,
                Ok(read) => stream.write(&piece[..read]).await.map_err(|_| ())?,
            }
        }
        stream.end();
        Ok(())
    };
    let _: Result<_, ()> = future::try_zip(there, back).await;
}

/// What the client says at `-v` once a channel over a connection that is shared is open.
const OPENED: &[u8] = b"master session id:";

const MOST_SAID: usize = 64 * 1024;
const PIECE: usize = 16 * 1024;

/// As long as an agent waits for a handshake.
const PATIENCE: Duration = Duration::from_secs(10);
