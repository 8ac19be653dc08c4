//! `logs`: what services write, interleaved by time.
//!
//! Owns: the filter by pattern, which is the client's, and with it which lines are the last. Everything else of the
//! question is the log store's.

use chrono::{DateTime, Utc};
use clap::{Args, ValueEnum};
use futures_lite::future;
use harness_core::client::LogStreamReader;
use harness_core::logs::{AttemptFilter, LogCursor, LogLines, LogStream};
use harness_core::protocol::{LogParams, LogRecord};
use harness_core::spec::StackName;
use harness_core::{AutoStart, HarnessClient};
use regex::bytes::Regex;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};

use super::lines::Lines;
use super::logs_after::After;
use crate::context::Context;
use crate::failure::Failure;
use crate::render::{LogPrinter, gap_text, json_line, note, print_bytes, reader_gone};
use crate::units::selected;
use crate::{select, time};

/// Show what services write, interleaved by time
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct LogsArgs {
    /// Services and tasks; none means all
    #[arg(value_name = "SVC", add = crate::complete::units())]
    units: Vec<String>,
    #[command(flatten)]
    lines: Lines,
    /// Only the last lines of each service, not of all together; `all` is what none says
    #[arg(short = 'n', long, value_name = "LINES", value_parser = tail)]
    tail: Option<Tail>,
    /// Nothing older: 10m, or 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time::moment)]
    since: Option<DateTime<Utc>>,
    /// Nothing newer
    #[arg(long, value_name = "TIME", value_parser = time::moment)]
    until: Option<DateTime<Utc>>,
    /// Go on behind this line of an earlier `-o json`, or behind those in @FILE; may be repeated
    #[arg(long, value_name = "LINE")]
    after: Vec<After>,
    /// Only lines that match this regular expression
    #[arg(short, long, value_name = "RE")]
    grep: Option<String>,
    /// Only what was written there
    #[arg(long, value_name = "STREAM")]
    stream: Option<StreamName>,
    /// Show times
    #[arg(short, long)]
    timestamps: bool,
    /// The run before the last
    #[arg(long)]
    previous: bool,
    /// Only the lines; byte for byte where that is no terminal
    #[arg(long, alias = "no-log-prefix")]
    no_prefix: bool,
}

/// How many of the last lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tail {
    All,
    Last(u64),
}

