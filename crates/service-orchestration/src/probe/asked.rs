//! A question that is ready to be asked.
//!
//! Owns: the turn from what the stack file says to plain values, and what is refused then. Never asks.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use regex::bytes::Regex;

use super::command::Program;
use super::dial::FarPort;
use super::http::HttpQuestion;
use super::inside::{InsideProgram, OwnProbe};
use super::pushed::{Awaited, Bell, Latch};
use super::tcp::TcpQuestion;
use super::{CustomProbe, Rule};
use crate::executors::{AttemptControl, OwnCheck};
use crate::spec::{Placeholder, Probe, ProbeAction, Template};

/// From where the questions about one attempt are asked.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The whole environment of a command; nothing is inherited.
    pub env: BTreeMap<String, String>,
    /// Where a command runs.
    pub working_dir: PathBuf,
    /// What a program with a slash in it is relative to: the stack's directory.
    pub directory: PathBuf,
    /// The user that a command runs as, by number; our own when absent.
    pub user: Option<u32>,
    /// The group that a command runs as, by number; our own when absent.
    pub group: Option<u32>,
    /// Where the unit listens, for questions that name no host.
    pub address: IpAddr,
    /// Where its ports are reached, by their numbers as it knows them itself, where that is somewhere else.
    pub reached: BTreeMap<u16, SocketAddr>,
    /// Where its other ports are reached, where that is somewhere else.
    pub elsewhere: Option<IpAddr>,
    /// The attempt, when its ports are reached from its own host only.
    pub dialer: Option<Arc<dyn AttemptControl>>,
    /// Where its own host reaches its ports.
    pub there: IpAddr,
    /// The attempt, when commands are run inside of it and not here.
    pub inside: Option<Arc<dyn AttemptControl>>,
    /// How the check is had that the attempt has of its own.
    pub own_check: Option<OwnCheck>,
    /// The identity of the attempt that is asked, by which [`Prober::sweep`](super::Prober::sweep) finds the programs
    /// of its questions again; none: nobody but this process will look for them.
    pub instance_id: Option<String>,
}

impl Default for Surroundings {
    /// Nothing in the environment, the root directory, our own user, 127.0.0.1, no attempt.
    fn default() -> Self {
        Self {
            env: BTreeMap::new(),
            working_dir: PathBuf::from("/"),
            directory: PathBuf::from("/"),
            user: None,
            group: None,
            address: Ipv4Addr::LOCALHOST.into(),
            reached: BTreeMap::new(),
            elsewhere: None,
            dialer: None,
            there: IpAddr::V4(Ipv4Addr::LOCALHOST),
            inside: None,
            own_check: None,
            instance_id: None,
        }
    }
}

impl Surroundings {
    /// Where a port of the unit itself is reached from here, when that is not where the unit would ask for it.
    pub(super) fn way(&self, host: Option<&str>, port: u16) -> Option<SocketAddr> {
        let declared = self.reached.get(&port).copied();
        let way = declared.or(self.elsewhere.map(|ip| SocketAddr::new(ip, port)));
        way.filter(|_| self.is_own(host))
    }

    /// Whether the unit itself is meant.
    pub(super) fn is_own(&self, host: Option<&str>) -> bool {
        match host {
            None | Some("localhost") => true,
            Some(host) => host.parse().is_ok_and(|ip: IpAddr| {
                ip.is_loopback() || ip.is_unspecified() || ip == self.address
            }),
        }
    }
}

