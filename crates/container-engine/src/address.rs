//! Where an engine is, and which command line leads to the same one.
//!
//! Owns: which addresses are usable, and why the others are not. Never connects.

use std::ffi::OsString;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use crate::error::EngineError;

/// Where an engine listens, or what leads to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineAddress {
    /// A unix socket on this machine.
    Unix(PathBuf),
    /// A port of this machine's loopback.
    Tcp {
        /// The address or `localhost`.
        host: String,
        /// The port.
        port: u16,
    },
    /// A program whose standard streams lead there; one is run for each connection.
    Stdio {
        /// The program.
        program: OsString,
        /// Its arguments.
        args: Vec<OsString>,
    },
    /// Where only the caller knows how to get to.
    Elsewhere {
        /// What that is called in messages.
        name: String,
    },
}

impl fmt::Display for EngineAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp { host, port } if host.contains(':') => write!(f, "tcp://[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "tcp://{host}:{port}"),
            Self::Stdio { program, args } => {
                write!(f, "`{}", program.to_string_lossy())?;
                for arg in args {
                    write!(f, " {}", arg.to_string_lossy())?;
                }
                f.write_str("`")
            }
            Self::Elsewhere { name } => f.write_str(name),
        }
    }
}

/// Whose command line goes with an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavour {
    Docker,
    Podman,
}

impl Flavour {
    pub(crate) fn program(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
        }
    }

    /// The option that names an address.
    fn option(self) -> &'static str {
        match self {
            Self::Docker => "-H",
            Self::Podman => "--url",
        }
    }

    /// That of a socket, by where it lies.
    pub(crate) fn of_socket(path: &Path) -> Self {
        if path.ends_with("podman.sock") {
            Self::Podman
        } else {
            Self::Docker
        }
    }
}

/// An address, and the command line that goes with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) address: EngineAddress,
    pub(crate) cli: Vec<OsString>,
}

impl Way {
    pub(crate) fn socket(path: &Path) -> Self {
        Self::plain(
            EngineAddress::Unix(path.to_owned()),
            Flavour::of_socket(path),
        )
    }

    pub(crate) fn stdio(program: OsString, args: Vec<OsString>) -> Self {
        let mut cli = vec![program.clone()];
        cli.extend(args.iter().cloned());
        if cli.ends_with(&DIAL.map(OsString::from)) {
            cli.truncate(cli.len() - DIAL.len());
        }
        Self {
            address: EngineAddress::Stdio { program, args },
            cli,
        }
    }

    fn plain(address: EngineAddress, flavour: Flavour) -> Self {
        let words = [flavour.program(), flavour.option()];
        let mut cli: Vec<OsString> = words.map(OsString::from).into();
        cli.push(address.to_string().into());
        Self { address, cli }
    }

    /// Reads what DOCKER_HOST and contexts hold. `origin` says where it stood.
    pub(crate) fn parse(text: &str, origin: &str, flavour: Flavour) -> Result<Self, EngineError> {
        let refused = |reason| EngineError::Address {
            address: without_user(text),
            origin: origin.to_owned(),
            reason,
        };
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(refused(
                "it must begin with unix://, ssh:// or tcp://, as in unix:///var/run/docker.sock",
            ));
        };
        match scheme {
            "unix" if rest.starts_with('/') => {
                Ok(Self::plain(EngineAddress::Unix(rest.into()), flavour))
            }
            "unix" => Err(refused(
                "the path of the socket must be absolute, as in unix:///var/run/docker.sock",
            )),
            "tcp" | "http" => {
                let (host, port) = host_and_port(rest).ok_or_else(|| {
                    refused("it must be a host and a port, as in tcp://127.0.0.1:2375")
                })?;
                let address = host.parse::<IpAddr>();
                if host != "localhost" && !address.is_ok_and(|address| address.is_loopback()) {
                    return Err(refused(
                        "an engine elsewhere is not reached over bare TCP: whoever reaches that port is root there; use ssh://USER@HOST",
                    ));
                }
                Ok(Self::plain(EngineAddress::Tcp { host, port }, flavour))
            }
            "ssh" => Self::ssh(text, rest, flavour).map_err(refused),
            _ => Err(refused(
                "only unix://, ssh:// and tcp:// on loopback are spoken",
            )),
        }
    }

    fn ssh(text: &str, rest: &str, flavour: Flavour) -> Result<Self, &'static str> {
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let (user, place) = match authority.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, authority),
        };
        if user.is_some_and(|user| user.contains(':')) {
            return Err("a password does not belong there: use a key");
        }
        let (host, port) = match host_and_port(place) {
            Some((host, port)) => (host, Some(port)),
            None => (place.trim_matches(['[', ']']).to_owned(), None),
        };
        // What ssh gets is a command line on the other side, and its own options begin with a dash.
        let is_word = |text: &str| {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@%".contains(&byte);
            !text.is_empty() && !text.starts_with('-') && text.bytes().all(fits)
        };
        if !is_word(&host) || user.is_some_and(|user| !is_word(user)) {
            return Err("it must be a user and a host, as in ssh://me@build-host");
        }
        let mut args = vec!["-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=15"];
        let port = port.map(|port| port.to_string());
        args.extend(user.into_iter().flat_map(|user| ["-l", user]));
        args.extend(port.iter().flat_map(|port| ["-p", port]));
        args.extend(["--", &host, flavour.program()]);
        let url;
        if !matches!(path, "" | "/") {
            if !is_word(path) {
                return Err("the path of the socket holds characters that a shell would read");
            }
            url = format!("unix://{path}");
            args.extend([flavour.option(), &url]);
        }
        args.extend(DIAL);
        Ok(Self {
            address: EngineAddress::Stdio {
                program: "ssh".into(),
                args: args.into_iter().map(OsString::from).collect(),
            },
            cli: [flavour.program(), flavour.option(), text]
                .map(OsString::from)
                .into(),
        })
    }
}

