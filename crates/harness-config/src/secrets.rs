//! Reads what secrets hold: files, variables, and what programs print.
//!
//! Owns: what counts as a value, and what is said about a source that gives none. Runs as whoever asks, with their rights
//! and nobody else's. Never shows a value, in whole or in part, nor what a program printed beside its errors.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use async_process::Command;
use futures_lite::{AsyncReadExt, future};
use service_orchestration::spec::{
    Secret, SecretName, SecretSource, SecretValues, StackSpec, UnitName,
};

use crate::input::Sources;
use crate::load::Loaded;
use crate::report::{Code, Diagnostic, Severity, Sink};
use crate::source::Span;

/// What came of reading secrets.
#[derive(Debug)]
pub struct SecretsRead {
    /// The values that could be read.
    pub values: SecretValues,
    /// Everything that is wrong with the others, and what is doubtful about these, ordered by place.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads the secrets that these units of the stack need. Runs the programs that some of them come from, in the stack's
/// directory.
///
/// # Cancellation
/// Dropping the future ends the program that runs.
pub async fn read_secrets(
    loaded: &Loaded,
    sources: &Sources,
    stack: &StackSpec,
    units: &BTreeSet<&UnitName>,
) -> SecretsRead {
    let units = stack.units.iter().filter(|(name, _)| units.contains(name));
    let needed: BTreeSet<&SecretName> = units.flat_map(|(_, unit)| unit.secrets()).collect();
    let mut sink = Sink::default();
    let mut values = SecretValues::default();
    for (name, secret) in &stack.secrets {
        if !needed.contains(name) {
            continue;
        }
        let span = loaded.secrets.get(name).copied();
        let mut reader = Reader {
            loaded,
            name,
            span: span.unwrap_or(Span::whole(0)),
            sink: &mut sink,
            severity: Severity::Error,
        };
        let value = match &secret.source {
            SecretSource::File(path) => reader.file(path),
            SecretSource::Env(variable) => reader.variable(variable),
            SecretSource::Command(words) => {
                let environment = &sources.environment;
                reader.command(words, &stack.directory, environment).await
            }
            // A source of a later version: what made the specification knows it, and we do not.
            _ => None,
        };
        if let Some(value) = value {
            values.insert(name.clone(), value);
        }
    }
    SecretsRead {
        values,
        diagnostics: sink.finish(&loaded.files),
    }
}

/// Says beforehand, as warnings, which secrets of a stack `start` could not read. Runs no program.
pub fn examine_secrets(loaded: &Loaded) -> Vec<Diagnostic> {
    let mut sink = Sink::default();
    for (name, secret) in loaded.stack.iter().flat_map(|stack| &stack.secrets) {
        let span = loaded.secrets.get(name).copied();
        let mut reader = Reader {
            loaded,
            name,
            span: span.unwrap_or(Span::whole(0)),
            sink: &mut sink,
            severity: Severity::Warning,
        };
        match &secret.source {
            SecretSource::File(path) => drop(reader.file(path)),
            SecretSource::Env(variable) => drop(reader.variable(variable)),
            SecretSource::Command(_) => {}
            _ => {}
        }
    }
    sink.finish(&loaded.files)
}

/// Reads one secret.
struct Reader<'a> {
    loaded: &'a Loaded,
    name: &'a SecretName,
    span: Span,
    sink: &'a mut Sink,
    /// What it is not to be had for.
    severity: Severity,
}

