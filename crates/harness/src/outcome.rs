//! What came of an order, told to the user.
//!
//! Owns: gathering what a report needs: status, last output, the place in the file. The look is [`crate::render`]'s.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_lite::future;
use harness_core::HarnessClient;
use harness_core::logs::AttemptFilter;
use harness_core::protocol::{LogParams, LogRecord};
use harness_core::report::{Blocked, StackStatus, UnitStatus, Why};
use harness_core::spec::{StackName, StackSpec, UnitName};

use crate::context::Context;
use crate::failure::Failure;
use crate::render::{Place, Report, failure_report, note, sentence};
use crate::units::{base, means};

/// What is known of the stack from which something was asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) stack: &'a StackName,
    /// Its definition, where that was read.
    pub(crate) spec: Option<&'a StackSpec>,
}

/// Reports every unit that keeps others from coming as far as was waited for, and gives the failure to end with.
///
/// # Errors
/// When the daemon cannot be asked about them.
pub(crate) async fn report(
    context: &Context,
    client: &HarnessClient,
    asked: Asked<'_>,
    blocked: &[Blocked],
    exit_code: u8,
) -> Result<Failure, Failure> {
    let status = client.status(asked.stack).await?;
    let culprits: BTreeSet<&str> = blocked
        .iter()
        .map(|blocked| blocked.culprit.as_str())
        .collect();
    for culprit in &culprits {
        report_one(context, client, asked, &status, culprit, blocked).await?;
    }
    let names: Vec<&str> = culprits.into_iter().collect();
    let verb = if names.len() == 1 { "is" } else { "are" };
    let word = match blocked.iter().all(|blocked| blocked.unhealthy) {
        true => "unhealthy",
        false => "not up",
    };
    Ok(Failure::Failed {
        summary: format!("{} {verb} {word}", names.join(", ")),
        exit_code,
    })
}

async fn report_one(
    context: &Context,
    client: &HarnessClient,
    asked: Asked<'_>,
    status: &StackStatus,
    culprit: &str,
    blocked: &[Blocked],
) -> Result<(), Failure> {
    let Some(unit) = status.items.iter().find(|unit| unit.name == culprit) else {
        return Ok(());
    };
    let mine = || blocked.iter().filter(|blocked| blocked.culprit == culprit);
    let reason = mine()
        .map(|blocked| blocked.reason.as_str())
        .next()
        .unwrap_or("it failed");
    let lines = last_lines(
        client,
        asked.stack,
        culprit,
        REPORTED_LINES,
        Some(AttemptFilter::Last),
    )
    .await?;
    let waiting = status.items.iter().filter(|other| {
        other
            .waiting_for
            .iter()
            .any(|what| what.unit.as_deref() == Some(culprit))
    });
    let others: BTreeSet<String> = mine()
        .map(|blocked| blocked.name.clone())
        .chain(waiting.map(|unit| unit.name.clone()))
        .filter(|name| name != culprit)
        .collect();
    let stack_option = match context.globals.project {
        Some(_) => format!(" -p {}", asked.stack),
        None => String::new(),
    };
    let report = Report {
        unit,
        reason,
        place: asked.spec.and_then(|spec| place(spec, culprit)),
        lines: &lines,
        blocked: others.into_iter().collect(),
        stack_option: &stack_option,
    };
    note(&failure_report(&context.messages, &report));
    Ok(())
}

/// Reports which of these units have not come as far as was waited for, and why, and says it in short. With no names, all
/// units are meant. It asks for a moment at most: whoever has waited long enough does not wait for a daemon that is away.
pub(crate) async fn report_late(
    context: &Context,
    client: &HarnessClient,
    asked: Asked<'_>,
    units: &[String],
    is_done: fn(&UnitStatus) -> bool,
) -> Option<String> {
    let too_late = async {
        smol::Timer::after(LAST_LOOK).await;
        None
    };
    let asking = async {
        let look = late(client, asked, units, is_done);
        let (status, late) = look.await.ok().filter(|(_, late)| !late.is_empty())?;
        let culprits: BTreeSet<&str> = late.iter().map(|one| one.culprit.as_str()).collect();
        for culprit in culprits {
            let told = report_one(context, client, asked, &status, culprit, &late);
            told.await.ok()?;
        }
        let names: Vec<String> = late.iter().map(|one| format!("`{}`", one.name)).collect();
        let were = if names.len() == 1 { "was" } else { "were" };
        Some(format!(
            "{} of stack `{}` {were} not ready",
            names.join(", "),
            asked.stack
        ))
    };
    future::or(asking, too_late).await
}

