//! The engine's command line, for what it alone can do: pulling and building.
//!
//! Owns: running it to its end, and telling how far it has come, at most once a second. It ends with whoever waits for it.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use async_io::Timer;
use async_process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use container_engine::Engine;
use futures_lite::{AsyncReadExt, future};

use super::steps::Steps;
use crate::executors::{Activity, GroundOrder, Making};

/// Runs the command line with these words behind the verb, and these variables besides its own.
pub(super) async fn run(
    engine: &Engine,
    order: &GroundOrder,
    verb: &'static str,
    words: &[OsString],
    variables: &[(String, String)],
    steps: Steps,
) -> Result<(), ToolError> {
    let cli = engine.cli();
    let (program, before) = cli.split_first().expect("a command line has a program");
    let failed = |reason| ToolError::Failed { reason };
    let mut command = Command::new(program);
    command
        .args(before)
        .arg(verb)
        .args(words)
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let child = match command.spawn() {
        Ok(child) => child,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(ToolError::Missing {
                program: program.to_string_lossy().into_owned(),
            });
        }
        Err(error) => return Err(ToolError::Machine(error)),
    };
    let mut teller = Teller::new(order, steps);
    let ended = follow(child, &mut teller).await;
    teller.tell();
    match ended {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(failed(format!(
            "`{} {verb}` failed{}: {}",
            program.to_string_lossy(),
            teller.steps.place(),
            teller.last_words()
        ))),
        Err(error) => Err(ToolError::Machine(error)),
    }
}

/// Why the command line did not do it.
#[derive(Debug, thiserror::Error)]
pub(super) enum ToolError {
    /// There is none.
    #[error("there is no `{program}` in PATH")]
    Missing { program: String },
    /// It said no, and why.
    #[error("{reason}")]
    Failed { reason: String },
    /// It could not be run to its end.
    #[error("the engine's command line cannot be run")]
    Machine(#[source] std::io::Error),
}

/// Takes in what it says until it has ended.
async fn follow(
    mut child: Child,
    teller: &mut Teller<'_>,
) -> std::io::Result<std::process::ExitStatus> {
    enum Step {
        Out(usize),
        Err(usize),
        Due,
    }
    let mut out: Option<ChildStdout> = child.stdout.take();
    let mut err: Option<ChildStderr> = child.stderr.take();
    let (mut out_buffer, mut err_buffer) = ([0; 4096], [0; 4096]);
    teller.tell();
    while out.is_some() || err.is_some() {
        let said = async {
            match &mut out {
                Some(out) => out.read(&mut out_buffer).await.map(Step::Out),
                None => future::pending().await,
            }
        };
        let complained = async {
            match &mut err {
                Some(err) => err.read(&mut err_buffer).await.map(Step::Err),
                None => future::pending().await,
            }
        };
        let due = async {
            match teller.due() {
                Some(at) => Timer::at(at).await,
                None => future::pending().await,
            };
            Ok(Step::Due)
        };
        match future::or(due, future::or(complained, said)).await? {
            Step::Out(0) => out = None,
            Step::Err(0) => err = None,
            Step::Out(count) => teller.said.push(&out_buffer[..count]),
            Step::Err(count) => teller.complained.push(&err_buffer[..count]),
            Step::Due => teller.tell(),
        }
        teller.take_in();
    }
    child.status().await
}

/// What is told, and when.
struct Teller<'a> {
    order: &'a GroundOrder,
    steps: Steps,
    said: Lines,
    complained: Lines,
    /// Not told yet.
    output: Vec<String>,
    /// The last lines of its standard error, else of its standard output: why it failed.
    last: [Vec<String>; 2],
    told: Option<(Instant, String)>,
}

impl<'a> Teller<'a> {
    fn new(order: &'a GroundOrder, steps: Steps) -> Self {
        Self {
            order,
            steps,
            said: Lines::default(),
            complained: Lines::default(),
            output: Vec::new(),
            last: [Vec::new(), Vec::new()],
            told: None,
        }
    }

    fn take_in(&mut self) {
        let lines = [self.complained.take(), self.said.take()];
        for (lines, last) in lines.into_iter().zip(&mut self.last) {
            for line in lines {
                self.steps.take_in(&line);
                keep(last, line.clone(), KEPT_LINES);
                keep(&mut self.output, line, MOST_LINES);
            }
        }
    }

    /// When there is something to be told.
    fn due(&self) -> Option<Instant> {
        let (at, sentence) = self.told.as_ref()?;
        let is_news = !self.output.is_empty() || *sentence != self.steps.sentence();
        is_news.then(|| *at + BETWEEN_NEWS)
    }

    fn tell(&mut self) {
        let what = self.steps.sentence();
        let is_told = self.told.as_ref().is_some_and(|(_, told)| *told == what);
        if is_told && self.output.is_empty() {
            return;
        }
        self.told = Some((Instant::now(), what.clone()));
        self.order.progress.tell(Making {
            activity: self.steps.activity(),
            what,
            output: std::mem::take(&mut self.output),
        });
    }

