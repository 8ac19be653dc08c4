//! Images, made ready from the start of an order on: not each when the turn of its unit comes.
//!
//! Owns: which units' images are made early, and what a failure means for a unit that waits. The launch of a unit looks for
//! its image as ever, and waits for what is being made of it.

use std::sync::Arc;
use std::time::Instant;

use super::inbox::{AttemptNews, Inbox};
use super::turn::Supervisor;
use crate::executors::{LaunchError, Making, Progress};
use crate::model::{Index, Report, State};

/// How the making of an image goes.
#[derive(Debug)]
pub(crate) enum ImageNews {
    /// It goes on.
    Making(Making),
    /// It is there, or cannot be.
    Done(Result<(), LaunchError>),
}

impl Supervisor {
    /// Units were asked for something: those that wait for their turn get their images meanwhile, and those that are not
    /// wanted any more need none.
    pub(super) fn make_images(&mut self, asked: &[Index]) {
        let now = Instant::now();
        for unit in asked {
            let view = self.world.unit(*unit);
            let (is_wanted, state, attempt) = (view.wanted && !view.held, view.state, view.attempt);
            if !is_wanted {
                let entry = self.units.get_mut(*unit);
                entry.imaging = None;
                entry.image_since = None;
                continue;
            }
            // Whoever is launched now looks by itself, and shares with the others.
            if matches!(state, State::Idle | State::Starting) {
                self.units.get_mut(*unit).image_since = Some(now);
            }
            let entry = self.units.get(*unit);
            if state != State::Idle || entry.imaging.is_some() {
                continue;
            }
            let target = &entry.spec.target;
            let executor = self.setting.executors.get(target.kind());
            let Some(executor) = executor
                .filter(|it| it.needs_ground(target))
                .map(Arc::clone)
            else {
                continue;
            };
            // What is not known yet is when its turn comes.
            let Ok(mut order) = self.ground_order(entry, attempt) else {
                continue;
            };
            let (unit, inbox) = (*unit, self.sender.clone());
            let teller = inbox.clone();
            order.progress = Progress::to(move |making| {
                let news = ImageNews::Making(making);
                drop(teller.try_send(Inbox::Image { unit, news }));
            });
            let making = async move {
                let news = ImageNews::Done(executor.provide(order).await);
                drop(inbox.try_send(Inbox::Image { unit, news }));
            };
            let task = self.setting.spawner.spawn(making);
            self.units.get_mut(unit).imaging = Some(task);
        }
    }

    /// Something is reported of the making of an image.
    pub(super) fn image_news(&mut self, unit: Index, news: ImageNews) {
        let is_awaited = self.units.find(unit).is_some_and(|it| it.imaging.is_some());
        if !is_awaited {
            return;
        }
        match news {
            ImageNews::Making(making) => self.preparing(unit, making),
            ImageNews::Done(made) => {
                self.units.get_mut(unit).imaging = None;
                let (state, attempt) = {
                    let view = self.world.unit(unit);
                    (view.state, view.attempt)
                };
                match made {
                    Err(error) if error.is_final() && state == State::Idle => {
                        let entry = self.units.get_mut(unit);
                        tracing::warn!(unit = %entry.id, %error, "it cannot be launched when its turn comes");
                        entry.facts.reason = Some(crate::error_chain(&error));
                        entry.facts.exit = None;
                        self.tell(unit, attempt, Report::Unlaunchable);
                        self.record(unit);
                    }
                    Err(error) if error.is_final() && self.units.get(unit).is_preparing => {
                        self.notice(unit, attempt, AttemptNews::NotLaunched(error));
                    }
                    // Its turn tells, should it still be so.
                    Ok(()) | Err(_) if state == State::Idle => {
                        let entry = self.units.get_mut(unit);
                        entry.facts.reason = None;
                        entry.last_output = Vec::new();
                    }
                    Ok(()) | Err(_) => {}
                }
            }
        }
    }
}
