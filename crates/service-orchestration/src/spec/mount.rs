//! What is mounted into a container.
//!
//! Owns: the kinds of mounts, and the engine's short form of them.

use serde::{Deserialize, Serialize};

/// Something mounted into a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// What it is.
    pub kind: MountKind,
    /// Where it is seen inside.
    pub target: String,
    /// Whether nothing can be written to it.
    pub read_only: bool,
}

/// What is mounted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MountKind {
    /// A file or directory of the machine; relative ones to the stack's directory.
    Bind {
        /// Which.
        source: String,
        /// Whether a directory is made when nothing is there.
        create: bool,
        /// What becomes of mounts that are made below it later, on either side, in the engine's words ([`PROPAGATIONS`]);
        /// they stay where they are made when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        propagation: Option<String>,
    },
    /// A volume of the stack, which survives `down`: see [`StackSpec::volumes`](super::StackSpec::volumes).
    Volume {
        /// Its name in the stack file.
        name: String,
    },
    /// A volume without a name, gone with the container.
    Anonymous,
    /// Memory.
    Tmpfs {
        /// Its size in bytes; half of the machine's memory when absent.
        size: Option<u64>,
        /// Its permissions (`0o1777`).
        mode: Option<u32>,
        /// What else it is mounted with, in the kernel's words: `noexec`, `uid=1000`.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        options: Vec<String>,
    },
}

/// The words for what becomes of mounts below a bind.
pub const PROPAGATIONS: [&str; 6] = [
    "private", "rprivate", "shared", "rshared", "slave", "rslave",
];

/// The short form of a mount is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no mount: {reason}")]
pub struct MountError {
    text: String,
    reason: &'static str,
}

impl MountError {
    /// Why, as a fragment.
    pub fn reason(&self) -> &'static str {
        self.reason
    }
}

impl Mount {
    /// Reads the short form: `./data:/data`, `data:/data:ro`, `/data`.
    ///
    /// A source that begins with `/`, `.` or `~` is a path, another one a volume of the stack.
    ///
    /// # Errors
    /// [`MountError`] when it has no path inside, or an option that nothing acts on.
    pub fn parse(text: &str) -> Result<Self, MountError> {
        let refuse = |reason| {
            Err(MountError {
                text: text.to_owned(),
                reason,
            })
        };
        let parts: Vec<&str> = text.split(':').collect();
        let (source, target, options) = match parts[..] {
            [target] => (None, target, ""),
            [source, target] => (Some(source), target, ""),
            [source, target, options] => (Some(source), target, options),
            _ => return refuse("expected `source:path` or `source:path:ro`"),
        };
        if !target.starts_with('/') {
            return refuse("the path inside must begin with `/`");
        }
        let (mut read_only, mut passed_on) = (false, None);
        for option in options.split(',').filter(|option| !option.is_empty()) {
            match option {
                "ro" => read_only = true,
                // Labels of SELinux and hints for other systems change nothing here; `rw` is the default.
                "rw" | "z" | "Z" | "cached" | "delegated" | "consistent" => {}
                word if PROPAGATIONS.contains(&word) => passed_on = Some(word.to_owned()),
                _ => {
                    return refuse(
                        "of the options, `ro`, `rw` and `rslave` and the like are known",
                    );
                }
            }
        }
        let is_path = source.is_some_and(|source| source.starts_with(['/', '.', '~']));
        if passed_on.is_some() && !is_path {
            return refuse("only mounts of a directory are told what becomes of mounts below them");
        }
        let kind = match source {
            None => MountKind::Anonymous,
            Some("") => return refuse("the source is empty"),
            Some(path) if is_path => MountKind::Bind {
                source: path.to_owned(),
                create: true,
                propagation: passed_on,
            },
            Some(name) => MountKind::Volume {
                name: name.to_owned(),
            },
        };
        Ok(Self {
            kind,
            target: target.to_owned(),
            read_only,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_forms_are_taken_apart() {
        let bind = |source: &str| MountKind::Bind {
            source: source.into(),
            create: true,
            propagation: (source == "/").then(|| "rslave".into()),
        };
        let volume = |name: &str| MountKind::Volume { name: name.into() };
        for (text, kind, target, read_only) in [
            ("./a:/b", bind("./a"), "/b", false),
            ("/a:/b:ro", bind("/a"), "/b", true),
            ("/:/rootfs:ro,rslave", bind("/"), "/rootfs", true),
            ("~/a:/b:rw,z", bind("~/a"), "/b", false),
            ("data:/var/lib", volume("data"), "/var/lib", false),
            ("/var/lib", MountKind::Anonymous, "/var/lib", false),
        ] {
            let mount = Mount::parse(text).expect(text);
            let expected = Mount {
                kind,
                target: target.into(),
                read_only,
            };
            assert_eq!(mount, expected, "{text}");
        }
        for text in [
            "",
            "a",
            "a:b",
            ":/b",
            "a:/b:nocopy",
            "a:/b:rslave",
            "a:/b:ro:x",
            "./a:",
        ] {
            assert!(Mount::parse(text).is_err(), "{text}");
        }
    }
}
