//! The agent of a host that has none: what is asked on each stream, as requests to a shell there.
//!
//! Owns: the translation of requests, as `service_shim::agent` has it for an agent of ours. Keeps nothing that outlives the
//! connection.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::Arc;

use futures_lite::FutureExt;
use service_shim::agent::protocol::{Answer, Failure, FailureKind, Request};
use service_shim::is_instance_id;

use super::attempt::{Attempt, Over, instance_of};
use super::log::{Stop, Wanted, now_ns};
use super::record::{Known, Sight, never_started};
use super::shell::{Shell, ShellError};
use super::watch::Watch;
use super::way::{ShellWords, Way};
use super::{beside, facts, log, put, tcp};
use crate::agent::link::{AgentLink, Asked, Asking};
use crate::agent::stream::AgentStream;
use crate::driver;

/// What all streams of a connection share.
pub(super) struct Bridge {
    pub(super) shell: Shell,
    pub(super) watch: Arc<Watch>,
    pub(super) way: Way,
    pub(super) words: ShellWords,
    /// Ends with the shell: whatever runs beside it watches this file.
    pub(super) tie: OsString,
    pub(super) sessions: beside::Sessions,
}

/// Serves what is asked, until nobody asks any more or the shell is gone.
pub(super) async fn serve(bridge: Arc<Bridge>, link: AgentLink, asking: Asking) {
    let requests = async {
        while let Some(asked) = asking.next(&link).await {
            driver::run(one(Arc::clone(&bridge), asked));
        }
    };
    let watched = async {
        bridge.watch.keep(&bridge.shell).await;
    };
    requests.or(watched).or(bridge.shell.lost()).await;
    link.close();
}

/// One request. It ends with its stream, which ends with the connection.
async fn one(bridge: Arc<Bridge>, asked: Asked) {
    let Asked { request, stream } = asked;
    let done = match request {
        Some(request) => carry_out(&bridge, request, &stream).await,
        None => {
            let message = "the sh runner knows no such request";
            Err(Failure::new(FailureKind::Request, message))
        }
    };
    if let Err(failure) = done {
        stream.refuse(&failure);
    }
}

async fn carry_out(bridge: &Bridge, request: Request, stream: &AgentStream) -> Result<(), Failure> {
    match request {
        Request::Start {
            run_root,
            instance_id,
            before_ns,
            ..
        } => start(bridge, &run_root, &instance_id, before_ns, stream).await,
        Request::Look { run_dir } => look(bridge, &run_dir, stream).await,
        Request::Connect { run_dir } => {
            let known = known(bridge, "state", &run_dir).await?;
            match known.sight {
                Sight::Runs => {
                    stream.say(&Answer::Open);
                    attend(bridge, &run_dir, stream).await
                }
                _ => Err(Failure::new(FailureKind::Refused, "nobody serves it")),
            }
        }
        Request::Ended { run_dir } => {
            let known = known(bridge, "state", &run_dir).await?;
            let missing = known.sight == Sight::Missing;
            let exit = known.exit.map(Box::new);
            answer(stream, &Answer::Ended { exit, missing })
        }
        Request::Alive { run_dir } => {
            let known = known(bridge, "state", &run_dir).await?;
            let alive = matches!(known.sight, Sight::Starts | Sight::Runs | Sight::Orphan);
            answer(stream, &Answer::Alive { alive })
        }
        Request::Remove { run_dir } => {
            ask(bridge, "remove", [run_dir.as_os_str()]).await?;
            answer(stream, &Answer::Removed)
        }
        Request::List { run_root } => {
            let listed = ask(bridge, "list", [run_root.as_os_str()]).await?;
            let mut instance_ids: Vec<String> =
                listed.lines().filter(|name| is_instance_id(name)).collect();
            instance_ids.sort_unstable();
            answer(stream, &Answer::Listed { instance_ids })
        }
        Request::Log {
            dir,
            attempt,
            since_ns,
            follow,
        } => {
            let wanted = Wanted {
                dir,
                attempt,
                since_ns,
                follow,
            };
            match log::tell(bridge, &wanted, stream).await {
                Ok(()) | Err(Stop::Gone) => Ok(()),
                Err(Stop::Failed(failure)) => Err(failure),
            }
        }
        Request::Unix { path } => {
            let message = format!(
                "the sh runner cannot reach the socket {} there: containers need the shim on a host",
                path.display()
            );
            Err(Failure::new(FailureKind::Request, message))
        }
        Request::Tcp { address, port } => tcp::carry(bridge, address, port, stream).await,
        Request::Exec {
            argv,
            env,
            cwd,
            timeout_ms,
        } => {
            let command = beside::Order {
                script: super::order::command(&argv, &env, cwd.as_deref())?,
                timeout_ms,
            };
            beside::run(bridge, command, stream).await
        }
        Request::FreePort { udp, taken } => {
            let table = ask(bridge, "ports", [if udp { "udp" } else { "tcp" }]).await?;
            let port = facts::free_port(&table.text(), &taken, now_ns());
            let none = || Failure::new(FailureKind::System, "no port is free there");
            let port = port.ok_or_else(none)?;
            answer(stream, &Answer::FreePort { port })
        }
        Request::Facts => {
            let told = ask(bridge, "facts", [] as [&str; 0]).await?;
            answer(stream, &Answer::Facts(Box::new(facts::read(&told))))
        }
        Request::Put {
            path,
            mode,
            sha256,
            size,
        } => {
            let order = put::Order {
                path,
                mode,
                sha256,
                size,
            };
            put::take(bridge, order, stream).await
        }
    }
}

