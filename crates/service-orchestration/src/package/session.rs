//! One deployment's conversation with a host.
//!
//! Owns: the process on the host that has the lock, for as long as the session lives. Dropped, or its connection lost, that process is
//! killed and the lock free.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_io::Timer;
use command_executor::agent::{AgentLink, HostLink, PutFile, RunningCommand, StreamError};
use command_executor::blocking::unblock;
use futures_lite::FutureExt;
use harness_package::About;
use harness_package::session::{Order, RefusalKind, Reply};
use harness_package::store::{Place, SlotName, Version};
use service_shim::RawString;
use service_shim::agent::record::Record;
use service_shim::log::Stream;

use super::archive::SignedPackage;
use super::error::DeployError;

/// A slot of a host that nobody else changes meanwhile.
#[derive(Debug)]
pub struct PackageSession {
    host: String,
    pub(super) link: AgentLink,
    command: RunningCommand,
    /// What came and is no whole line yet.
    heard: Vec<u8>,
    complaint: Vec<u8>,
    path: PathBuf,
    current: Option<Place>,
    versions: Vec<Version>,
}

/// A version that is on the host.
#[derive(Debug, Clone)]
pub struct Brought {
    /// Which.
    pub place: Place,
    /// Where its files are.
    pub directory: PathBuf,
    /// What it says of itself.
    pub about: About,
    /// Whether the archive had to be sent.
    pub was_sent: bool,
}

/// Another version is current.
#[derive(Debug, Clone)]
pub struct Switch {
    /// What was.
    pub from: Option<Place>,
    /// What is.
    pub to: Place,
    /// What it says of itself.
    pub about: About,
}

impl PackageSession {
    pub(super) async fn begin(
        host: &HostLink,
        root: &Path,
        slot: &SlotName,
        who: &str,
        quota: Option<u64>,
    ) -> Result<Self, DeployError> {
        let link = host.agent()?;
        let mut argv = link.hello().program.clone();
        if argv.is_empty() {
            return Err(DeployError::NoSession {
                host: host.name().to_owned(),
                words: "it is of an earlier version".to_owned(),
            });
        }
        let root = root.as_os_str().to_owned();
        argv.extend(["package", "session"].map(RawString::from));
        argv.push(RawString::from(root));
        argv.push(RawString::from(slot.as_str()));
        let lost = |source| DeployError::Lost {
            host: host.name().to_owned(),
            step: "opening a session",
            source,
        };
        let command = link
            .exec(argv, Vec::new(), None, None)
            .await
            .map_err(lost)?;
        let mut session = Self {
            host: host.name().to_owned(),
            link,
            command,
            heard: Vec::new(),
            complaint: Vec::new(),
            path: PathBuf::new(),
            current: None,
            versions: Vec::new(),
        };
        let who = who.to_owned();
        let step = "taking the lock";
        match session
            .ask(&Order::Open { who, quota }, step, SHORT)
            .await?
        {
            Reply::Opened {
                path,
                current,
                versions,
            } => {
                (session.path, session.current) = (path, current);
                session.versions = versions;
                Ok(session)
            }
            _ => Err(session.senseless(step)),
        }
    }

    /// The link of the current version's directory: what is to be run is below it, whichever it is.
    pub fn current_path(&self) -> PathBuf {
        self.path.join("current")
    }

    /// What was current when the session began, or after its last switch.
    pub fn current(&self) -> Option<&Place> {
        self.current.as_ref()
    }

    /// What was there when the session began.
    pub fn versions(&self) -> &[Version] {
        &self.versions
    }

    /// Has the package there, checked there and unpacked. It is sent only when it is not there; `progress` is told how many of its bytes
    /// were sent.
    ///
    /// # Errors
    /// [`DeployError`]; nothing of the package is there then but, perhaps, its archive.
    pub async fn bring(
        &mut self,
        package: &SignedPackage,
        progress: impl FnMut(u64),
    ) -> Result<Brought, DeployError> {
        let sha256 = package.sha256;
        let size = package.size;
        let step = "offering the package";
        let was_sent = match self
            .ask(&Order::Offer { sha256, size }, step, SHORT)
            .await?
        {
            Reply::Taken {
                place,
                directory,
                about,
            } => return self.brought(place, directory, &about, false),
            Reply::Uploaded => false,
            Reply::Wanted { path } => {
                self.send(package, &path, progress).await?;
                true
            }
            _ => return Err(self.senseless(step)),
        };
        let order = Order::Take {
            sha256,
            signature: package.signature.clone(),
            keys: vec![package.key.clone()],
        };
        let step = "checking and unpacking the package";
        match self.ask(&order, step, UNPACK).await? {
            Reply::Taken {
                place,
                directory,
                about,
            } => self.brought(place, directory, &about, was_sent),
            _ => Err(self.senseless(step)),
        }
    }

    /// Makes a version current.
    ///
    /// # Errors
    /// [`DeployError`]. When no answer came, either version may be current.
    pub async fn switch(&mut self, place: &Place) -> Result<Switch, DeployError> {
        let place = place.clone();
        self.switched(&Order::Switch { place }, "switching").await
    }

    /// Makes the version current that was so before.
    ///
    /// # Errors
    /// As [`PackageSession::switch`]; refused when there is none.
    pub async fn back(&mut self) -> Result<Switch, DeployError> {
        self.switched(&Order::Back, "going back").await
    }

    /// Removes all versions but so many of those that were current last, and never the current one.
    ///
    /// # Errors
    /// [`DeployError`].
    pub async fn prune(&mut self, keep: usize) -> Result<Vec<Place>, DeployError> {
        let step = "removing old versions";
        match self.ask(&Order::Prune { keep }, step, UNPACK).await? {
            Reply::Removed { places } => Ok(places),
            _ => Err(self.senseless(step)),
        }
    }

