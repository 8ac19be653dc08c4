//! An engine that does as it is told.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_net::unix::{UnixListener, UnixStream};
use container_engine::{Engine, EngineError, Timeouts};
use futures::{FutureExt, StreamExt};
use harness_http::{Body, Bytes, Request, Response, ServerLimits, serve_connection};

/// A directory with a socket in it.
pub(crate) struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { directory }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("engine.sock")
    }

    pub(crate) fn listen(&self) -> UnixListener {
        drop(std::fs::remove_file(self.socket()));
        UnixListener::bind(self.socket()).unwrap()
    }

    pub(crate) fn engine(&self) -> Engine {
        impatient(&self.socket())
    }
}

/// A handle that gives up early.
fn impatient(socket: &Path) -> Engine {
    let within = Duration::from_millis(300);
    Engine::at_socket(socket).with_timeouts(Timeouts {
        connect: within,
        look: within,
        change: within,
    })
}

pub(crate) fn run<T>(work: impl Future<Output = T>) -> T {
    let too_late = async {
        async_io::Timer::after(Duration::from_secs(20)).await;
        panic!("not done within twenty seconds")
    };
    smol::block_on(smol::future::or(work, too_late))
}

/// Does `work` beside an engine that answers requests by `answer`, and says which version it speaks; counts connections.
pub(crate) fn beside_engine<T>(
    answer: impl AsyncFn(&Request<Bytes>) -> Response<Body>,
    work: impl AsyncFnOnce(Engine, &Cell<u32>) -> T,
) -> T {
    let place = Place::new();
    let listener = place.listen();
    let connections = Cell::new(0);
    run(async {
        let serving = serve(&listener, &connections, &answer);
        let working = work(place.engine(), &connections);
        futures::select_biased! {
            done = working.boxed_local().fuse() => done,
            () = serving.boxed_local().fuse() => unreachable!("it listens for ever"),
        }
    })
}

pub(crate) async fn serve(
    listener: &UnixListener,
    connections: &Cell<u32>,
    answer: &impl AsyncFn(&Request<Bytes>) -> Response<Body>,
) {
    let one = async |stream: std::io::Result<UnixStream>| {
        connections.set(connections.get() + 1);
        let respond = async |request: Request<Bytes>| match request.uri().path() {
            "/version" => version("1.41", "1.12"),
            _ => answer(&request).await,
        };
        // A client that gives up is what many tests are about.
        drop(serve_connection(stream.unwrap(), &ServerLimits::default(), respond).await);
    };
    listener.incoming().for_each_concurrent(None, one).await;
}

pub(crate) fn version(newest: &str, oldest: &str) -> Response<Body> {
    let text = format!(r#"{{"Version":"1","ApiVersion":"{newest}","MinAPIVersion":"{oldest}"}}"#);
    Response::new(Body::from(text))
}

pub(crate) fn says(status: u16, text: &str) -> Response<Body> {
    let body = Body::from(text.to_owned());
    Response::builder().status(status).body(body).unwrap()
}

/// The error with all that it comes from.
pub(crate) fn chain(error: &EngineError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