/// Why a probe cannot be asked at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrepareError<E: std::error::Error + 'static> {
    /// A reference has no value (yet).
    #[error("a reference in the probe has no value")]
    Reference(#[source] E),
    /// This kind of probe cannot be run here.
    #[error("a `{kind}` probe cannot be run: {reason}")]
    Unsupported {
        /// The kind, as the stack file spells it.
        kind: &'static str,
        /// Why.
        reason: &'static str,
    },
    /// A command without a program.
    #[error("the probe's command is empty")]
    EmptyCommand,
    /// Not a regular expression.
    #[error("`{pattern}` is no regular expression")]
    Pattern {
        /// As written.
        pattern: String,
        /// What is wrong with it.
        #[source]
        source: regex::Error,
    },
    /// Not a port.
    #[error("`{0}` is no port: 1 to 65535")]
    Port(String),
    /// Not a URL that can be asked.
    #[error("the probe's URL cannot be asked")]
    Url(#[source] harness_http::HttpError),
    /// Not the path of a URL.
    #[error("`{0}` is no path that can be asked for")]
    Path(String),
    /// A header's name or value has a character that cannot stand in one.
    #[error("the header `{0}` cannot be sent")]
    Header(String),
}

/// A probe of one attempt: every reference has its value.
#[derive(Clone, Debug)]
pub struct Asked {
    pub(crate) question: Question,
    pub(crate) rule: Rule,
}

#[derive(Clone)]
pub(crate) enum Question {
    Command(Program),
    Http(HttpQuestion),
    Tcp(TcpQuestion),
    Pushed(Awaited),
    Own(OwnProbe, Arc<Bell>),
    Custom(Arc<dyn CustomProbe>),
}

impl Asked {
    /// The probe with every reference and every secret replaced by what `resolve` answers.
    ///
    /// # Errors
    /// [`PrepareError`]; asking again and again would not help then.
    pub fn prepare<E: std::error::Error + 'static>(
        probe: &Probe,
        from: &Surroundings,
        mut resolve: impl FnMut(Placeholder<'_>) -> Result<String, E>,
    ) -> Result<Self, PrepareError<E>> {
        let mut text = |template: &Template| {
            template
                .resolve(&mut resolve)
                .map_err(PrepareError::Reference)
        };
        let question = match &probe.action {
            ProbeAction::Command { command } => {
                let words = command
                    .iter()
                    .map(&mut text)
                    .collect::<Result<Vec<_>, _>>()?;
                if words.is_empty() {
                    return Err(PrepareError::EmptyCommand);
                }
                if let Some(control) = &from.inside {
                    return Ok(Self::custom(
                        Arc::new(InsideProgram {
                            control: Arc::clone(control),
                            words,
                            env: from.env.clone(),
                            timeout: probe.timeout,
                        }),
                        Rule::from(probe),
                    ));
                }
                let program = Program::new(words, from).ok_or(PrepareError::EmptyCommand)?;
                Question::Command(program)
            }
            ProbeAction::Http {
                url,
                status,
                headers,
            } => {
                let url = text(url)?;
                let headers = headers
                    .iter()
                    .map(|(name, value)| Ok((name.clone(), text(value)?)))
                    .collect::<Result<_, _>>()?;
                Question::Http(HttpQuestion::new(&url, status.clone(), headers)?.by(from))
            }
            ProbeAction::Tcp { host, port } => {
                let host = host.as_ref().map(&mut text).transpose()?;
                let port = text(port)?;
                let number = port.parse().ok().filter(|port| *port != 0);
                let number = number.ok_or(PrepareError::Port(port))?;
                let far = FarPort::of(from, host.as_deref(), number);
                Question::Tcp(match from.way(host.as_deref(), number) {
                    Some(way) => TcpQuestion {
                        host: way.ip().to_string(),
                        port: way.port(),
                        far: None,
                    },
                    None => TcpQuestion {
                        host: host.unwrap_or_else(|| from.address.to_string()),
                        port: number,
                        far,
                    },
                })
            }
            ProbeAction::Log { pattern } => {
                let regex = Regex::new(pattern).map_err(|source| PrepareError::Pattern {
                    pattern: pattern.clone(),
                    source,
                })?;
                Question::Pushed(Awaited::Line(Arc::new((regex, Latch::default()))))
            }
            ProbeAction::Notify => Question::Pushed(Awaited::Notification(Arc::default())),
            ProbeAction::Container => match &from.inside {
                Some(control) => Question::Own(OwnProbe(Arc::clone(control)), Arc::default()),
                None => {
                    return Err(PrepareError::Unsupported {
                        kind: "container",
                        reason: "it does not run in a container",
                    });
                }
            },
        };
        let rule = Rule {
            is_counted: matches!(question, Question::Own(..))
                && from.own_check == Some(OwnCheck::Told),
            ..Rule::from(probe)
        };
        Ok(Self { question, rule })
    }

    /// A question of the embedding program, counted by this rule.
    pub fn custom(probe: Arc<dyn CustomProbe>, rule: Rule) -> Self {
        Self {
            question: Question::Custom(probe),
            rule,
        }
    }

    /// How it is counted.
    pub fn rule(&self) -> &Rule {
        &self.rule
    }

    /// What it waits for, when the answer comes by itself.
    pub(crate) fn awaited(&self) -> Option<&Awaited> {
        match &self.question {
            Question::Pushed(awaited) => Some(awaited),
            Question::Command(_)
            | Question::Http(_)
            | Question::Tcp(_)
            | Question::Own(..)
            | Question::Custom(_) => None,
        }
    }

    /// What rings when there is another answer than before, where somebody tells.
    pub(crate) fn bell(&self) -> Option<&Arc<Bell>> {
        match &self.question {
            Question::Own(_, bell) => Some(bell),
            Question::Command(_)
            | Question::Http(_)
            | Question::Tcp(_)
            | Question::Pushed(_)
            | Question::Custom(_) => None,
        }
    }
}

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(program) => program.fmt(f),
            Self::Http(http) => http.fmt(f),
            Self::Tcp(tcp) => tcp.fmt(f),
            Self::Pushed(awaited) => awaited.fmt(f),
            Self::Own(..) => f.write_str("its own check"),
            Self::Custom(_) => f.write_str("custom probe"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_containers_ports_are_asked_where_they_are_reached_from_here() {
        let from = Surroundings {
            reached: [(5432, SocketAddr::from(([127, 0, 0, 1], 41000)))].into(),
            elsewhere: Some(IpAddr::from([172, 18, 0, 2])),
            ..Surroundings::default()
        };
        let way = |host, port| from.way(host, port).map(|way| way.to_string());
        for host in [None, Some("localhost"), Some("127.0.0.1"), Some("0.0.0.0")] {
            assert_eq!(
                way(host, 5432).as_deref(),
                Some("127.0.0.1:41000"),
                "{host:?}"
            );
            assert_eq!(way(host, 80).as_deref(), Some("172.18.0.2:80"), "{host:?}");
        }
        assert_eq!(way(Some("10.0.0.1"), 5432), None);
        assert_eq!(Surroundings::default().way(None, 80), None);
    }
}