    /// Lets the lock go, and returns when it is free. Dropped instead, it is free soon.
    pub async fn close(mut self) {
        self.command.close_stdin();
        let ended = async {
            // However it ends, it has ended then, or its connection has.
            while !matches!(self.command.next().await, Ok(Record::Exit(_)) | Err(_)) {}
        };
        let late = async {
            Timer::after(CLOSE).await;
        };
        ended.or(late).await;
    }

    /// Keeps what a setup script said, on the host.
    pub(super) async fn keep_output(
        &mut self,
        place: &Place,
        output: &[u8],
    ) -> Result<(), DeployError> {
        let order = Order::KeepOutput {
            place: place.clone(),
            output: String::from_utf8_lossy(output).into_owned(),
        };
        let step = "keeping what the setup script said";
        match self.ask(&order, step, SHORT).await? {
            Reply::Done => Ok(()),
            _ => Err(self.senseless(step)),
        }
    }

    pub(super) fn host(&self) -> String {
        self.host.clone()
    }

    fn brought(
        &self,
        place: Place,
        directory: PathBuf,
        about: &str,
        was_sent: bool,
    ) -> Result<Brought, DeployError> {
        let about = self.about(about)?;
        Ok(Brought {
            place,
            directory,
            about,
            was_sent,
        })
    }

    fn about(&self, text: &str) -> Result<About, DeployError> {
        About::from_json(text).map_err(|_| self.senseless("what the package is"))
    }

    async fn switched(&mut self, order: &Order, step: &'static str) -> Result<Switch, DeployError> {
        match self.ask(order, step, SHORT).await? {
            Reply::Switched { from, to, about } => {
                self.current = Some(to.clone());
                let about = self.about(&about)?;
                Ok(Switch { from, to, about })
            }
            _ => Err(self.senseless(step)),
        }
    }

    async fn send(
        &self,
        package: &SignedPackage,
        to: &Path,
        progress: impl FnMut(u64),
    ) -> Result<(), DeployError> {
        let failed = |source| DeployError::Upload {
            host: self.host(),
            source,
        };
        let path = package.path.clone();
        // What is there now may be another file: the host checks the hash.
        let file = unblock(move || File::open(path)).await;
        let file = file.map_err(|error| failed(command_executor::agent::PutError::Read(error)))?;
        let sha256 = package.sha256.to_string();
        let order = PutFile {
            to,
            mode: 0o600,
            sha256: &sha256,
            size: package.size,
        };
        let put = self.link.put_file(order, file, progress);
        put.await.map_err(failed)
    }

    /// One order, and what the host answers.
    async fn ask(
        &mut self,
        order: &Order,
        step: &'static str,
        limit: Duration,
    ) -> Result<Reply, DeployError> {
        let mut line = serde_json::to_vec(order).map_err(|_| self.senseless(step))?;
        line.push(b'\n');
        let host = self.host();
        let asked = async {
            let written = self.command.write(&line).await;
            written.map_err(|source| self.lost(step, source))?;
            self.answer(step).await
        };
        let late = async {
            Timer::after(limit).await;
            Err(DeployError::Late { host, step, limit })
        };
        match asked.or(late).await? {
            Reply::Refused {
                kind: RefusalKind::Held,
                holder: Some(holder),
                ..
            } => Err(DeployError::Held {
                host: self.host(),
                holder,
            }),
            Reply::Refused { kind, message, .. } => Err(DeployError::Refused {
                host: self.host(),
                kind,
                message,
            }),
            reply => Ok(reply),
        }
    }

    async fn answer(&mut self, step: &'static str) -> Result<Reply, DeployError> {
        loop {
            if let Some(end) = self.heard.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.heard.drain(..=end).collect();
                return serde_json::from_slice(&line).map_err(|_| self.senseless(step));
            }
            let record = self.command.next().await;
            match record.map_err(|source| self.lost(step, source))? {
                Record::Output {
                    stream: Stream::Stdout,
                    bytes,
                    ..
                } if self.heard.len() < MOST_ANSWER => self.heard.extend_from_slice(&bytes),
                Record::Output {
                    stream: Stream::Stdout,
                    ..
                } => return Err(self.senseless(step)),
                Record::Output { bytes, .. } => {
                    let room = MOST_COMPLAINT.saturating_sub(self.complaint.len());
                    let kept = bytes.len().min(room);
                    self.complaint.extend_from_slice(&bytes[..kept]);
                }
                Record::Exit(_) => {
                    let words = String::from_utf8_lossy(&self.complaint);
                    return Err(DeployError::NoSession {
                        host: self.host(),
                        words: words.trim().replace('\n', ": "),
                    });
                }
                Record::Begin { .. } | Record::End { .. } | Record::Gap { .. } => {}
            }
        }
    }

    pub(super) fn lost(&self, step: &'static str, source: StreamError) -> DeployError {
        DeployError::Lost {
            host: self.host(),
            step,
            source,
        }
    }

    fn senseless(&self, step: &'static str) -> DeployError {
        DeployError::Senseless {
            host: self.host(),
            step,
        }
    }
}

/// For what the host does at once; its disk may be busy.
const SHORT: Duration = Duration::from_secs(60);

/// For reading two gigabytes three times and writing them once, on a slow disk.
const UNPACK: Duration = Duration::from_secs(30 * 60);

/// It has nothing to do any more; after this it is killed.
const CLOSE: Duration = Duration::from_secs(10);

/// A list of versions takes a few hundred bytes each, and what a package says of itself no more than its manifest.
const MOST_ANSWER: usize = 64 << 20;
const MOST_COMPLAINT: usize = 4 << 10;