impl Reader<'_> {
    fn file(&mut self, path: &Path) -> Option<Secret<String>> {
        let shown = path.display();
        match read_file(path) {
            Ok((bytes, mode)) => {
                if mode & 0o007 != 0 {
                    let message = format!("other users can read the secret `{}`", self.name);
                    self.sink
                        .warning(Code::SecretExposed, self.span, message)
                        .help(format!("chmod 600 {shown}"));
                }
                self.value(bytes, &format!("the file `{shown}`"))
            }
            Err(error) => {
                self.unread(&format!("cannot read `{shown}`: {error}"), None);
                None
            }
        }
    }

    fn variable(&mut self, variable: &str) -> Option<Secret<String>> {
        match self.loaded.variables.get(variable) {
            Some(value) => {
                let value = value.as_bytes().to_vec();
                self.text(value, &format!("the variable `{variable}`"))
            }
            None => {
                self.unread(
                    &format!("the variable `{variable}` is not set"),
                    Some("set it in the environment or in `.env`".into()),
                );
                None
            }
        }
    }

    async fn command(
        &mut self,
        words: &[String],
        directory: &Path,
        environment: &BTreeMap<String, String>,
    ) -> Option<Secret<String>> {
        let program = words.first().map_or("", String::as_str);
        let what = format!("the command `{}`", crate::yaml::shorten(&words.join(" ")));
        match run(words, directory, environment).await {
            Ok(Printed {
                succeeded: true,
                output,
                ..
            }) => self.value(output, &what),
            Ok(Printed { how, errors, .. }) => {
                let help = match errors.as_str() {
                    "" => None,
                    errors => Some(format!("it said: {errors}")),
                };
                self.unread(&format!("{what} failed ({how})"), help);
                None
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.unread(&format!("cannot run `{program}`: {error}"), None);
                None
            }
            Err(error) => {
                self.unread(&format!("{what}: {error}"), None);
                None
            }
        }
    }

    /// What a file or a program gave, without one newline at its end.
    fn value(&mut self, mut bytes: Vec<u8>, what: &str) -> Option<Secret<String>> {
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
            if bytes.last() == Some(&b'\r') {
                bytes.pop();
            }
        }
        self.text(bytes, what)
    }

    fn text(&mut self, bytes: Vec<u8>, what: &str) -> Option<Secret<String>> {
        let wrong = match String::from_utf8(bytes) {
            Ok(text) if text.is_empty() => "is empty",
            Ok(text) if text.len() > MAX_BYTES => "is longer than 64 KiB",
            Ok(text) if text.contains('\0') => "has a NUL byte, which no variable can hold",
            Ok(text) => return Some(Secret::new(text)),
            Err(error) => {
                // Wiped: it may be a secret all the same.
                drop(Secret::new(error.into_bytes()));
                "is not UTF-8"
            }
        };
        self.unread(&format!("{what} {wrong}"), None);
        None
    }

    fn unread(&mut self, why: &str, help: Option<String>) {
        let message = format!("the secret `{}` cannot be read: {why}", self.name);
        let report = match self.severity {
            Severity::Error => self.sink.error(Code::SecretUnread, self.span, message),
            Severity::Warning => self.sink.warning(Code::SecretUnread, self.span, message),
        };
        if let Some(help) = help {
            report.help(help);
        }
    }
}

fn read_file(path: &Path) -> io::Result<(Vec<u8>, u32)> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES as u64 + 2).read_to_end(&mut bytes)?;
    Ok((bytes, metadata.mode()))
}

struct Printed {
    succeeded: bool,
    how: String,
    output: Vec<u8>,
    /// What it said about itself, cut short.
    errors: String,
}

async fn run(
    words: &[String],
    directory: &Path,
    environment: &BTreeMap<String, String>,
) -> io::Result<Printed> {
    let Some((program, args)) = words.split_first() else {
        return Err(io::ErrorKind::NotFound.into());
    };
    let mut command = Command::new(program);
    command
        .args(args)
        .current_dir(directory)
        .env_clear()
        .envs(environment)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut child = command.spawn()?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let finished = async {
        let read = future::zip(
            read_at_most(stdout, MAX_BYTES as u64 + 2),
            read_at_most(stderr, MAX_SAID),
        );
        let (output, errors) = read.await;
        let status = child.status().await?;
        Ok(Printed {
            succeeded: status.success(),
            how: status.to_string(),
            output: output?,
            errors: String::from_utf8_lossy(&errors?)
                .chars()
                .map(|c| if c.is_control() { ' ' } else { c })
                .collect::<String>()
                .trim()
                .to_owned(),
        })
    };
    let late = async {
        async_io::Timer::after(PATIENCE).await;
        let message = format!("it gave no answer within {} s", PATIENCE.as_secs());
        Err(io::Error::new(io::ErrorKind::TimedOut, message))
    };
    future::or(finished, late).await
}

/// Everything up to a limit; what comes behind it is not read, and the program learns that nobody listens.
async fn read_at_most(
    pipe: Option<impl futures_lite::AsyncRead + Unpin>,
    limit: u64,
) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(limit).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}

/// Half of what Linux takes for one variable.
const MAX_BYTES: usize = 64 * 1024;
const MAX_SAID: u64 = 2 * 1024;
/// Whoever must touch a key or type a passphrase needs a while.
const PATIENCE: Duration = Duration::from_secs(60);
