//! What becomes of attempts and of their output on a host: asked again and again, for all of them at once.
//!
//! Owns: who wants to know of what, and the pace. A shell cannot tell by itself: as long as somebody waits, it is asked twice
//! a second, and sooner for a while after anything has happened.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_channel::{Receiver, Sender};
use async_io::Timer;
use futures_lite::FutureExt;

use super::record::Sight;
use super::reply::Reply;
use super::shell::Shell;

/// Who wants to know.
#[derive(Debug)]
pub(super) struct Watch {
    // A lock because any stream may begin to wait; held to look and to set.
    wanted: Mutex<Wanted>,
    hurry: Sender<()>,
    hurried: Receiver<()>,
}

#[derive(Debug, Default)]
struct Wanted {
    next: u64,
    items: BTreeMap<u64, Item>,
}

#[derive(Debug)]
struct Item {
    subject: Subject,
    last: Option<Seen>,
    news: Sender<Seen>,
    /// What is read of it, so that only the newest waits.
    pending: Receiver<Seen>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Subject {
    /// A run directory.
    Attempt(PathBuf),
    /// A log, by the beginning of its files' names.
    Log(PathBuf),
}

/// What was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    Attempt(Sight),
    Log(Sizes),
}

/// How much output there is, and whether it will be more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Sizes {
    pub(super) bytes: [u64; 2],
    pub(super) has_ended: bool,
}

/// One who waits; nobody any more with the value.
pub(super) struct Watching {
    watch: Arc<Watch>,
    number: u64,
    news: Receiver<Seen>,
}

impl Watch {
    pub(super) fn new() -> Arc<Watch> {
        let (hurry, hurried) = async_channel::bounded(1);
        Arc::new(Watch {
            wanted: Mutex::default(),
            hurry,
            hurried,
        })
    }

    /// Tells what becomes of a run directory.
    pub(super) fn attempt(self: &Arc<Self>, dir: &Path) -> Watching {
        self.begin(Subject::Attempt(dir.to_owned()))
    }

    /// Tells how much output there is.
    pub(super) fn log(self: &Arc<Self>, prefix: &Path) -> Watching {
        self.begin(Subject::Log(prefix.to_owned()))
    }

    /// Something is about to happen.
    pub(super) fn hurry(&self) {
        // Once is enough.
        let _ = self.hurry.try_send(());
    }

    /// Asks for as long as the shell answers.
    pub(super) async fn keep(&self, shell: &Shell) {
        let mut pause = SHORTEST;
        loop {
            let subjects = self.subjects();
            if subjects.is_empty() {
                if self.hurried.recv().await.is_err() {
                    return;
                }
                pause = SHORTEST;
                continue;
            }
            let Ok(reply) = shell.ask("watch", words(&subjects)).await else {
                return;
            };
            let is_news = self.tell(&subjects, &reply);
            pause = match is_news {
                true => SHORTEST,
                false => (pause * 3 / 2).min(LONGEST),
            };
            let rested = async {
                Timer::after(pause).await;
                false
            };
            let hurry = async { self.hurried.recv().await.is_ok() };
            if rested.or(hurry).await {
                pause = SHORTEST;
            }
        }
    }

    fn begin(self: &Arc<Self>, subject: Subject) -> Watching {
        let (news, pending) = async_channel::bounded(1);
        let mut wanted = self.lock();
        let number = wanted.next;
        wanted.next += 1;
        let item = Item {
            subject,
            last: None,
            news,
            pending: pending.clone(),
        };
        wanted.items.insert(number, item);
        drop(wanted);
        self.hurry();
        Watching {
            watch: Arc::clone(self),
            number,
            news: pending,
        }
    }

    /// What is watched, run directories first: so they are asked for.
    fn subjects(&self) -> Vec<(u64, Subject)> {
        let wanted = self.lock();
        let all = wanted.items.iter();
        let mut all: Vec<_> = all
            .map(|(number, item)| (*number, item.subject.clone()))
            .collect();
        all.sort_by_key(|(_, subject)| matches!(subject, Subject::Log(_)));
        all
    }

