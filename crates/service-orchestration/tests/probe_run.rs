//! The loop that asks, against real listeners, programs, lines and notifications.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::{Either, select};
use service_orchestration::probe::{
    Answer, Asked, Checked, CustomProbe, Health, ProbeEvent, Prober, Probes, Role, Rule,
    Surroundings, ask, run,
};
use service_orchestration::spec::{Probe, ProbeAction, Template};
use testkit::{processes_with_env, run_everywhere, within};

const PATIENCE: Duration = Duration::from_secs(20);

fn surroundings(marker: &str) -> Surroundings {
    let path = std::env::var("PATH").expect("a PATH");
    Surroundings {
        env: BTreeMap::from([("PATH".into(), path), ("PROBE_TEST".into(), marker.into())]),
        ..Surroundings::default()
    }
}

fn asked(action: ProbeAction) -> Asked {
    asked_in(action, "run")
}

fn asked_in(action: ProbeAction, marker: &str) -> Asked {
    let probe = Probe {
        interval: Duration::from_millis(20),
        timeout: Duration::from_secs(5),
        ..Probe::new(action)
    };
    Asked::prepare(&probe, &surroundings(marker), |_| {
        Ok::<_, Infallible>(String::new())
    })
    .expect("prepared")
}

fn tcp(port: u16) -> ProbeAction {
    ProbeAction::Tcp {
        host: None,
        port: port.to_string().into(),
    }
}

fn shell(script: &str) -> ProbeAction {
    ProbeAction::Command {
        command: ["sh", "-c", script].map(Template::literal).to_vec(),
    }
}

/// Runs the probes until `wanted` has been told, and returns everything that was; `act` sees each answer.
async fn until(probes: Probes, wanted: ProbeEvent, mut act: impl FnMut(&Checked)) -> Vec<Checked> {
    let (told, tellings) = async_channel::unbounded();
    let running = run(probes, Prober::new(), Duration::ZERO, move |checked| {
        told.try_send(checked)
            .expect("the receiver outlives the probes");
    });
    let seen = async {
        let mut all: Vec<Checked> = Vec::new();
        loop {
            let Ok(checked) = tellings.recv().await else {
                return all;
            };
            act(&checked);
            let is_last = checked.events.contains(&wanted);
            all.push(checked);
            if is_last {
                return all;
            }
        }
    };
    futures::pin_mut!(running, seen);
    match within(PATIENCE, "the wanted event", select(running, seen)).await {
        Either::Left((_, seen)) => seen.await,
        Either::Right((all, _)) => all,
    }
}

fn readiness(asked: Asked) -> Probes {
    Probes {
        readiness: Some(asked),
        ..Probes::default()
    }
}

#[test]
fn a_listener_is_healthy_until_it_closes() {
    run_everywhere(|| async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let mut listener = Some(listener);
        let all = until(
            readiness(asked(tcp(port))),
            ProbeEvent::Unhealthy,
            |checked| {
                if checked.health == Health::Healthy {
                    listener = None;
                }
            },
        )
        .await;
        let first = all.first().expect("answers");
        assert_eq!(
            first.events,
            [
                ProbeEvent::Healthy,
                ProbeEvent::HealthChanged(Health::Healthy)
            ]
        );
        assert_eq!(first.reason, None);
        let last = all.last().expect("answers");
        let reason = last.reason.as_deref().expect("a reason");
        assert!(
            reason.starts_with(&format!("cannot connect to 127.0.0.1:{port}: ")),
            "{reason}"
        );
        assert!(all.len() >= 4, "three bad answers in a row");
    });
}

#[test]
fn a_line_of_output_makes_ready_for_good_whatever_bytes_it_has() {
    run_everywhere(|| async {
        let probes = readiness(asked(ProbeAction::Log {
            pattern: r"ready to accept \d+".into(),
        }));
        let feed = probes.feed();
        assert!(feed.wants_lines() && !feed.wants_notification());
        let writer = std::thread::spawn(move || {
            feed.notify();
            feed.line(b"starting");
            assert!(feed.wants_lines());
            feed.line(b"\xff\xfe LOG: ready to accept 100 connections");
            assert!(!feed.wants_lines());
        });
        let all = until(probes, ProbeEvent::Healthy, |_| {}).await;
        writer.join().expect("the writer");
        assert_eq!(all.len(), 1, "nothing is asked");
    });
}

