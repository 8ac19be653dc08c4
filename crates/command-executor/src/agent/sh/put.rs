//! A file that comes to a host that its own shell serves.
//!
//! Owns: the script that takes it, in a session of its own: it is written beside its place, checked there, and has its name
//! once it is whole.

use std::ffi::OsString;
use std::path::PathBuf;

use async_io::Async;
use futures_lite::{AsyncBufReadExt, AsyncWriteExt, StreamExt, io::BufReader};
use service_shim::agent::protocol::{Answer, Failure, FailureKind};

use super::bridge::Bridge;
use crate::agent::connect::{StartedAgent, start};
use crate::agent::stream::AgentStream;

/// What is to come.
pub(super) struct Order {
    pub(super) path: PathBuf,
    pub(super) mode: u32,
    pub(super) sha256: String,
    pub(super) size: u64,
}

/// Takes the file of a stream.
pub(super) async fn take(
    bridge: &Bridge,
    order: Order,
    stream: &AgentStream,
) -> Result<(), Failure> {
    let path = order.path.display().to_string();
    let failed = |what: &str, error: &std::io::Error| {
        Failure::system(&format!("cannot write {path}: {what}"), error)
    };
    if !order.path.is_absolute() {
        let message = format!("cannot write {path}: a file needs an absolute path");
        return Err(Failure::new(FailureKind::Request, message));
    }
    let _permit = bridge.sessions.enter().await;
    let words: [OsString; 4] = [
        order.path.clone().into(),
        format!("{:03o}", order.mode & 0o777).into(),
        order.sha256.clone().into(),
        order.size.to_string().into(),
    ];
    let mut all = vec![OsString::from("put")];
    all.extend(words);
    let command = bridge.way.doing(&bridge.words, SCRIPT, &all);
    let command = command.map_err(|error| {
        Failure::new(
            FailureKind::Request,
            format!("cannot write {path}: {error}"),
        )
    })?;
    let started = start(command).await;
    let StartedAgent { pipes, stderr } = started.map_err(|error| failed("no session", &error))?;
    // What it has to say, it says on its stdout.
    drop(Async::new(stderr));
    let mut lines = BufReader::new(pipes.reader).lines();
    let mut writer = pipes.writer;
    let mut answer = async || {
        while let Some(Ok(line)) = lines.next().await {
            if let Some(outcome) = line.strip_prefix(MARK) {
                return outcome.to_owned();
            }
        }
        "system the session there has ended".to_owned()
    };
    judge(&path, &answer().await)?;
    stream.say(&Answer::Open);
    let mut left = order.size;
    while let Ok(Some(bytes)) = stream.read().await {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let whole = left.checked_sub(length);
        left = whole.unwrap_or_default();
        // One byte too many tells the other side as well as all of them.
        let written = writer.write_all(&bytes).await;
        written.map_err(|error| failed("it is not taken", &error))?;
        if whole.is_none() {
            break;
        }
        stream.taken(bytes.len());
    }
    // Also where it is cut off: the size is wrong then, and nothing is left of it.
    drop(writer.close().await);
    drop(writer);
    judge(&path, &answer().await)?;
    drop(pipes.hold);
    stream.end();
    Ok(())
}

fn judge(path: &str, outcome: &str) -> Result<(), Failure> {
    let (kind, message) = match outcome.split_once(' ') {
        None if outcome == "ok" => return Ok(()),
        Some(("content", message)) => (FailureKind::Content, message),
        Some((_, message)) => (FailureKind::System, message),
        None => (FailureKind::System, outcome),
    };
    Err(Failure::new(
        kind,
        format!("cannot write {path}: {message}"),
    ))
}

/// Stands before what comes of it: what else is said there was not said by us.
const MARK: &str = "@harness-put@";

/// Path, mode, hash and size.
const SCRIPT: &str = r#"
say() { printf '%s%s\n' @harness-put@ "$1"; }
give_up() { rm -f -- "$fresh"; say "$1"; exit; }
umask 077
place=$1 fresh=${1%/*}/.${1##*/}.$$.new
trap 'rm -f -- "$fresh"' EXIT
if ! said=$(mkdir -p -- "${place%/*}/" 2>&1) || ! : 2>/dev/null >"$fresh"; then
	give_up "system ${said:-the directory cannot be written}"
fi
room=$(df -Pk -- "${place%/*}/" 2>/dev/null | { read -r _; read -r _ _ _ room _; printf %s "$room"; })
case $room in
'' | *[!0-9]*) ;;
*) [ "$room" -ge "$(($4 / 1024))" ] || give_up 'system there is no room for it' ;;
esac
command -v sha256sum >/dev/null || give_up 'system there is no sha256sum there'
say ok
cat 2>/dev/null >"$fresh" || give_up 'system the disk takes no more'
[ "$(wc -c <"$fresh")" -eq "$4" ] || give_up 'content it is not as long as was announced'
hash=$(sha256sum <"$fresh")
[ "${hash%% *}" = "$3" ] || give_up 'content its hash is not the one that was announced'
said=$({ chmod "$2" "$fresh" && mv -f -- "$fresh" "$place"; } 2>&1) || give_up "system $said"
say ok
"#;