    /// Whether anything is new.
    fn tell(&self, subjects: &[(u64, Subject)], reply: &Reply) -> bool {
        let mut sights = reply.lines();
        let sizes = sizes(&reply.text());
        let mut is_news = false;
        let mut wanted = self.lock();
        for (number, subject) in subjects {
            let seen = match subject {
                Subject::Attempt(_) => {
                    let sight = sights.next().and_then(|word| Sight::parse(&word));
                    sight.map(Seen::Attempt)
                }
                Subject::Log(prefix) => Some(Seen::Log(of_log(prefix, &sizes))),
            };
            let (Some(seen), Some(item)) = (seen, wanted.items.get_mut(number)) else {
                continue;
            };
            if item.last != Some(seen) {
                item.last = Some(seen);
                is_news = true;
                // What nobody has read yet is out of date.
                let _ = item.pending.try_recv();
                let _ = item.news.try_send(seen);
            }
        }
        is_news
    }

    fn lock(&self) -> MutexGuard<'_, Wanted> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watching {
    /// What is seen, when it is not what was seen before; at first, whatever it is. Never, once the shell is gone.
    ///
    /// # Cancellation
    /// Safe.
    pub(super) async fn next(&self) -> Option<Seen> {
        self.news.recv().await.ok()
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.watch.lock().items.remove(&self.number);
    }
}

/// The files of a log that are looked at: its end first, so that a size which is seen after it is the last.
fn files(prefix: &Path) -> [OsString; 3] {
    ["end", "out", "err"].map(|name| file(prefix, name))
}

/// A file of a log.
fn file(prefix: &Path, name: &str) -> OsString {
    let mut file = prefix.as_os_str().to_owned();
    file.push(".");
    file.push(name);
    file
}

fn words(subjects: &[(u64, Subject)]) -> Vec<OsString> {
    let dirs = subjects.iter().filter_map(|(_, subject)| match subject {
        Subject::Attempt(dir) => Some(dir.as_os_str().to_owned()),
        Subject::Log(_) => None,
    });
    let logs = subjects.iter().filter_map(|(_, subject)| match subject {
        Subject::Attempt(_) => None,
        Subject::Log(prefix) => Some(files(prefix)),
    });
    dirs.chain([OsString::from("--")])
        .chain(logs.flatten())
        .collect()
}

/// Of each file that is there, as `wc` tells: a number and a name in a line.
fn sizes(text: &str) -> BTreeMap<String, u64> {
    let parse = |line: &str| {
        let (size, name) = line.trim_start().split_once(' ')?;
        Some((name.to_owned(), size.parse().ok()?))
    };
    text.lines().filter_map(parse).collect()
}

fn of_log(prefix: &Path, sizes: &BTreeMap<String, u64>) -> Sizes {
    let size = |name: &str| sizes.get(&*file(prefix, name).to_string_lossy()).copied();
    Sizes {
        bytes: ["out", "err"].map(|name| size(name).unwrap_or_default()),
        has_ended: size("end").is_some(),
    }
}

const SHORTEST: Duration = Duration::from_millis(20);
/// The host is a machine of its own, and each question costs it a process.
const LONGEST: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_any_wc_tells_them() {
        let log = Path::new("/a b/1");
        for text in [
            "0 /a b/1.end\n343 /a b/1.out\n  7 /a b/1.err\n350 total",
            "        0 /a b/1.end\n      343 /a b/1.out\n        7 /a b/1.err\n",
        ] {
            let found = of_log(log, &sizes(text));
            assert_eq!((found.bytes, found.has_ended), ([343, 7], true));
        }
        assert_eq!(of_log(log, &sizes("3 /a b/1.out")).bytes, [3, 0]);
    }
}