fn tail(text: &str) -> Result<Tail, String> {
    match text {
        "all" => Ok(Tail::All),
        count => count
            .parse()
            .map(Tail::Last)
            .map_err(|_| "expected a number of lines, or `all`".into()),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum StreamName {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

pub(crate) const EXAMPLES: &str = "\
Examples:
  harness logs                       everything that is kept, of all services
  harness logs -f api worker         two services, as they write
  harness logs -n 50 -g 'error|warn' the last fifty matching lines of each
  harness logs api --previous        the run before the last
  harness logs -o json --after @log.jsonl >> log.jsonl
                                     what has come since, for each service
  harness logs api --no-prefix > api.log";

/// A line for programs.
#[derive(Serialize)]
struct Line<'a> {
    schema_version: u32,
    #[serde(flatten)]
    line: &'a LogRecord,
}

impl LogsArgs {
    pub(crate) fn is_json(&self) -> bool {
        self.lines.is_json()
    }

    /// The same with `-f`.
    pub(crate) fn followed(mut self) -> Self {
        self.lines.follow = true;
        self
    }

    fn last_lines(&self) -> Option<u64> {
        match self.tail? {
            Tail::All => None,
            Tail::Last(count) => Some(count),
        }
    }

    fn params(&self, stack: &StackName) -> LogParams {
        LogParams {
            units: self.units.clone(),
            // The last lines that match are not among the last lines, so they are picked here.
            tail: self.last_lines().filter(|_| self.grep.is_none()),
            since: self.since,
            until: self.until,
            stream: self.stream.map(|stream| match stream {
                StreamName::Stdout => LogStream::Stdout,
                StreamName::Stderr => LogStream::Stderr,
            }),
            attempt: self.previous.then_some(AttemptFilter::Previous),
            after: After::merged(&self.after),
            ..LogParams::all(stack.clone())
        }
    }
}

pub(crate) async fn run(args: LogsArgs, context: &Context) -> Result<(), Failure> {
    let pattern = args.grep.as_deref().map(pattern).transpose()?;
    let client = context.client(AutoStart::WhenActive).await?;
    let stack = select::known_stack(context, &client).await?;
    let status = client.status(&stack).await?;
    let units = selected(&status, &args.units)?;
    let behind: Vec<String> = After::merged(&args.after).into_keys().collect();
    selected(&status, &behind)?;
    let names = units.iter().map(|unit| unit.name.as_str());
    let mut sink = Sink {
        printer: LogPrinter::new(context.data, names, !args.no_prefix, args.timestamps),
        is_json: args.is_json(),
        shown: Vec::new(),
    };
    let work = show(
        &args,
        &client,
        args.params(&stack),
        pattern.as_ref(),
        &mut sink,
    );
    let outcome = match args.lines.follow {
        true => future::race(work, async { Err(reader_gone().await) }).await,
        false => work.await,
    };
    outcome.and_then(|()| sink.finish())
}

fn pattern(text: &str) -> Result<Regex, Failure> {
    Regex::new(text).map_err(|source| Failure::Pattern {
        pattern: text.to_owned(),
        source,
    })
}

async fn show(
    args: &LogsArgs,
    client: &HarnessClient,
    mut params: LogParams,
    pattern: Option<&Regex>,
    sink: &mut Sink,
) -> Result<(), Failure> {
    if let (Some(pattern), Some(tail)) = (pattern, args.last_lines()) {
        let reader = client.read_logs(params.clone()).await?;
        params.after = last_matching(reader, pattern, tail, sink).await?;
        if !args.lines.follow {
            return Ok(());
        }
    }
    let mut reader = match args.lines.follow {
        true => client.follow_logs(params).await?,
        false => client.read_logs(params).await?,
    };
    loop {
        match reader
            .each(|unit, lines| sink.take(unit, lines, pattern))
            .await
        {
            Some(arrived) => arrived?,
            None => return Ok(()),
        }
        sink.print()?;
    }
}

/// Writes the last lines of each unit that match, and tells where each unit's log was read to.
async fn last_matching(
    mut reader: LogStreamReader,
    pattern: &Regex,
    tail: u64,
    sink: &mut Sink,
) -> Result<BTreeMap<String, LogCursor>, Failure> {
    let mut last = LastLines::new(tail);
    while let Some(arrived) = reader
        .each(|unit, lines| last.take(unit, lines, pattern))
        .await
    {
        arrived?;
    }
    for (unit, line) in &last.kept {
        sink.take(unit, &line.as_lines(), None);
    }
    sink.print()?;
    Ok(last.cursors)
}

/// The last lines of each unit that match.
struct LastLines {
    tail: u64,
    kept: VecDeque<(String, Kept)>,
    counts: BTreeMap<String, u64>,
    cursors: BTreeMap<String, LogCursor>,
}

/// A line that is kept, in memory of its own.
struct Kept {
    bytes: Vec<u8>,
    time: DateTime<Utc>,
    stream: LogStream,
    attempt: u64,
    partial: bool,
    cursor: LogCursor,
}

impl LastLines {
    fn new(tail: u64) -> Self {
        Self {
            tail,
            kept: VecDeque::new(),
            counts: BTreeMap::new(),
            cursors: BTreeMap::new(),
        }
    }

    fn take(&mut self, unit: &str, lines: &LogLines<'_>, pattern: &Regex) {
        self.cursors.insert(unit.to_owned(), lines.cursor);
        if self.tail == 0 || lines.gap.is_some() {
            return;
        }
        for line in lines.split().filter(|line| matches(Some(pattern), line)) {
            let count = self.counts.entry(unit.to_owned()).or_default();
            *count += 1;
            if *count > self.tail {
                *count -= 1;
                if let Some(oldest) = self.kept.iter().position(|(kept, _)| kept == unit) {
                    self.kept.remove(oldest);
                }
            }
            self.kept.push_back((unit.to_owned(), Kept::new(&line)));
        }
    }
}

impl Kept {
    fn new(line: &LogLines<'_>) -> Self {
        Self {
            bytes: line.bytes.to_vec(),
            time: line.time,
            stream: line.stream,
            attempt: line.attempt,
            partial: line.partial,
            cursor: line.cursor,
        }
    }

    fn as_lines(&self) -> LogLines<'_> {
        LogLines {
            time: self.time,
            stream: self.stream,
            attempt: self.attempt,
            bytes: &self.bytes,
            partial: self.partial,
            gap: None,
            cursor: self.cursor,
        }
    }
}

/// Whether a single line matches; a gap always does.
fn matches(pattern: Option<&Regex>, line: &LogLines<'_>) -> bool {
    let text = line.bytes.strip_suffix(b"\n").unwrap_or(line.bytes);
    line.gap.is_some() || pattern.is_none_or(|pattern| pattern.is_match(text))
}

struct Sink {
    printer: LogPrinter,
    is_json: bool,
    /// What is shown and not printed yet.
    shown: Vec<u8>,
}

impl Sink {
    /// Takes in the lines of a unit that match.
    fn take(&mut self, unit: &str, lines: &LogLines<'_>, pattern: Option<&Regex>) {
        if pattern.is_none() {
            return self.show(unit, lines);
        }
        for line in lines.split().filter(|line| matches(pattern, line)) {
            self.show(unit, &line);
        }
    }

    fn show(&mut self, unit: &str, lines: &LogLines<'_>) {
        match (self.is_json, lines.gap) {
            (true, _) => {
                for line in lines.lines() {
                    let line = Line {
                        schema_version: SCHEMA_VERSION,
                        line: &LogRecord::new(unit, line),
                    };
                    self.shown.extend(json_line(&line).into_bytes());
                }
            }
            // Nothing of ours among the service's own bytes.
            (false, Some(missing)) if self.printer.is_raw() => {
                note(&format!("{}\n", gap_text(missing)));
            }
            (false, _) => self.printer.show(unit, lines, &mut self.shown),
        }
    }

    fn print(&mut self) -> Result<(), Failure> {
        let printed = print_bytes(&self.shown);
        self.shown.clear();
        printed
    }

    fn finish(&mut self) -> Result<(), Failure> {
        print_bytes(&self.printer.finish())
    }
}

const SCHEMA_VERSION: u32 = harness_core::protocol::SCHEMA_VERSION;
