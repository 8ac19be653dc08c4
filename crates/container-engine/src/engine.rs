//! The handle of an engine, and how a request gets there and back.
//!
//! Owns: the connections that are kept, the API version that was agreed upon, and the bounds. What can be asked for
//! stands in the modules named for it ([`crate::container`] and so on). Spawns nothing: an idle handle does nothing.

use std::ffi::OsString;
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use harness_http::{
    Address, BodyStream, Bytes, Connection, Excess, HttpError, Limits, Method, Response, Step,
    UpgradedStream, header::HeaderValue,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::address::{EngineAddress, Way};
use crate::attach::UPGRADE;
use crate::call::{Bound, Call};
use crate::dial::{self, Dial};
use crate::discovery::Discovery;
use crate::error::{EngineError, Object};
use crate::info::Capabilities;
use crate::refusal;
use crate::stdio::ProgramStream;
use crate::target::Target;
use crate::version::ApiVersion;

/// How long an engine may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// To connect.
    pub connect: Duration,
    /// To answer what it only has to look up.
    pub look: Duration,
    /// To change something. An engine under load takes many seconds for a start.
    pub change: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(20),
            look: Duration::from_secs(30),
            change: Duration::from_secs(180),
        }
    }
}

/// A container engine. Clones share their connections.
///
/// # Cancellation
/// Dropping the future of any request closes its connection. A request that only looks is then as if it had never been
/// made; whether one that changes something has been carried out is unknown until the engine is asked again.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

struct Shared {
    way: Way,
    /// What leads to an engine elsewhere.
    dial: Option<Arc<dyn Dial>>,
    timeouts: Timeouts,
    /// Connections that wait for their next request. Held for a push or a pop.
    idle: Mutex<Vec<Connection>>,
    /// What was agreed upon. Held for a read or a write.
    agreed: Mutex<Option<Agreed>>,
    opened: AtomicU64,
}

impl Engine {
    /// The engine that docker's own command line would talk to; podman's where there is no docker. Does not connect.
    ///
    /// # Errors
    /// [`EngineError::NoEngine`], [`EngineError::Address`], [`EngineError::Context`]
    pub fn discover(discovery: &Discovery) -> Result<Self, EngineError> {
        discovery.choose().map(Self::new)
    }

    /// The engine at a unix socket. Does not connect.
    #[must_use]
    pub fn at_socket(path: &Path) -> Self {
        Self::new(Way::socket(path))
    }

    /// The engine that a program leads to by its standard streams, such as `docker system dial-stdio`. One is started
    /// for each connection, so for each stream, and killed with it. Does not connect.
    #[must_use]
    pub fn over_stdio(program: impl Into<OsString>, args: Vec<OsString>) -> Self {
        Self::new(Way::stdio(program.into(), args))
    }

    /// The engine of this name, as messages call it, that such a way leads to; `cli` is the command line that leads to the same
    /// one, where there is any. Does not connect.
    #[must_use]
    pub fn over(name: impl Into<String>, cli: Vec<OsString>, dial: Arc<dyn Dial>) -> Self {
        let address = EngineAddress::Elsewhere { name: name.into() };
        Self::with(Way { address, cli }, Some(dial), Timeouts::default())
    }

    fn new(way: Way) -> Self {
        Self::with(way, None, Timeouts::default())
    }

    fn with(way: Way, dial: Option<Arc<dyn Dial>>, timeouts: Timeouts) -> Self {
        Self {
            shared: Arc::new(Shared {
                way,
                dial,
                timeouts,
                idle: Mutex::default(),
                agreed: Mutex::default(),
                opened: AtomicU64::new(0),
            }),
        }
    }

    /// The same engine with other bounds, and connections of its own.
    #[must_use]
    pub fn with_timeouts(&self, timeouts: Timeouts) -> Self {
        let dial = self.shared.dial.clone();
        Self::with(self.shared.way.clone(), dial, timeouts)
    }

    /// Where the engine is, for messages.
    #[must_use]
    pub fn address(&self) -> &EngineAddress {
        &self.shared.way.address
    }

    /// The command line that leads to the same engine, to be followed by a verb: `docker -H unix:///var/run/docker.sock`.
    /// For [`Engine::over_stdio`] it is the program with its arguments, without a final `system dial-stdio`; for [`Engine::over`] what
    /// was given.
    #[must_use]
    pub fn cli(&self) -> Vec<OsString> {
        self.shared.way.cli.clone()
    }

    /// How many connections this handle and its clones have opened so far.
    #[must_use]
    pub fn connections_opened(&self) -> u64 {
        self.shared.opened.load(Ordering::Relaxed)
    }

    /// Asks, and gives the answer's body.
    pub(crate) async fn ask(&self, call: &Call) -> Result<Bytes, EngineError> {
        let prefix = self.version().await?.prefix();
        let answer = self.exchange(call, &prefix).await?;
        self.accept(call, answer)
    }

    /// Asks, and reads the answer as JSON.
    pub(crate) async fn ask_json<T: DeserializeOwned>(
        &self,
        call: &Call,
    ) -> Result<T, EngineError> {
        let body = self.ask(call).await?;
        self.read(&body, call)
    }

