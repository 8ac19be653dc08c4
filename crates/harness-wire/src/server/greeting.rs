//! The first exchange on a connection, from the server's side.
//!
//! Owns: what a first message must be. Never decides which version changes what.

use crate::error::{RpcError, code};
use crate::frame::{self, Frame};
use crate::hello::{self, Agreed, Hello, VersionRange};
use crate::link::{Link, LinkError};

/// What was wrong with the first message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HelloError {
    /// The connection ended before it.
    #[error("the connection ended before `hello`")]
    Lost(#[from] LinkError),
    /// It was something else.
    #[error("`hello` was expected")]
    Unexpected(#[source] RpcError),
    /// There is no common version.
    #[error("the client speaks version {theirs}, this server {ours}")]
    Incompatible {
        /// What this server speaks.
        ours: VersionRange,
        /// What the client speaks.
        theirs: VersionRange,
    },
}

/// A first message as it should be.
#[derive(Debug)]
pub(super) struct Greeting {
    pub(super) agreed: Agreed,
    /// The client's name for it.
    pub(super) id: frame::Id,
    /// What to answer when the client is let in.
    pub(super) answer: String,
}

/// The answer that explains a failed greeting to the client.
pub(super) type Explanation = Option<(Option<frame::Id>, RpcError)>;

/// Waits for `hello` and works out the answer to it.
pub(super) async fn greet(
    link: &mut Link,
    ours: &Hello,
    max_depth: usize,
) -> Result<Greeting, (HelloError, Explanation)> {
    let text = link.receive().await.map_err(|lost| (lost.into(), None))?;
    let unexpected =
        |id, error: RpcError| (HelloError::Unexpected(error.clone()), Some((id, error)));
    let frame = Frame::parse(&text, max_depth).map_err(|bad| unexpected(bad.id, bad.error))?;
    let (id, params) = match frame {
        Frame::Request { id, method, params } if method == hello::METHOD => (id, params),
        Frame::Request { id, .. } => return Err(unexpected(Some(id), hello_expected())),
        Frame::Notification { .. } | Frame::Response { .. } => {
            return Err(unexpected(None, hello_expected()));
        }
    };
    let theirs: Hello = params
        .parse()
        .map_err(|error| unexpected(Some(id.clone()), error))?;
    let Some(protocol) = ours.protocol.agree(theirs.protocol) else {
        let (ours, theirs) = (ours.protocol, theirs.protocol);
        let error = hello::incompatible(ours, theirs);
        return Err((
            HelloError::Incompatible { ours, theirs },
            Some((Some(id), error)),
        ));
    };
    let answer = frame::response(&id, ours).expect("text and numbers always serialise");
    Ok(Greeting {
        agreed: Agreed {
            protocol,
            peer: theirs,
        },
        id,
        answer,
    })
}

fn hello_expected() -> RpcError {
    RpcError::new(code::HELLO_EXPECTED, "the first request must be `hello`")
}
