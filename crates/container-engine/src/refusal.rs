//! What an engine means when it refuses.
//!
//! Owns: which words of which engine are which error, and the hints for an engine that is not there. The status alone
//! does not tell: one number stands for a name that is taken, a container that does not run, and a removal under way.

use std::io;
use std::time::Duration;

use futures::StreamExt;
use futures_lite::FutureExt;
use harness_http::{BodyStream, Bytes, HttpError, StatusCode};
use serde::Deserialize;

use crate::address::EngineAddress;
use crate::error::{EngineError, Object};

/// The engine's words: the message of its JSON, else the text itself; cut where it is long.
pub(crate) fn message(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Refusal {
        message: String,
    }
    let text = serde_json::from_slice::<Refusal>(body).map_or_else(
        |_| String::from_utf8_lossy(body).into_owned(),
        |refusal| refusal.message,
    );
    let words = text.split(char::is_control).map(str::trim);
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    let text = words.join("; ");
    match text.char_indices().nth(MAX_MESSAGE_CHARS) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None if text.is_empty() => "it says nothing more".to_owned(),
        None => text,
    }
}

/// The error that a status and a message stand for.
pub(crate) fn explain(about: &Object, status: StatusCode, message: String) -> EngineError {
    let object = about.clone();
    let says = |words: &str| message.contains(words);
    if says("port is already allocated") || says("address already in use") {
        let port = bound_port(&message);
        return EngineError::PortTaken {
            object,
            port,
            message,
        };
    }
    // podman's words, whatever its runtime says before them.
    if says("executable file not found")
        || says("OCI permission denied")
        || says("OCI runtime attempted to invoke")
        || says("OCI runtime") && (says("no such file or directory") || says("permission denied"))
    {
        return EngineError::NotRunnable { object, message };
    }
    match status.as_u16() {
        404 => missing(about, &message),
        409 | 403 | 500 if says("already in use by") => EngineError::NameTaken {
            object,
            by: quoted_id(&message),
        },
        409 if says("already exists") => EngineError::NameTaken { object, by: None },
        409 | 500 if says("is not running") || says("can only kill running") => {
            EngineError::NotRunning { object }
        }
        409 if says("already in progress") || says("marked for removal") => {
            EngineError::BeingRemoved { object }
        }
        409 | 403 | 500
            if says("has active endpoints") || says("is in use") || says("being used by") =>
        {
            EngineError::InUse { object, message }
        }
        409 => EngineError::Conflict { object, message },
        _ => EngineError::Refused {
            object,
            status,
            message,
        },
    }
}

/// What a 404 misses: not always what was asked about.
fn missing(about: &Object, message: &str) -> EngineError {
    let lower = message.to_lowercase();
    let after = |words: &str| {
        let at = lower.find(words)? + words.len();
        // Lower case may be longer or shorter than what it was made of.
        let name = message.get(at..)?.split_whitespace().next()?;
        Some(name.trim_matches(['"', '\'', ',', ';']).to_owned())
    };
    if lower.contains("no such image") || lower.contains("image not known") {
        let image = match about {
            Object::Image(name) => name.clone(),
            _ => after("no such image: ").unwrap_or_else(|| message.to_owned()),
        };
        return EngineError::NoSuchImage { image };
    }
    let is_other_network = !matches!(about, Object::Network(_)) && lower.contains("not found");
    let object = match after("network ").filter(|_| is_other_network) {
        Some(network) => Object::Network(network),
        None => about.clone(),
    };
    if let Object::Image(image) = object {
        return EngineError::NoSuchImage { image };
    }
    EngineError::NotFound { object }
}

/// The id of `… is already in use by container "ID".`, or podman's `by ID.`
fn quoted_id(message: &str) -> Option<String> {
    let rest = message.split("already in use by").nth(1)?;
    let rest = rest.trim_start().trim_start_matches("container").trim();
    let is_id = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let id = rest.trim_start_matches('"');
    let end = id.find(|c| !is_id(c)).unwrap_or(id.len());
    (end > 0).then(|| id[..end].to_owned())
}

