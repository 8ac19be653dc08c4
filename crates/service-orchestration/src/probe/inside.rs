//! Questions that are answered where the attempt runs, in its container.
//!
//! Owns: what their answers mean. How a command gets there is the attempt's own business.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::output::Tail;
use super::{Answer, CustomProbe};
use crate::executors::{AttemptControl, InsideCommand, InsideEnd, OwnHealth};

/// The question whether a program in the container exits with 0.
#[derive(Clone)]
pub(super) struct InsideProgram {
    pub(super) control: Arc<dyn AttemptControl>,
    pub(super) words: Vec<String>,
    pub(super) env: BTreeMap<String, String>,
    pub(super) timeout: Duration,
}

#[async_trait]
impl CustomProbe for InsideProgram {
    async fn check(&self) -> Answer {
        let command = InsideCommand {
            words: self.words.clone(),
            env: self.env.clone(),
            timeout: self.timeout,
        };
        match self.control.run_inside(command).await {
            Ok(InsideEnd::Exited { code: 0, .. }) => Answer::Good,
            Ok(InsideEnd::Exited { code, output }) => {
                let mut tail = Tail::default();
                tail.push(&output);
                Answer::bad(tail.explain(&format!("exit code {code}")))
            }
            Ok(InsideEnd::TimedOut) => Answer::bad(format!("no answer within {:?}", self.timeout)),
            Err(error) => Answer::unknown(format!(
                "cannot run `{}` inside: {}",
                self.words.first().map_or("", String::as_str),
                crate::error_chain(&error)
            )),
        }
    }
}

/// What the image's own check says.
#[derive(Clone)]
pub(crate) struct OwnProbe(pub(super) Arc<dyn AttemptControl>);

#[async_trait]
impl CustomProbe for OwnProbe {
    async fn check(&self) -> Answer {
        match self.0.own_health().await {
            Ok(Some(OwnHealth::Healthy)) => Answer::Good,
            Ok(Some(OwnHealth::Starting)) => Answer::not_yet("its own check has not passed yet"),
            Ok(Some(OwnHealth::Unhealthy { said: None })) => Answer::bad(FAILS),
            Ok(Some(OwnHealth::Unhealthy {
                said: Some((code, output)),
            })) => {
                let mut tail = Tail::default();
                tail.push(output.as_bytes());
                Answer::bad(format!(
                    "{FAILS}: {}",
                    tail.explain(&format!("exit code {code}"))
                ))
            }
            Ok(None) => Answer::unknown("its image has no check of its own: give it a `command`"),
            Err(error) => Answer::unknown(format!(
                "its own check cannot be asked: {}",
                crate::error_chain(&error)
            )),
        }
    }
}

impl fmt::Debug for InsideProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without arguments, which may hold what is nobody else's.
        f.debug_struct("InsideProgram")
            .field("program", &self.words.first())
            .finish_non_exhaustive()
    }
}

/// Of the check that an image brings along.
const FAILS: &str = "its own check fails";
