//! Runs one test body under every runtime a caller of our libraries may use.
//!
//! Owns: the list of runtimes. Never shares state between the runs: each gets a body of its own.

use std::future::Future;

/// Runs `body` under smol, under tokio (two workers) and under the plain executor of `futures`, one after another.
///
/// # Panics
/// As soon as the body does, after naming the runtime on stderr.
pub fn run_everywhere<F, Fut>(body: F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = ()>,
{
    let running = Running("smol");
    smol::block_on(body());
    drop(running);

    let running = Running("tokio");
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .expect("a tokio runtime starts")
        .block_on(body());
    drop(running);

    let running = Running("futures");
    futures::executor::block_on(body());
    drop(running);
}

/// Names the runtime when the body panics under it.
struct Running(&'static str);

impl Drop for Running {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the test failed under the runtime `{}`", self.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn the_body_runs_once_under_each_of_three_runtimes() {
        let runs = Cell::new(0);
        run_everywhere(|| async { runs.set(runs.get() + 1) });
        assert_eq!(runs.get(), 3);
    }
}