fn host_and_port(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.trim_end_matches('/').rsplit_once(':')?;
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let host = match bare {
        Some(address) => address,
        None if host.contains(':') => return None,
        None => host,
    };
    (!host.is_empty()).then_some(())?;
    Some((host.to_owned(), port.parse().ok()?))
}

/// An address as it may be shown.
fn without_user(text: &str) -> String {
    match (text.find("://"), text.rfind('@')) {
        (Some(scheme), Some(at)) if at > scheme => {
            format!("{}://…{}", &text[..scheme], &text[at..])
        }
        _ => text.to_owned(),
    }
}

/// The command that joins the engine's socket with its standard streams.
const DIAL: [&str; 2] = ["system", "dial-stdio"];

#[cfg(test)]
mod tests {
    use super::*;

    fn way(text: &str) -> Way {
        Way::parse(text, "a test", Flavour::Docker).unwrap_or_else(|error| panic!("{error}"))
    }

    fn shown(way: &Way) -> (String, String) {
        let cli: Vec<_> = way.cli.iter().map(|word| word.to_string_lossy()).collect();
        (way.address.to_string(), cli.join(" "))
    }

    fn expect(text: &str, address: &str, cli: &str) {
        assert_eq!(shown(&way(text)), (address.to_owned(), cli.to_owned()));
    }

    #[test]
    fn addresses_come_with_the_command_line_that_leads_to_the_same_engine() {
        expect(
            "unix:///run/x.sock",
            "unix:///run/x.sock",
            "docker -H unix:///run/x.sock",
        );
        expect(
            "tcp://[::1]:2375",
            "tcp://[::1]:2375",
            "docker -H tcp://[::1]:2375",
        );
        expect(
            "tcp://localhost:2375/",
            "tcp://localhost:2375",
            "docker -H tcp://localhost:2375",
        );
        expect(
            "ssh://me@host:2222",
            "`ssh -T -o BatchMode=yes -o ConnectTimeout=15 -l me -p 2222 -- host docker system dial-stdio`",
            "docker -H ssh://me@host:2222",
        );
        let podman = Way::parse("ssh://host/run/p.sock", "a test", Flavour::Podman);
        let (address, cli) = shown(&podman.expect("usable"));
        assert!(
            address.ends_with("-- host podman --url unix:///run/p.sock system dial-stdio`"),
            "{address}"
        );
        assert_eq!(cli, "podman --url ssh://host/run/p.sock");
        assert_eq!(
            shown(&Way::socket(Path::new("/run/podman/podman.sock"))).1,
            "podman --url unix:///run/podman/podman.sock"
        );
        let dialled = Way::stdio(
            "docker".into(),
            ["-c", "far", "system", "dial-stdio"]
                .map(OsString::from)
                .into(),
        );
        assert_eq!(shown(&dialled).1, "docker -c far");
    }

    #[test]
    fn unusable_addresses_say_what_would_do_and_show_no_password() {
        for text in [
            "/var/run/docker.sock",
            "unix://docker.sock",
            "tcp://127.0.0.1",
            "tcp://10.0.0.1:2375",
            "tcp://engine.example:2375",
            "npipe:////./pipe/docker_engine",
            "fd://",
            "ssh://me:geheim@host",
            "ssh://-oProxyCommand=x",
            "ssh://host/$(touch x)",
            "ssh://",
            "tcp://me:geheim@10.0.0.1:2375",
        ] {
            let error = Way::parse(text, "DOCKER_HOST", Flavour::Docker).expect_err(text);
            assert!(matches!(error, EngineError::Address { .. }), "{text}");
            assert!(!error.to_string().contains("geheim"), "{error}");
            assert!(error.to_string().contains("DOCKER_HOST"), "{error}");
        }
    }
}
