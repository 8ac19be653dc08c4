//! What units write, shown while a verb waits for them: `run` and `up`.
//!
//! Owns: where each line goes, and that none is left out at the end.

use std::collections::BTreeMap;

use futures_lite::future;
use harness_core::HarnessClient;
use harness_core::client::LogStreamReader;
use harness_core::logs::{LogCursor, LogLines, LogStream};
use harness_core::protocol::LogParams;

use crate::context::Context;
use crate::failure::Failure;
use crate::render::{LogPrinter, gap_text, note, note_bytes, print_bytes, reader_gone};

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

    fn show(&mut self, unit: &str, lines: &LogLines<'_>) -> Result<(), Failure> {
        let mut shown = Vec::new();
        match self {
            Self::Named(printer) => {
                printer.show(unit, lines, &mut shown);
                print_bytes(&shown)
            }
            // Nothing of ours among the unit's own bytes.
            Self::Own { .. } if lines.gap.is_some() => {
                let missing = lines.gap.unwrap_or_default();
                note(&format!("{}\n", gap_text(missing)));
                Ok(())
            }
            Self::Own { out, err } => match lines.stream {
                LogStream::Stdout => {
                    out.show(unit, lines, &mut shown);
                    print_bytes(&shown)
                }
                LogStream::Stderr => {
                    err.show(unit, lines, &mut shown);
                    note_bytes(&shown);
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
                match show_next(reader, shown, form).await {
                    Some(Ok(())) => {}
                    Some(Err(failure)) => return failure,
                    None => return future::pending().await,
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
        while let Some(outcome) = show_next(&mut rest, &mut self.shown, &mut self.form).await {
            outcome?;
        }
        self.form.finish()
    }
}

/// Shows what arrives next; `None` at the end.
async fn show_next(
    reader: &mut LogStreamReader,
    shown: &mut BTreeMap<String, LogCursor>,
    form: &mut Form,
) -> Option<Result<(), Failure>> {
    let mut outcome = Ok(());
    let arrived = reader.each(|unit, lines| {
        if outcome.is_ok() {
            shown.insert(unit.to_owned(), lines.cursor);
            outcome = form.show(unit, lines);
        }
    });
    match arrived.await? {
        Ok(()) => Some(outcome),
        Err(error) => Some(Err(error.into())),
    }
}