    fn last_words(&self) -> String {
        let [complained, said] = &self.last;
        last_words(self.steps.activity(), complained, said)
    }
}

/// Why it failed: what it complains of, and of a build what the step said that failed. A builder that writes that elsewhere
/// has it among its complaints.
fn last_words(activity: Activity, complained: &[String], said: &[String]) -> String {
    let complaints = complained.iter().filter(|line| !is_notice(line));
    let complaints: Vec<&String> = complaints.collect();
    let told: Vec<&String> = match activity {
        Activity::Building => {
            let step = said.iter().rposition(|line| line.starts_with("Step "));
            let of_step = said[step.map_or(0, |step| step + 1)..].iter();
            let own = of_step.filter(|line| !is_of_builder(line));
            let own: Vec<&String> = own.collect();
            own[own.len().saturating_sub(LAST_LINES)..].to_vec()
        }
        Activity::Pulling if complaints.is_empty() => said.iter().collect(),
        Activity::Pulling => Vec::new(),
    };
    let last = complaints.len().saturating_sub(match activity {
        Activity::Building => MOST_COMPLAINTS,
        Activity::Pulling => LAST_LINES,
    });
    let words = told.into_iter().chain(complaints[last..].iter().copied());
    words.map(|line| line.trim()).collect::<Vec<_>>().join("; ")
}

/// What docker says before every build by its own builder.
fn is_notice(line: &str) -> bool {
    line.starts_with("DEPRECATED: The legacy builder")
        || line.contains("Install the buildx component")
        || line.contains("docs.docker.com/go/buildx")
}

/// What the builder says of its own work between the lines of a step.
fn is_of_builder(line: &str) -> bool {
    line.trim_start().starts_with("--->") || line.starts_with("Removing intermediate container")
}

/// Adds a line; those that are too many go first.
fn keep(lines: &mut Vec<String>, line: String, most: usize) {
    if lines.len() == most {
        lines.remove(0);
    }
    lines.push(line);
}

/// Bytes on their way to lines.
#[derive(Default)]
struct Lines {
    begun: Vec<u8>,
    whole: Vec<String>,
}

impl Lines {
    fn push(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match byte {
                b'\n' | b'\r' => self.end(),
                byte if self.begun.len() < LONGEST_LINE => self.begun.push(*byte),
                _ => {}
            }
        }
    }

    fn end(&mut self) {
        let line = String::from_utf8_lossy(&self.begun);
        let line = without_colours(&line).trim_end().to_owned();
        if !line.is_empty() {
            self.whole.push(line);
        }
        self.begun.clear();
    }

    fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.whole)
    }
}

/// The text without the sequences by which terminals are told colours.
fn without_colours(line: &str) -> String {
    let mut pieces = line.split("\u{1b}[");
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let end = piece.find(|c: char| c.is_ascii_alphabetic());
        text += end.map_or("", |end| &piece[end + 1..]);
    }
    text
}

/// A reader of events keeps up with this.
const BETWEEN_NEWS: Duration = Duration::from_secs(1);

/// Lines in one piece of news; of more, the last ones.
const MOST_LINES: usize = 100;

/// Bytes of a line; the rest is left out.
const LONGEST_LINE: usize = 400;

/// What a failed pull or a failed step says last is why.
const LAST_LINES: usize = 5;

/// A builder whose complaints hold the output of the step, and the place in the recipe, needs more.
const MOST_COMPLAINTS: usize = 12;

/// Lines of each output that are kept to choose from.
const KEPT_LINES: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_failed_build_says_what_its_step_said_and_no_notices() {
        let complained = lines(
            "DEPRECATED: The legacy builder is deprecated and will be removed in a future release.\n\
             \x20           Install the buildx component to build images with BuildKit:\n\
             \x20           https://docs.docker.com/go/buildx/\n\
             The command '/bin/sh -c make' returned a non-zero code: 2",
        );
        let said = lines(
            "Sending build context to Docker daemon  2.048kB\nStep 1/2 : FROM busybox\n ---> 9250bf4e7fd1\n\
             Step 2/2 : RUN make\n ---> Running in 0123\nmake: no rule\nRemoving intermediate container 0123",
        );
        assert_eq!(
            last_words(Activity::Building, &complained, &said),
            "make: no rule; The command '/bin/sh -c make' returned a non-zero code: 2"
        );
        assert_eq!(
            last_words(Activity::Pulling, &lines("not found"), &lines("Pulling")),
            "not found"
        );
        assert_eq!(last_words(Activity::Pulling, &[], &lines("so")), "so");
    }

    #[test]
    fn colours_are_for_terminals() {
        assert_eq!(without_colours("\u{1b}[91mno\u{1b}[0m rule"), "no rule");
    }
}