    /// Asks for what comes bit by bit, over a connection of its own.
    pub(crate) async fn follow(&self, call: &Call) -> Result<BodyStream, EngineError> {
        let prefix = self.version().await?.prefix();
        let connection = self.connect().await?;
        let within = self.timeout(Bound::Change);
        let answer = connection
            .stream(call.request(&prefix), within)
            .await
            .map_err(|error| self.failure(error, call))?;
        if answer.status().is_success() {
            return Ok(answer.into_body());
        }
        let (head, body) = answer.into_parts();
        let body = refusal::beginning(body, self.timeout(Bound::Look)).await;
        Err(self.refused(call, &Response::from_parts(head, body)))
    }

    /// Asks for a connection to become something else than HTTP.
    pub(crate) async fn take_over(&self, call: &Call) -> Result<UpgradedStream, EngineError> {
        let prefix = self.version().await?.prefix();
        let connection = self.connect().await?;
        let mut request = call.request(&prefix);
        for (name, value) in UPGRADE {
            let value = HeaderValue::from_static(value);
            request.headers_mut().insert(name, value);
        }
        let taken = connection.upgrade(request, self.timeout(Bound::Change));
        let (_, stream) = taken.await.map_err(|error| self.failure(error, call))?;
        Ok(stream)
    }

    /// What both sides speak; asked for once, and again after an engine has changed its mind.
    pub(crate) async fn version(&self) -> Result<ApiVersion, EngineError> {
        self.agreed().await.map(|agreed| agreed.version)
    }

    /// What the engine does by itself, as far as it tells.
    ///
    /// # Errors
    /// [`EngineError::Unreachable`] and others, the first time; the answer is kept.
    pub async fn capabilities(&self) -> Result<Capabilities, EngineError> {
        self.agreed().await.map(|agreed| agreed.capabilities)
    }

    async fn agreed(&self) -> Result<Agreed, EngineError> {
        if let Some(agreed) = *lock(&self.shared.agreed) {
            return Ok(agreed);
        }
        let answer = self.ask_version().await?;
        let version = ApiVersion::agree(&answer.api_version, answer.min_api_version.as_deref());
        let version = version.ok_or_else(|| EngineError::Malformed {
            address: self.address().to_string(),
            object: Object::Engine,
            reason: format!(
                "it speaks API version {:.20}; 1.40 or later is needed: update the engine",
                answer.api_version
            ),
        })?;
        let agreed = Agreed {
            version,
            capabilities: Capabilities::of(answer.podman().is_some(), answer.newest()),
        };
        *lock(&self.shared.agreed) = Some(agreed);
        Ok(agreed)
    }

    pub(crate) async fn ask_version(&self) -> Result<VersionAnswer, EngineError> {
        let call = Call::get(Target::new(&["version"]), Object::Engine);
        let answer = self.exchange(&call, "").await?;
        let body = self.accept(&call, answer)?;
        self.read(&body, &call)
    }

    /// One request over a connection that is kept, else over a new one.
    async fn exchange(&self, call: &Call, prefix: &str) -> Result<Response<Bytes>, EngineError> {
        let limits = Limits {
            timeout: self.timeout(call.bound),
            max_body_bytes: MAX_ANSWER_BYTES,
            excess: Excess::Refuse,
        };
        while let Some(mut connection) = self.idle() {
            match connection.request(call.request(prefix), &limits).await {
                Ok(answer) => {
                    self.keep(connection);
                    return Ok(answer);
                }
                // Closed in the instant in which it was used. What only looks can be asked again.
                Err(HttpError::NoAnswer(_) | HttpError::Send(_) | HttpError::Spent)
                    if call.method == Method::GET => {}
                Err(error) => return Err(self.failure(error, call)),
            }
        }
        let mut connection = self.connect().await?;
        let answer = connection.request(call.request(prefix), &limits).await;
        let answer = answer.map_err(|error| self.failure(error, call))?;
        self.keep(connection);
        Ok(answer)
    }

    async fn connect(&self) -> Result<Connection, EngineError> {
        let within = self.shared.timeouts.connect;
        let opened = match self.address() {
            EngineAddress::Elsewhere { name } => {
                let dial = self.shared.dial.as_ref();
                let dial = dial.expect("an engine elsewhere comes with a way to it");
                dial::dialled(dial, name, within).await
            }
            EngineAddress::Unix(path) => {
                Connection::open(&Address::Unix(path.clone()), within).await
            }
            EngineAddress::Tcp { host, port } => {
                let (host, port) = (host.clone(), *port);
                Connection::open(&Address::Tcp { host, port }, within).await
            }
            EngineAddress::Stdio { program, args } => dial(program, args, within).await,
        };
        self.shared.opened.fetch_add(1, Ordering::Relaxed);
        opened.map_err(|source| self.unreachable(source))
    }

    /// A connection that the engine has not closed, as far as is known.
    fn idle(&self) -> Option<Connection> {
        loop {
            let mut connection = lock(&self.shared.idle).pop()?;
            if connection.is_open() {
                return Some(connection);
            }
        }
    }