/// The host port of `Bind for 0.0.0.0:80 failed` or `listen tcp4 127.0.0.1:80: bind`.
fn bound_port(message: &str) -> Option<u16> {
    let rest = ["Bind for ", "listen tcp", "listen udp"]
        .iter()
        .find_map(|words| message.split(words).nth(1))?;
    let address = rest
        .split_whitespace()
        .find(|word| word.contains(':'))?
        .trim_end_matches([':', ',']);
    address.rsplit(':').next()?.parse().ok()
}

/// What to do about an engine that is not there.
pub(crate) fn hint(address: &EngineAddress, error: &HttpError) -> &'static str {
    let kind = match error {
        HttpError::Socket { source, .. } | HttpError::Connect { source, .. } => source.kind(),
        HttpError::TimedOut { .. } => io::ErrorKind::TimedOut,
        _ => io::ErrorKind::Other,
    };
    match (address, kind) {
        (EngineAddress::Unix(_), io::ErrorKind::PermissionDenied) => {
            "this user may not use its socket; join its group (`sudo usermod -aG docker $USER`, then log in again) or run the engine rootless"
        }
        (EngineAddress::Unix(_), io::ErrorKind::NotFound) => {
            "its socket is not there; start it (`systemctl start docker`, or Docker Desktop), or set DOCKER_HOST"
        }
        (EngineAddress::Unix(_) | EngineAddress::Tcp { .. }, io::ErrorKind::ConnectionRefused) => {
            "nobody listens there; start it (`systemctl start docker`), or set DOCKER_HOST"
        }
        (EngineAddress::Elsewhere { .. }, io::ErrorKind::PermissionDenied) => {
            "whoever logs in there may not use its socket; add that user to the socket's group (`sudo usermod -aG docker USER` there), or log in as another"
        }
        (
            EngineAddress::Elsewhere { .. },
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused,
        ) => {
            "start docker or podman there (`systemctl start docker`), or name its socket by DOCKER_HOST in the environment of logins there"
        }
        (EngineAddress::Elsewhere { .. }, _) => "see whether the way there is open",
        (EngineAddress::Stdio { .. }, io::ErrorKind::NotFound) => {
            "the program that leads there is not in PATH; install it"
        }
        (EngineAddress::Stdio { .. }, io::ErrorKind::TimedOut) => {
            "it takes too long; try the command by hand"
        }
        (EngineAddress::Stdio { .. }, _) => {
            "try the command by hand: it must lead there without a question"
        }
        (EngineAddress::Unix(_) | EngineAddress::Tcp { .. }, _) => {
            "see whether it runs and answers `docker version`"
        }
    }
}

/// The beginning of the body of a refusal.
pub(crate) async fn beginning(mut body: BodyStream, within: Duration) -> Bytes {
    let mut bytes = Vec::new();
    let reading = async {
        while let Some(Ok(piece)) = body.next().await {
            let room = MAX_REFUSAL_BYTES - bytes.len();
            bytes.extend_from_slice(&piece[..piece.len().min(room)]);
            if bytes.len() == MAX_REFUSAL_BYTES {
                break;
            }
        }
    };
    let too_late = async {
        async_io::Timer::after(within).await;
    };
    reading.or(too_late).await;
    bytes.into()
}

/// Why a body is not what it should be. Never shows the body: an answer may hold a container's environment.
pub(crate) fn json_reason(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Syntax | serde_json::error::Category::Io => "it is no JSON",
        serde_json::error::Category::Data => "it is JSON of another shape",
        serde_json::error::Category::Eof => "it breaks off",
    };
    format!(
        "{what}, at line {}, column {}",
        error.line(),
        error.column()
    )
}

const MAX_MESSAGE_CHARS: usize = 1000;
const MAX_REFUSAL_BYTES: usize = 16 * 1024;

#[cfg(test)]
mod tests;
