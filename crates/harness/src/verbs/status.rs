//! `status`: how a stack stands.
//!
//! Owns: what is shown for which question, and that the JSON has one shape whatever there is to show.

use std::time::Duration;

use chrono::Utc;
use clap::{Args, ValueEnum};
use futures_lite::future;
use harness_core::protocol::{StackSummary, SubscribeParams};
use harness_core::report::{Health, OneOffStatus, StackStatus, UnitStatus};
use harness_core::spec::StackName;
use harness_core::{AutoStart, HarnessClient};
use serde::Serialize;
use serde_json::json;
use smol::Timer;

use crate::context::Context;
use crate::failure::Failure;
use crate::outcome::last_lines;
use crate::render::{
    Detail, json_line, print, reader_gone, screen, stack_table, status_page, status_table,
};
use crate::select;
use crate::units::selected;
use crate::usage::usage;

/// Show how the stack stands, or one service with the last lines of its log
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct StatusArgs {
    /// One service or task, on a page of its own
    #[arg(value_name = "SVC", add = crate::complete::units())]
    unit: Option<String>,
    /// How to show it
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        env = "HARNESS_OUTPUT",
        hide_env_values = true,
        default_value = "table"
    )]
    output: Format,
    /// Show it again whenever something changes; with -o json one document per line
    #[arg(short, long)]
    watch: bool,
    /// Exit with 3 unless everything runs and is healthy, and tasks are completed
    #[arg(long, conflicts_with = "watch")]
    exit_code: bool,
    /// What has ended is shown anyway
    #[arg(short, long, hide = true)]
    all: bool,
    /// Only the ids of what runs: `-q` among the words, and not in the environment.
    #[arg(skip)]
    ids: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// What most people want to know.
    #[value(aliases = ["human", "text"])]
    Table,
    /// A table with everything that fits on a line.
    Wide,
    /// One document.
    Json,
}

pub(crate) const EXAMPLES: &str = "\
Examples:
  harness status                       the stack of this directory
  harness status api                   one service, with the last lines of its log
  harness -p web status -o json        a stack by name, for programs
  harness status --watch               again and again, as things change
  harness status --exit-code && deploy";

impl StatusArgs {
    pub(crate) fn is_json(&self) -> bool {
        self.output == Format::Json
    }

    /// Has only ids shown.
    pub(crate) fn show_ids(&mut self) {
        self.ids = true;
    }
}

pub(crate) async fn run(args: StatusArgs, context: &Context) -> Result<(), Failure> {
    let client = context.client(AutoStart::WhenActive).await?;
    let stacks = client.stacks().await?;
    let is_anything_selected =
        context.globals.project.is_some() || !select::files(context).is_empty();
    if !is_anything_selected && stacks.len() != 1 && args.unit.is_none() {
        return list(&args, context, &stacks);
    }
    let stack = select::choose(context, &stacks)?;
    let view = View {
        args: &args,
        context,
        client: &client,
        stack,
    };
    if args.watch {
        return future::race(view.watch(), async { Err(reader_gone().await) }).await;
    }
    let status = view.show(Again::No).await?;
    let is_good = selected(&status, view.wanted())?
        .iter()
        .all(|unit| is_good(unit));
    match args.exit_code && !is_good {
        true => Err(Failure::NotHealthy),
        false => Ok(()),
    }
}

/// Several stacks, or none, and nothing says which is meant.
fn list(args: &StatusArgs, context: &Context, stacks: &[StackSummary]) -> Result<(), Failure> {
    match args.output {
        // The shape of a status, with nothing in it, and the stacks beside it.
        Format::Json => print(&json_line(&json!({
            "schema_version": SCHEMA_VERSION, "stack": null, "items": [], "stacks": stacks,
        }))),
        Format::Table | Format::Wide => print(&stack_table(&context.data, stacks)),
    }
}

struct View<'a> {
    args: &'a StatusArgs,
    context: &'a Context,
    client: &'a HarnessClient,
    stack: StackName,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Again {
    Yes,
    No,
}