/// The units that have not come so far, each with one that holds it up, and why that one is where it is.
async fn late(
    client: &HarnessClient,
    asked: Asked<'_>,
    units: &[String],
    is_done: fn(&UnitStatus) -> bool,
) -> Result<(StackStatus, Vec<Blocked>), Failure> {
    let status = client.status(asked.stack).await?;
    let mut late = Vec::new();
    let is_meant = |unit: &UnitStatus| {
        units.is_empty() || units.iter().any(|wanted| means(wanted, &unit.name))
    };
    for unit in status
        .items
        .iter()
        .filter(|unit| is_meant(unit) && !is_done(unit))
    {
        let culprit = match UnitName::new(base(&unit.name)) {
            Ok(name) => cause(&client.why(asked.stack, &name).await?),
            Err(_) => None,
        };
        let culprit = culprit.unwrap_or_else(|| unit.name.clone());
        let why = match UnitName::new(base(&culprit)) {
            Ok(name) => client.why(asked.stack, &name).await?.reasons,
            Err(_) => Vec::new(),
        };
        let own = why.iter().find(|reason| reason.name == culprit);
        let reason = own.map_or_else(
            || "it is not ready".to_owned(),
            |own| sentence("it", &own.state, &own.reason),
        );
        late.push(Blocked {
            name: unit.name.clone(),
            culprit,
            reason,
            unhealthy: false,
            started_again: false,
        });
    }
    Ok((status, late))
}

/// Who is at the bottom of it: the first one that nothing else explains.
fn cause(why: &Why) -> Option<String> {
    let reasons = why.reasons.as_slice();
    let below = |at: usize| reasons.get(at + 1).map_or(0, |next| next.depth);
    let mut each = reasons.iter().enumerate();
    let bottom = each.find(|(at, reason)| below(*at) <= reason.depth && !reason.repeated);
    bottom.map(|(_, reason)| reason.name.clone())
}

/// The last lines that a unit wrote, in one of its runs or in all of them.
///
/// # Errors
/// When the daemon cannot be asked.
pub(crate) async fn last_lines(
    client: &HarnessClient,
    stack: &StackName,
    unit: &str,
    count: u64,
    attempt: Option<AttemptFilter>,
) -> Result<Vec<LogRecord>, Failure> {
    let params = LogParams {
        units: vec![unit.to_owned()],
        tail: Some(count),
        attempt,
        ..LogParams::all(stack.clone())
    };
    let mut reader = client.read_logs(params).await?;
    let mut lines = Vec::new();
    while let Some(line) = reader.next().await {
        lines.push(line?);
    }
    Ok(lines)
}

/// Where a unit stands in its stack file.
fn place(spec: &StackSpec, unit: &str) -> Option<Place> {
    let unit = spec.units.get(&UnitName::new(base(unit)).ok()?)?;
    let origin = &unit.origin;
    let path = spec.files.get(usize::try_from(origin.file).ok()?)?;
    let text = std::fs::read_to_string(path).ok()?;
    let line = text
        .lines()
        .nth(usize::try_from(origin.line.checked_sub(1)?).ok()?)?;
    let shown = path
        .strip_prefix(crate::select::working_directory())
        .unwrap_or(path);
    Some(Place {
        file: shown.to_owned(),
        line: origin.line,
        column: origin.column,
        text: line.to_owned(),
    })
}

/// How long a daemon is asked about what was waited for in vain.
const LAST_LOOK: Duration = Duration::from_secs(2);

/// Lines of output in a report: enough for most stack traces' last and telling part.
const REPORTED_LINES: u64 = 10;
