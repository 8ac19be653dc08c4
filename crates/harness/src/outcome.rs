//! What came of an order, told to the user.
//!
//! Owns: gathering what a report needs: status, last output, the place in the file. The look is [`crate::render`]'s.

use std::collections::BTreeSet;

use harness_core::HarnessClient;
use harness_core::protocol::{LogParams, LogRecord};
use harness_core::report::{Blocked, StackStatus};
use harness_core::spec::{StackName, StackSpec, UnitName};

use crate::context::Context;
use crate::failure::Failure;
use crate::render::{Place, Report, failure_report, note};
use crate::units::base;

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
    let lines = last_lines(client, asked.stack, culprit, REPORTED_LINES).await?;
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

/// The last lines that a unit wrote.
///
/// # Errors
/// When the daemon cannot be asked.
pub(crate) async fn last_lines(
    client: &HarnessClient,
    stack: &StackName,
    unit: &str,
    count: u64,
) -> Result<Vec<LogRecord>, Failure> {
    let params = LogParams {
        units: vec![unit.to_owned()],
        tail: Some(count),
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

/// Lines of output in a report: enough for most stack traces' last and telling part.
const REPORTED_LINES: u64 = 10;