#[test]
fn a_notification_is_seen_while_a_slow_command_is_asked() {
    run_everywhere(|| async {
        let probes = Probes {
            readiness: Some(asked(ProbeAction::Notify)),
            liveness: Some(asked_in(shell("exec sleep 1000"), "notify")),
            ..Probes::default()
        };
        let feed = probes.feed();
        let notifier = std::thread::spawn(move || {
            testkit::eventually_blocking(PATIENCE, "the command runs", || {
                !processes_with_env("PROBE_TEST=notify").is_empty()
            });
            feed.notify();
        });
        let all = until(probes, ProbeEvent::Healthy, |_| {}).await;
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].role, Role::Readiness);
        notifier.join().expect("the notifier");
    });
}

#[test]
fn a_pushed_startup_holds_the_others_back() {
    run_everywhere(|| async {
        let probes = Probes {
            startup: Some(asked(ProbeAction::Notify)),
            readiness: Some(asked(shell("true"))),
            ..Probes::default()
        };
        let feed = probes.feed();
        feed.notify();
        let all = until(probes, ProbeEvent::Healthy, |_| {}).await;
        let roles: Vec<_> = all.iter().map(|checked| checked.role).collect();
        assert_eq!(roles, [Role::Startup, Role::Readiness]);
    });
}

#[test]
fn probes_that_have_nothing_left_to_ask_end() {
    run_everywhere(|| async {
        let ended = run(Probes::default(), Prober::new(), Duration::ZERO, |_| {});
        within(PATIENCE, "no probes, no loop", ended).await;
        let probes = readiness(asked(ProbeAction::Notify));
        probes.feed().notify();
        let mut answers = 0;
        let ended = run(probes, Prober::new(), Duration::ZERO, |_| answers += 1);
        within(PATIENCE, "what was pushed is over", ended).await;
        assert_eq!(answers, 1);
    });
}

/// Counts how many of its questions are open, and answers the n-th one well.
struct Counting {
    open: AtomicUsize,
    asked: AtomicUsize,
    good_from: usize,
}

#[async_trait]
impl CustomProbe for Counting {
    async fn check(&self) -> Answer {
        assert_eq!(
            self.open.fetch_add(1, Ordering::SeqCst),
            0,
            "never two at once"
        );
        futures_lite::future::yield_now().await;
        self.open.fetch_sub(1, Ordering::SeqCst);
        match self.asked.fetch_add(1, Ordering::SeqCst) + 1 >= self.good_from {
            true => Answer::Good,
            false => Answer::bad("not yet"),
        }
    }
}

fn counting(good_from: usize) -> Arc<Counting> {
    Arc::new(Counting {
        open: AtomicUsize::new(0),
        asked: AtomicUsize::new(0),
        good_from,
    })
}

fn rule() -> Rule {
    asked(ProbeAction::Notify).rule().clone()
}

#[test]
fn a_slow_start_is_asked_quickly_and_one_question_at_a_time() {
    run_everywhere(|| async {
        let probe = counting(6);
        let rule = Rule {
            pushed: false,
            interval: Duration::from_secs(60),
            ..rule()
        };
        let probes = Probes {
            readiness: Some(Asked::custom(probe.clone(), rule.clone())),
            liveness: Some(Asked::custom(probe, rule)),
            ..Probes::default()
        };
        let all = until(probes, ProbeEvent::Healthy, |_| {}).await;
        assert!(all.len() >= 6);
        assert_eq!(all[0].reason.as_deref(), Some("not yet"));
    });
}

#[test]
fn dropping_the_loop_ends_what_its_commands_left_behind() {
    run_everywhere(|| async {
        let script = "setsid sleep 1000 >/dev/null 2>&1 </dev/null &";
        let prober = Prober::new();
        let (told, tellings) = async_channel::unbounded();
        let probes = readiness(asked_in(shell(script), "left"));
        let running = Box::pin(run(
            probes,
            prober.clone(),
            Duration::ZERO,
            move |checked| {
                told.try_send(checked)
                    .expect("the receiver outlives the probes");
            },
        ));
        let answer = Box::pin(tellings.recv());
        let Either::Right((answer, running)) = select(running, answer).await else {
            panic!("the loop goes on");
        };
        assert_eq!(answer.expect("an answer").health, Health::Healthy);
        drop(running);
        prober.settled().await;
        assert!(processes_with_env("PROBE_TEST=left").is_empty());
    });
}

#[test]
fn a_pushed_probe_can_be_asked_whether_it_has_come() {
    run_everywhere(|| async {
        let asked = asked(ProbeAction::Notify);
        let probes = readiness(asked.clone());
        assert!(matches!(
            ask(&asked, &Prober::new()).await,
            Answer::Unknown(_)
        ));
        probes.feed().notify();
        assert_eq!(ask(&asked, &Prober::new()).await, Answer::Good);
    });
}