async fn start(
    bridge: &Bridge,
    run_root: &Path,
    instance_id: &str,
    before_ns: u64,
    stream: &AgentStream,
) -> Result<(), Failure> {
    if !is_instance_id(instance_id) {
        let message = format!("`{instance_id}` is not an instance id: twelve hexadecimal digits");
        return Err(Failure::new(FailureKind::Request, message));
    }
    let before = before_ns / NS_OF_A_HUNDREDTH;
    let limit = before.to_string();
    let words = [
        run_root.as_os_str(),
        OsStr::new(instance_id),
        OsStr::new(&limit),
    ];
    ask(bridge, "make", words).await?;
    let dir = run_root.join(instance_id);
    let attempt = Attempt::new(bridge, &dir, stream);
    over(attempt.launch(before + AND_THE_ORDER).await)
}

async fn look(bridge: &Bridge, run_dir: &Path, stream: &AgentStream) -> Result<(), Failure> {
    let known = known(bridge, "look", run_dir).await?;
    let ended = |exit, missing| {
        let exit = Some(Box::new(exit));
        answer(stream, &Answer::Ended { exit, missing })
    };
    match (known.sight, known.exit) {
        (Sight::Missing, _) => ended(never_started(&instance_of(run_dir), now_ns()), true),
        (_, Some(exit)) => ended(exit, false),
        (Sight::Starts | Sight::Runs, None) => {
            stream.say(&Answer::Open);
            attend(bridge, run_dir, stream).await
        }
        (Sight::Orphan | Sight::Lost | Sight::Ended | Sight::Foreign, None) => {
            let message = "nobody there takes over beside the service";
            Err(Failure::new(FailureKind::System, message))
        }
    }
}

async fn attend(bridge: &Bridge, run_dir: &Path, stream: &AgentStream) -> Result<(), Failure> {
    over(Attempt::new(bridge, run_dir, stream).attend().await)
}

fn over(outcome: Result<(), Over>) -> Result<(), Failure> {
    match outcome {
        Ok(()) | Err(Over::Done) => Ok(()),
        Err(Over::Failed(failure)) => Err(failure),
    }
}

async fn known(bridge: &Bridge, verb: &str, run_dir: &Path) -> Result<Known, Failure> {
    let reply = ask(bridge, verb, [run_dir.as_os_str()]).await?;
    Known::read(&reply, &instance_of(run_dir))
}

async fn ask<S: AsRef<OsStr>>(
    bridge: &Bridge,
    verb: &str,
    words: impl IntoIterator<Item = S>,
) -> Result<super::reply::Reply, Failure> {
    let asked = bridge.shell.ask(verb, words).await;
    asked.map_err(ShellError::failure)
}

fn answer(stream: &AgentStream, answer: &Answer) -> Result<(), Failure> {
    stream.say(answer);
    stream.end();
    Ok(())
}

const NS_OF_A_HUNDREDTH: u64 = 10_000_000;

/// The order itself comes a round trip after the directory was made, by the same connection.
const AND_THE_ORDER: u64 = 1000;
