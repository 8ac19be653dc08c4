//! `events`: what happened, and what happens.

use chrono::{DateTime, Utc};
use clap::Args;
use futures_lite::future;
use harness_core::AutoStart;
use harness_core::client::EventStream;
use harness_core::protocol::SubscribeParams;
use harness_core::report::Event;

use super::lines::{Format, Lines};
use crate::context::Context;
use crate::failure::Failure;
use crate::render::{event_line, json_line, note, print, reader_gone};
use crate::{select, time};

/// Show what happened to the stack
///
/// Without a stack, neither a file nor -p, it shows what happened to all of them and to the daemon.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct EventsArgs {
    /// Nothing older: 10m, or 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time::moment)]
    since: Option<DateTime<Utc>>,
    #[command(flatten)]
    lines: Lines,
}

const EXAMPLES: &str = "\
Examples:
  harness events                 what is remembered
  harness events -f --since 0s   what happens from now on
  harness events --since 10m -o json";

impl EventsArgs {
    pub(crate) fn is_json(&self) -> bool {
        self.lines.is_json()
    }
}

pub(crate) async fn run(args: EventsArgs, context: &Context) -> Result<(), Failure> {
    let client = context.client(AutoStart::WhenActive).await?;
    let is_selected = context.globals.project.is_some() || !select::files(context).is_empty();
    let stack = match is_selected {
        true => Some(select::known_stack(context, &client).await?),
        false => None,
    };
    let params = SubscribeParams {
        since: Some(0),
        stack,
        until_now: !args.lines.follow,
    };
    let mut events = client.events(params).await?;
    let work = show(&args, context, &mut events);
    match args.lines.follow {
        true => future::race(work, async { Err(reader_gone().await) }).await,
        false => work.await,
    }
}

async fn show(
    args: &EventsArgs,
    context: &Context,
    events: &mut EventStream,
) -> Result<(), Failure> {
    while let Some(event) = events.next().await {
        let event = event?;
        let missed = events.take_missed();
        if missed > 0 && args.since.is_none() && !context.globals.quiet {
            note(&format!("{missed} older events are no longer kept\n"));
        }
        if args.since.is_none_or(|since| event.timestamp >= since) {
            print(&text(args.lines.output, context, &event))?;
        }
    }
    Ok(())
}

fn text(format: Format, context: &Context, event: &Event) -> String {
    match format {
        Format::Text => event_line(&context.data, event),
        Format::Json => json_line(event),
    }
}
