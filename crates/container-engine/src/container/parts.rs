//! Ports, mounts, checks: what a container's definition is put together from.
//!
//! Owns: the types and how ports are written.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

/// What a port speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        })
    }
}

/// A port inside a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerPort {
    /// The number.
    pub port: u16,
    /// What it speaks.
    pub protocol: Protocol,
}

impl ContainerPort {
    /// A TCP port.
    #[must_use]
    pub fn tcp(port: u16) -> Self {
        Self {
            port,
            protocol: Protocol::Tcp,
        }
    }
}

impl fmt::Display for ContainerPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.port, self.protocol)
    }
}

/// The text is no `port`, `port/tcp`, `port/udp` or `port/sctp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a port is a number up to 65535, perhaps followed by /tcp, /udp or /sctp")]
pub struct NotAPort;

impl FromStr for ContainerPort {
    type Err = NotAPort;

    fn from_str(text: &str) -> Result<Self, NotAPort> {
        let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let protocol = match protocol {
            "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            "sctp" => Protocol::Sctp,
            _ => return Err(NotAPort),
        };
        let port = port.parse().map_err(|_| NotAPort)?;
        Ok(Self { port, protocol })
    }
}

/// A port that is reached at the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublishedPort {
    /// The port inside.
    pub container: ContainerPort,
    /// At which of the host's addresses; `None`: all.
    pub host_ip: Option<IpAddr>,
    /// At which port; `None`: a free one, which the engine chooses anew with every start.
    pub host_port: Option<u16>,
}

/// Something from elsewhere, at a place inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// What.
    pub source: MountSource,
    /// The path inside.
    pub target: String,
    /// It cannot be written to.
    pub read_only: bool,
}

/// Where a mount comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MountSource {
    /// A path of the engine's host.
    Bind {
        /// The absolute path.
        path: String,
        /// The engine makes a directory of it where nothing is. With this, or `relabel`, the path must hold no `:`.
        create: bool,
        /// Who may use it where SELinux rules.
        relabel: Option<Relabel>,
        /// What is mounted below later: `rprivate` (the default), `rshared`, `rslave` …
        propagation: Option<String>,
    },
    /// A volume.
    Volume {
        /// Its name; `None`: one of its own, which goes with the container if asked.
        name: Option<String>,
        /// What the image has at the place is not copied into a new volume.
        no_copy: bool,
        /// How a volume that is not there yet is made: `None` is `local`.
        driver: Option<String>,
        /// Options of that driver.
        options: BTreeMap<String, String>,
    },
    /// Memory, gone with the container's end.
    Tmpfs {
        /// At most.
        size_bytes: Option<u64>,
        /// As for `chmod`.
        mode: Option<u32>,
        /// What else it is mounted with, in the kernel's words: `noexec`, `uid=1000`.
        options: Vec<String>,
    },
}

impl MountSource {
    /// A path that has to be there.
    pub fn bind(path: impl Into<String>) -> Self {
        Self::Bind {
            path: path.into(),
            create: false,
            relabel: None,
            propagation: None,
        }
    }

    /// A volume by name, made by the engine where it is not there.
    pub fn volume(name: impl Into<String>) -> Self {
        Self::Volume {
            name: Some(name.into()),
            no_copy: false,
            driver: None,
            options: BTreeMap::new(),
        }
    }
}

/// SELinux's label of a bind mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relabel {
    /// For all containers (`z`).
    Shared,
    /// For this one (`Z`).
    Private,
}

/// A limit of each process, as `ulimit` sets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ulimit {
    /// `nofile`, `nproc`, `memlock` …
    pub name: String,
    /// What holds; -1: none.
    pub soft: i64,
    /// Up to which it can be raised.
    pub hard: i64,
}

/// A device of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its path at the host.
    pub host_path: String,
    /// Its path inside.
    pub container_path: String,
    /// Some of `r`, `w`, `m` (make nodes).
    pub permissions: String,
}

/// How the engine finds out whether the container is well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// What is run.
    pub test: HealthTest,
    /// Between two runs; `None`: the image's, else 30 s.
    pub interval: Option<Duration>,
    /// For one run; `None`: the image's, else 30 s.
    pub timeout: Option<Duration>,
    /// During which failures do not count; `None`: the image's, else 0 s.
    pub start_period: Option<Duration>,
    /// How many failures in a row; `None`: the image's, else 3.
    pub retries: Option<u32>,
}

impl HealthCheck {
    /// None, also where the image has one.
    #[must_use]
    pub fn off() -> Self {
        Self {
            test: HealthTest::Off,
            interval: None,
            timeout: None,
            start_period: None,
            retries: None,
        }
    }
}

/// What a health check runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HealthTest {
    /// The image's own.
    Image,
    /// Nothing: the image's own is switched off.
    Off,
    /// A program and its arguments.
    Command(Vec<String>),
    /// A line for the container's `/bin/sh`.
    Shell(String),
}

impl HealthTest {
    /// As the engine writes it.
    pub(crate) fn words(&self) -> Vec<String> {
        match self {
            Self::Image => vec![],
            Self::Off => vec!["NONE".to_owned()],
            Self::Command(words) => {
                let words = words.iter().cloned();
                std::iter::once("CMD".to_owned()).chain(words).collect()
            }
            Self::Shell(line) => vec!["CMD-SHELL".to_owned(), line.clone()],
        }
    }

    /// From what the engine writes.
    pub(crate) fn from_words(words: Vec<String>) -> Self {
        let mut rest = words.into_iter();
        match rest.next().as_deref() {
            None => Self::Image,
            Some("NONE") => Self::Off,
            Some("CMD-SHELL") => Self::Shell(rest.collect::<Vec<_>>().join(" ")),
            Some(_) => Self::Command(rest.collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_as_they_are_written() {
        for text in ["80/tcp", "53/udp", "9/sctp"] {
            let port: ContainerPort = text.parse().expect(text);
            assert_eq!(port.to_string(), text);
        }
        assert_eq!("80".parse(), Ok(ContainerPort::tcp(80)));
        for text in ["", "x", "80/", "80/icmp", "65536", "-1/tcp", "80-81/tcp"] {
            assert_eq!(text.parse::<ContainerPort>(), Err(NotAPort), "{text}");
        }
    }

    #[test]
    fn checks_are_read_as_they_are_written() {
        for test in [
            HealthTest::Image,
            HealthTest::Off,
            HealthTest::Command(vec!["pg_isready".to_owned(), "-q".to_owned()]),
            HealthTest::Shell("exit 0".to_owned()),
        ] {
            assert_eq!(HealthTest::from_words(test.words()), test);
        }
    }
}