/// A status with only those units that were asked for.
#[derive(Serialize)]
struct Selected<'a> {
    schema_version: u32,
    stack: &'a StackName,
    storage: &'a Option<String>,
    items: &'a [&'a UnitStatus],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    one_offs: Vec<&'a OneOffStatus>,
}

impl View<'_> {
    fn wanted(&self) -> &[String] {
        self.args.unit.as_slice()
    }

    async fn show(&self, again: Again) -> Result<StackStatus, Failure> {
        let status = self.client.status(&self.stack).await?;
        let units = selected(&status, self.wanted())?;
        let look = self.context.data.resized();
        let mut text = match self.args.output {
            Format::Json => json_line(&Selected {
                schema_version: status.schema_version,
                stack: &status.stack,
                storage: &status.storage,
                items: &units,
                one_offs: {
                    let is_shown = |run: &&OneOffStatus| units.iter().any(|u| u.name == run.unit);
                    status.one_offs.iter().filter(is_shown).collect()
                },
            }),
            Format::Table if self.args.ids => ids(&units),
            Format::Table if self.args.unit.is_some() => self.pages(&status, &units).await?,
            Format::Table => status_table(&look, &status, &units, Detail::Usual, Utc::now()),
            Format::Wide => status_table(
                &look,
                &status,
                &units,
                Detail::Wide(&usage(&units)),
                Utc::now(),
            ),
        };
        if again == Again::Yes && self.args.output != Format::Json {
            text = screen(&look, &text);
        }
        print(&text)?;
        Ok(status)
    }

    async fn pages(&self, status: &StackStatus, units: &[&UnitStatus]) -> Result<String, Failure> {
        let mut pages = Vec::new();
        for unit in units {
            let lines = last_lines(self.client, &self.stack, &unit.name, PAGE_LINES, None).await?;
            pages.push(status_page(
                &self.context.data,
                status,
                unit,
                &lines,
                Utc::now(),
            ));
        }
        Ok(pages.join("\n"))
    }

    /// Shows it now, and again whenever something happens, until nobody looks any more.
    async fn watch(&self) -> Result<(), Failure> {
        let params = SubscribeParams {
            stack: Some(self.stack.clone()),
            ..SubscribeParams::default()
        };
        let mut events = self.client.events(params).await?;
        self.show(Again::Yes).await?;
        // Ages grow and windows change their size without an event; in a pipe only events count.
        let is_screen = self.args.output != Format::Json && self.context.data.can_move;
        loop {
            let tick = async {
                match is_screen {
                    true => drop(Timer::after(GLANCE).await),
                    false => future::pending().await,
                }
                Some(Ok(()))
            };
            let happened = async { Some(events.next().await?.map(drop)) };
            match future::or(happened, tick).await {
                Some(news) => news?,
                None => return Ok(()),
            }
            self.show(Again::Yes).await?;
        }
    }
}

/// The id of each container of this machine that runs, one in a line: nothing else has an id that `docker` would take.
fn ids(units: &[&UnitStatus]) -> String {
    let id = |unit: &&UnitStatus| {
        unit.pid.filter(|_| unit.host.is_none())?;
        unit.container_id.clone()
    };
    let ids = units.iter().filter_map(id);
    ids.map(|id| format!("{id}\n")).collect()
}

/// Whether a unit is as it should be.
fn is_good(unit: &UnitStatus) -> bool {
    let is_unhealthy = matches!(unit.health, Health::Unhealthy | Health::Unknown);
    (unit.ready || unit.state == "done") && !is_unhealthy
}

/// Often enough for seconds to be right.
const GLANCE: Duration = Duration::from_secs(1);
/// Lines of output on a unit's page.
const PAGE_LINES: u64 = 10;
const SCHEMA_VERSION: u32 = harness_core::report::SCHEMA_VERSION;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::sample;

    #[test]
    fn ids_are_those_of_containers_that_run() {
        let ended = sample::stopped("seed", None, "none", &[]);
        let mut process = ended.clone();
        process.pid = Some(42);
        let mut container = process.clone();
        container.container_id = Some("0123abcd".to_owned());
        assert_eq!(ids(&[&process, &ended, &container]), "0123abcd\n");
    }
}
