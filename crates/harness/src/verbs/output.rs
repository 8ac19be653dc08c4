//! What units write, shown while a verb waits for them: `run` and `up`.
//!
//! Owns: where each line goes, and that none is left out at the end.

use std::collections::BTreeMap;

use futures_lite::future;
use harness_core::HarnessClient;
use harness_core::client::LogStreamReader;
use harness_core::logs::{LogCursor, LogStream};
use harness_core::protocol::{LogParams, LogRecord};

use crate::context::Context;
use crate::failure::Failure;
use crate::render::{LogPrinter, note, note_bytes, print_bytes, reader_gone};

/// The output of units from some moment on.
#[derive(Debug)]
pub(super) struct Output {
    reader: LogStreamReader,
    params: LogParams,
    /// Behind the last line shown of each unit.
    shown: BTreeMap<String, LogCursor>,
    form: Form,
}

/// How lines are shown.
#[derive(Debug)]
pub(super) enum Form {
    /// With the unit's name before each.
    Named(LogPrinter),
    /// As they were written: standard output to ours, standard error to ours.
    Own { out: LogPrinter, err: LogPrinter },
}

impl Form {
    pub(super) fn named<'a>(
        context: &Context,
        units: impl Iterator<Item = &'a str> + Clone,
        has_time: bool,
    ) -> Self {
        Self::Named(LogPrinter::new(context.data, units, true, has_time))
    }

    pub(super) fn own(context: &Context) -> Self {
        let printer = |look| LogPrinter::new(look, std::iter::empty(), false, false);
        Self::Own {
            out: printer(context.data),
            err: printer(context.messages),
        }
    }

    fn show(&mut self, line: &LogRecord) -> Result<(), Failure> {
        match self {
            Self::Named(printer) => print_bytes(&printer.show(line)),
            // Nothing of ours among the unit's own bytes.
            Self::Own { .. } if line.gap.is_some() => {
                let missing = line.gap.unwrap_or_default();
                note(&format!("[harness: {missing} bytes dropped]\n"));
                Ok(())
            }
            Self::Own { out, err } => match line.stream {
                LogStream::Stdout => print_bytes(&out.show(line)),
                LogStream::Stderr => {
                    note_bytes(&err.show(line));
                    Ok(())
                }
            },
        }
    }

    fn finish(&mut self) -> Result<(), Failure> {
        match self {
            Self::Named(printer) => print_bytes(&printer.finish()),
            Self::Own { out, err } => {
                note_bytes(&err.finish());
                print_bytes(&out.finish())
            }
        }
    }
}

impl Output {
    /// Begins to read.
    ///
    /// # Errors
    /// When the daemon cannot be asked.
    pub(super) async fn open(
        client: &HarnessClient,
        params: LogParams,
        form: Form,
    ) -> Result<Self, Failure> {
        Ok(Self {
            reader: client.follow_logs(params.clone()).await?,
            params,
            shown: BTreeMap::new(),
            form,
        })
    }

    /// Shows lines as they come. Returns only when that cannot go on: nobody reads them, or the daemon fails.
    ///
    /// # Cancellation
    /// Dropping the future loses no line.
    pub(super) async fn show(&mut self) -> Failure {
        let Self {
            reader,
            shown,
            form,
            ..
        } = self;
        let lines = async {
            loop {
                let outcome = match reader.next().await {
                    Some(Ok(line)) => show_one(shown, form, &line),
                    Some(Err(error)) => Err(error.into()),
                    None => return future::pending().await,
                };
                if let Err(failure) = outcome {
                    return failure;
                }
            }
        };
        future::or(lines, reader_gone()).await
    }

    /// Shows what is there and was not shown yet. To be asked once the units have ended.
    ///
    /// # Errors
    /// When the daemon cannot be asked, or nobody reads.
    pub(super) async fn finish(mut self, client: &HarnessClient) -> Result<(), Failure> {
        let mut params = self.params.clone();
        params.after.extend(std::mem::take(&mut self.shown));
        let mut rest = client.read_logs(params).await?;
        while let Some(line) = rest.next().await {
            show_one(&mut self.shown, &mut self.form, &line?)?;
        }
        self.form.finish()
    }
}

fn show_one(
    shown: &mut BTreeMap<String, LogCursor>,
    form: &mut Form,
    line: &LogRecord,
) -> Result<(), Failure> {
    shown.insert(line.unit.clone(), line.cursor);
    form.show(line)
}