    fn keep(&self, mut connection: Connection) {
        let most = match self.address() {
            EngineAddress::Unix(_)
            | EngineAddress::Tcp { .. }
            | EngineAddress::Elsewhere { .. } => MAX_IDLE_SOCKETS,
            // Each is a process, perhaps two and a login.
            EngineAddress::Stdio { .. } => 1,
        };
        let mut idle = lock(&self.shared.idle);
        if idle.len() < most && connection.is_open() {
            idle.push(connection);
        }
    }

    fn timeout(&self, bound: Bound) -> Duration {
        match bound {
            Bound::Look => self.shared.timeouts.look,
            Bound::Change => self.shared.timeouts.change,
            Bound::Endless => Duration::MAX,
        }
    }

    fn accept(&self, call: &Call, answer: Response<Bytes>) -> Result<Bytes, EngineError> {
        // 304 says that it is so already.
        if answer.status().is_success() || answer.status().as_u16() == 304 {
            Ok(answer.into_body())
        } else {
            Err(self.refused(call, &answer))
        }
    }

    fn refused(&self, call: &Call, answer: &Response<Bytes>) -> EngineError {
        let message = refusal::message(answer.body());
        // An engine that was replaced by another speaks another version.
        if message.contains("client version") {
            *lock(&self.shared.agreed) = None;
        }
        refusal::explain(&call.about, answer.status(), message)
    }

    pub(crate) fn read<T: DeserializeOwned>(
        &self,
        body: &[u8],
        call: &Call,
    ) -> Result<T, EngineError> {
        serde_json::from_slice(body)
            .map_err(|error| self.malformed(&call.about, refusal::json_reason(&error)))
    }

    pub(crate) fn malformed(&self, object: &Object, reason: String) -> EngineError {
        EngineError::Malformed {
            address: self.address().to_string(),
            object: object.clone(),
            reason,
        }
    }

    /// What an error of a request means.
    fn failure(&self, error: HttpError, call: &Call) -> EngineError {
        let object = call.about.clone();
        match error {
            HttpError::TimedOut {
                step: Step::Connect | Step::Resolve,
                ..
            } => self.unreachable(error),
            HttpError::TimedOut { within, .. } => EngineError::TimedOut { object, within },
            HttpError::Garbage(_) => self.malformed(&object, "it is not HTTP".to_owned()),
            HttpError::BodyTooLarge { limit } => {
                self.malformed(&object, format!("it is larger than {limit} bytes"))
            }
            source => self.lost(source, &object),
        }
    }

    pub(crate) fn lost(&self, source: HttpError, object: &Object) -> EngineError {
        EngineError::Lost {
            address: self.address().to_string(),
            object: object.clone(),
            source: Box::new(source),
        }
    }

    fn unreachable(&self, source: HttpError) -> EngineError {
        EngineError::Unreachable {
            address: self.address().to_string(),
            hint: refusal::hint(self.address(), &source),
            source: Box::new(source),
        }
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Engine({})", self.address())
    }
}

/// Starts the program and sees that the engine answers behind it: until then nothing is lost by its death.
async fn dial(
    program: &OsString,
    args: &[OsString],
    within: Duration,
) -> Result<Connection, HttpError> {
    let stream = ProgramStream::start(program, args).map_err(|source| HttpError::Connect {
        address: format!("`{}`", program.to_string_lossy()),
        source,
    })?;
    let mut connection = Connection::new(stream).await?;
    let limits = Limits {
        timeout: within,
        ..Limits::default()
    };
    let ping = Call::get(Target::new(&["_ping"]), Object::Engine);
    connection.request(ping.request(""), &limits).await?;
    Ok(connection)
}

/// What `/version` says.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct VersionAnswer {
    pub(crate) version: String,
    pub(crate) api_version: String,
    #[serde(rename = "MinAPIVersion")]
    pub(crate) min_api_version: Option<String>,
    #[serde(default, deserialize_with = "crate::json::null_is_default")]
    pub(crate) components: Vec<Component>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Component {
    pub(crate) name: String,
}

impl VersionAnswer {
    /// The newest version of the API that it speaks, as far as that can be read.
    fn newest(&self) -> Option<ApiVersion> {
        ApiVersion::parse(&self.api_version)
    }

    /// What podman calls itself, if that is what answers.
    pub(crate) fn podman(&self) -> Option<&str> {
        let mut names = self.components.iter().map(|component| &component.name);
        names
            .find(|name| name.contains("Podman"))
            .map(String::as_str)
    }
}

/// What the first answer of an engine settles.
#[derive(Clone, Copy)]
struct Agreed {
    version: ApiVersion,
    capabilities: Capabilities,
}

/// No code runs while it is held that could leave something half done.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// As many as a stack starts side by side, within reason; the rest are closed after their request.
const MAX_IDLE_SOCKETS: usize = 8;

/// A list of a thousand containers is 2 MB.
const MAX_ANSWER_BYTES: usize = 32 * 1024 * 1024;
