//! A launch order as a script for `runner.sh`, or why a shell cannot carry it out.
//!
//! Owns: the translation, and which orders are refused. Pure. A runner that cannot keep what an order asks for says so before
//! anything is started.

use std::ffi::{OsStr, OsString};

use service_shim::agent::protocol::{Failure, FailureKind};
use service_shim::protocol::StartFailure;
use service_shim::{LaunchSpec, RawString, StartFailureKind};

use super::shell::quoted;
use crate::quote::QuoteError;

/// A script that sets what `child` needs to know, and a function that becomes the program.
///
/// # Errors
/// [`StartFailure`]: the order asks for what no shell can do, or not this one.
pub(super) fn script(spec: &LaunchSpec, time_ns: u64) -> Result<OsString, StartFailure> {
    let refused = |kind, message: &str| {
        let message = format!("the sh runner there {message}");
        Err(StartFailure { kind, message })
    };
    if spec.user.is_some() || spec.group.is_some() {
        return refused(StartFailureKind::User, "cannot become another user");
    }
    if spec.notify {
        let message = "cannot hear of readiness by sd_notify";
        return refused(StartFailureKind::Order, message);
    }
    if spec.stdin {
        return refused(StartFailureKind::Order, "cannot pass input to a service");
    }
    for (name, _) in &spec.env {
        if !is_variable(name) {
            let message = format!("cannot set the variable `{name}`");
            return refused(StartFailureKind::Order, &message);
        }
    }
    let path = spec.env.iter().find(|(name, _)| name.as_bytes() == b"PATH");
    let path = path.map_or(OsStr::new("/usr/bin:/bin"), |(_, value)| value.as_os_str());
    let mut lines = Lines::default();
    let written = lines
        .set("log", spec.log.dir.as_os_str())
        .and_then(|lines| lines.set("attempt", spec.attempt.to_string()))
        .and_then(|lines| lines.set("grace", spec.stop.grace.as_millis().to_string()))
        .and_then(|lines| lines.set("instance", &spec.instance_id))
        .and_then(|lines| lines.set("keep", spec.log.max_segments.max(1).to_string()))
        .and_then(|lines| lines.set("time", time_ns.to_string()))
        .and_then(|lines| match &spec.cwd {
            Some(cwd) => lines.set("dir", cwd.as_os_str()),
            None => lines.set("dir", ""),
        })
        .and_then(|lines| lines.set("program", spec.program.as_os_str()))
        .and_then(|lines| lines.set("path", path))
        .and_then(|lines| lines.set("umask", format!("{:03o}", spec.umask)))
        .and_then(|lines| {
            let marker = (
                RawString::from("HARNESS_INSTANCE_ID"),
                RawString::from(&*spec.instance_id),
            );
            let env: Vec<_> = spec.env.iter().cloned().chain([marker]).collect();
            lines.becoming(&env, &spec.args)
        });
    match written {
        Ok(_) => Ok(lines.whole()),
        Err(error) => Err(StartFailure {
            kind: StartFailureKind::Order,
            message: error.to_string(),
        }),
    }
}

/// A script that becomes a command, once the function in it is called with the program.
///
/// # Errors
/// [`Failure`]: a shell cannot set one of its variables, or carry one of its words.
pub(super) fn command(
    argv: &[RawString],
    env: &[(RawString, RawString)],
    cwd: Option<&std::path::Path>,
) -> Result<OsString, Failure> {
    let failure = |message: String| Failure::new(FailureKind::Request, message);
    let Some((program, args)) = argv.split_first() else {
        return Err(failure("the command is empty".to_owned()));
    };
    if let Some((name, _)) = env.iter().find(|(name, _)| !is_variable(name)) {
        let message = format!("the sh runner there cannot set the variable `{name}`");
        return Err(failure(message));
    }
    let mut lines = Lines::default();
    let directory = cwd.map_or(OsStr::new(""), |cwd| cwd.as_os_str());
    let written = lines
        .set("dir", directory)
        .and_then(|lines| lines.set("program", program.as_os_str()))
        .and_then(|lines| lines.becoming(env, args));
    match written {
        Ok(_) => Ok(lines.whole()),
        Err(error) => Err(failure(error.to_string())),
    }
}

/// A script as it grows.
#[derive(Default)]
struct Lines(OsString);

impl Lines {
    fn set(&mut self, name: &str, value: impl AsRef<OsStr>) -> Result<&mut Self, QuoteError> {
        self.0.push(format!("order_{name}="));
        self.0.push(quoted(value.as_ref())?);
        self.0.push("\n");
        Ok(self)
    }

    fn becoming(
        &mut self,
        env: &[(RawString, RawString)],
        args: &[RawString],
    ) -> Result<&mut Self, QuoteError> {
        let mut words = OsString::new();
        for word in args {
            words.push(" ");
            words.push(quoted(word.as_os_str())?);
        }
        // Programs are found also where the environment has no PATH. What bash adds to every environment, `env` takes away:
        // but it would misread a program with a `=` in its name.
        self.0.push(
            "order_env=$(command -v env)\n\
             order_exec() {\n\
             case ${BASH_VERSION-}$1 in *=* | [!0-9]*) order_bash= ;; *) order_bash=yes ;; esac\n\
             unset PATH\n\
             PATH=/usr/local/bin:/usr/bin:/bin\n",
        );
        for (name, value) in env {
            self.0.push("export ");
            self.0.push(name.as_os_str());
            self.0.push("=");
            self.0.push(quoted(value.as_os_str())?);
            self.0.push("\n");
        }
        let is_ordered = env.iter().any(|(name, _)| name.as_bytes() == b"SHLVL");
        let level = if is_ordered { "" } else { " -u SHLVL" };
        self.0.push(format!(
            "if [ -n \"$order_bash\" ]; then exec \"$order_env\" -u _{level} \"$1\""
        ));
        self.0.push(&words);
        self.0.push("; fi\nexec \"$1\"");
        self.0.push(&words);
        self.0.push("\n}\n");
        Ok(self)
    }

    /// With the mark without which it is not believed to be all of it.
    fn whole(self) -> OsString {
        let mut script = self.0;
        script.push(": whole");
        script
    }
}

/// Whether a shell can set it, and takes it for nothing of its own.
fn is_variable(name: &RawString) -> bool {
    let bytes = name.as_bytes();
    let is_inside = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    bytes.iter().all(is_inside)
        && bytes.first().is_some_and(|first| !first.is_ascii_digit())
        && !OWN.iter().any(|own| own.as_bytes() == bytes)
        && !bytes.starts_with(b"order_")
}

/// What some shell lets nobody set, or reads as an order.
const OWN: [&str; 10] = [
    "BASHOPTS",
    "BASH_VERSINFO",
    "BASH_VERSION",
    "EUID",
    "IFS",
    "LINENO",
    "OPTIND",
    "PPID",
    "SHELLOPTS",
    "UID",
];

#[cfg(test)]
#[path = "order_tests.rs"]
mod tests;
