//! `audit`: who changed what.

use chrono::{DateTime, Utc};
use clap::Args;
use harness_core::protocol::{AuditPage, AuditReadParams, AuditVerified};
use harness_core::{AutoStart, HarnessClient, audit};

use super::daemon::Format;
use crate::context::Context;
use crate::failure::Failure;
use crate::render::{audit_line, audit_verdict, json_line, print};
use crate::time;

/// Show who changed what, and whether the record is as it was written
///
/// Without a daemon the record is read from the files. Exits with 1 when --verify finds it changed.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct AuditArgs {
    /// The last so many
    #[arg(short = 'n', long = "tail", value_name = "COUNT", default_value = "50")]
    tail: u32,
    /// Nothing older: 10m, or 2026-01-31T12:00:00Z; with it, all of it
    #[arg(long, value_name = "TIME", value_parser = time::moment)]
    since: Option<DateTime<Utc>>,
    /// Look for changed, missing and added lines instead
    #[arg(long)]
    verify: bool,
    /// How to show it
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        env = "HARNESS_OUTPUT",
        hide_env_values = true,
        default_value = "text"
    )]
    output: Format,
}

const EXAMPLES: &str = "\
Examples:
  harness audit                  the last 50
  harness audit --since 1h -o json
  harness audit --verify";

impl AuditArgs {
    pub(crate) fn is_json(&self) -> bool {
        self.output == Format::Json
    }
}

pub(crate) async fn run(args: AuditArgs, context: &Context) -> Result<(), Failure> {
    let source = Source::open(context).await?;
    if args.verify {
        return verify(&args, context, &source).await;
    }
    // What was asked for by time is told from its beginning, page after page; else the last page is enough, or several.
    let mut wanted = AuditReadParams {
        after: None,
        since: args.since,
        last: args.since.is_none(),
        limit: Some(args.tail),
    };
    if args.since.is_some() {
        wanted.limit = None;
    }
    loop {
        let page = source.read(&wanted).await?;
        for record in &page.items {
            print(&match args.output {
                Format::Json => json_line(record),
                Format::Text => audit_line(&context.data, record),
            })?;
        }
        let last = page.items.last().map(|record| record.seq);
        if wanted.last || !page.more || last.is_none() {
            return Ok(());
        }
        wanted.after = last;
    }
}

async fn verify(args: &AuditArgs, context: &Context, source: &Source) -> Result<(), Failure> {
    let verified = source.verify().await?;
    print(&match args.output {
        Format::Json => json_line(&verified),
        Format::Text => audit_verdict(&context.data, &verified),
    })?;
    match verified.intact {
        true => Ok(()),
        false => Err(Failure::Failed {
            summary: "the audit record is not as it was written".to_owned(),
            exit_code: 1,
        }),
    }
}

/// Where the record is read.
enum Source {
    Daemon(HarnessClient),
    Files(std::path::PathBuf),
}

impl Source {
    async fn open(context: &Context) -> Result<Self, Failure> {
        match context.client(AutoStart::Never).await {
            Ok(client) => Ok(Self::Daemon(client)),
            Err(failure) if failure.is_no_daemon() => {
                Ok(Self::Files(context.dirs()?.state().to_owned()))
            }
            Err(failure) => Err(failure),
        }
    }

    async fn read(&self, params: &AuditReadParams) -> Result<AuditPage, Failure> {
        match self {
            Self::Daemon(client) => Ok(client.audit(params).await?),
            Self::Files(state) => Ok(audit::read(state, params)?),
        }
    }

    async fn verify(&self) -> Result<AuditVerified, Failure> {
        match self {
            Self::Daemon(client) => Ok(client.verify_audit().await?),
            Self::Files(state) => Ok(audit::verify(state)?),
        }
    }
}
