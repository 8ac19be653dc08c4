//! What is not carried over, said once for each place.
//!
//! Owns: that one line which many services share by an anchor, or extend, is one finding that names them.

use std::collections::HashMap;

use crate::report::{Code, Sink};
use crate::source::Span;
use crate::yaml::shorten;

/// Everything found, until it is told.
#[derive(Debug, Default)]
pub(super) struct Findings {
    found: Vec<Finding>,
    places: HashMap<(Span, String), usize>,
}

#[derive(Debug)]
struct Finding {
    span: Span,
    /// What stands before and behind the name of the service.
    before: String,
    behind: String,
    owners: Vec<String>,
    means: String,
    instead: String,
}

impl Findings {
    /// Notes that `what` is not carried over; the last name of the owner in it may become several.
    pub(super) fn lost(
        &mut self,
        span: Span,
        what: &str,
        owner: Option<&str>,
        means: &str,
        instead: &str,
    ) {
        let quoted = owner.map(|owner| format!("`{}`", shorten(owner)));
        let split = quoted
            .as_ref()
            .and_then(|quoted| Some((what.rfind(quoted.as_str())?, quoted.len())));
        let (before, behind) = match split {
            Some((at, length)) => (&what[..at], &what[at + length..]),
            None => (what, ""),
        };
        let owners = split.and(quoted);
        let place = (span, format!("{before}\n{behind}\n{means}"));
        if let Some(known) = self.places.get(&place).map(|at| &mut self.found[*at]) {
            known.owners.extend(owners);
            return;
        }
        self.places.insert(place, self.found.len());
        self.found.push(Finding {
            span,
            before: before.to_owned(),
            behind: behind.to_owned(),
            owners: owners.into_iter().collect(),
            means: means.to_owned(),
            instead: instead.to_owned(),
        });
    }

    /// Tells all of it.
    pub(super) fn tell(self, sink: &mut Sink) {
        for finding in self.found {
            let owners = named(&finding.owners);
            let Finding {
                before,
                behind,
                means,
                ..
            } = &finding;
            let message = format!("{before}{owners}{behind} is not carried over: {means}");
            sink.warning(Code::ComposeLost, finding.span, message)
                .help(finding.instead);
        }
    }
}

/// Something that cannot be left out where its service is taken in.
#[derive(Debug)]
pub(crate) struct Refused {
    /// The service.
    pub(crate) unit: String,
    pub(crate) span: Span,
    pub(crate) message: String,
    pub(crate) help: &'static str,
}

/// As many names as one reads.
fn named(owners: &[String]) -> String {
    match owners {
        [] => String::new(),
        [one] => one.clone(),
        [one, two] => format!("{one} and {two}"),
        [one, two, three] => format!("{one}, {two} and {three}"),
        [one, two, rest @ ..] => format!("{one}, {two} and {} others", rest.len()),
    }
}
