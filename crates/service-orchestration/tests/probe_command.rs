//! Command probes: real programs, what they leave behind, and what they cost to end.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::future::join_all;
use service_orchestration::probe::{
    Answer, Asked, CustomProbe, PrepareError, Prober, Surroundings, ask,
};
use service_orchestration::spec::{Probe, ProbeAction, Template};
use testkit::{eventually, processes_with_env, run_everywhere, temp_dir};

const PATIENCE: Duration = Duration::from_secs(20);

fn surroundings(marker: &str) -> Surroundings {
    let path = std::env::var("PATH").expect("a PATH");
    Surroundings {
        env: BTreeMap::from([("PATH".into(), path), ("PROBE_TEST".into(), marker.into())]),
        ..Surroundings::default()
    }
}

fn command(words: &[&str], timeout: Duration, from: &Surroundings) -> Asked {
    let command = words.iter().map(|word| Template::literal(*word)).collect();
    let probe = Probe {
        timeout,
        ..Probe::new(ProbeAction::Command { command })
    };
    Asked::prepare(&probe, from, |_| Ok::<_, Infallible>(String::new())).expect("prepared")
}

fn shell(script: &str, timeout: Duration, from: &Surroundings) -> Asked {
    command(&["sh", "-c", script], timeout, from)
}

async fn gone(marker: &str) {
    let marker = format!("PROBE_TEST={marker}");
    eventually(PATIENCE, "no process of the probe is left", || {
        processes_with_env(&marker).is_empty()
    })
    .await;
}

/// The children of this process that have ended and were not reaped.
fn own_zombies() -> usize {
    let own = std::process::id().to_string();
    let entries = std::fs::read_dir("/proc")
        .expect("/proc is mounted")
        .flatten();
    let stats = entries.filter_map(|entry| std::fs::read_to_string(entry.path().join("stat")).ok());
    stats
        .filter(|stat| {
            let fields: Vec<&str> = stat
                .rsplit(") ")
                .next()
                .unwrap_or_default()
                .split(' ')
                .collect();
            fields.first() == Some(&"Z") && fields.get(1) == Some(&own.as_str())
        })
        .count()
}

#[test]
fn the_exit_code_is_the_answer_and_the_output_its_reason() {
    run_everywhere(|| async {
        let from = surroundings("exit");
        let prober = Prober::new();
        let answer = async |script: &str| ask(&shell(script, PATIENCE, &from), &prober).await;
        assert_eq!(answer("echo fine").await, Answer::Good);
        assert_eq!(answer("exit 3").await, Answer::Bad("exit code 3".into()));
        assert_eq!(
            answer("echo one; echo two >&2; exit 1").await,
            Answer::Bad("exit code 1: one\ntwo".into())
        );
        assert_eq!(
            answer("kill -9 $$").await,
            Answer::Bad("ended by signal 9".into())
        );
        assert_eq!(
            answer("read line; exit $?").await,
            Answer::Bad("exit code 1".into())
        );
    });
}

#[test]
fn a_flood_of_output_is_read_and_only_its_end_kept() {
    run_everywhere(|| async {
        let script = "head -c 3000000 /dev/zero | tr '\\0' x; echo the end; exit 1";
        let asked = shell(script, PATIENCE, &surroundings("flood"));
        let Answer::Bad(reason) = ask(&asked, &Prober::new()).await else {
            panic!("bad was expected");
        };
        assert!(reason.starts_with("exit code 1: …") && reason.ends_with("the end"));
        assert!(reason.len() <= 4096);
    });
}

#[test]
fn what_cannot_be_started_is_unknown_and_not_unhealthy() {
    run_everywhere(|| async {
        let from = surroundings("missing");
        for words in [
            &["no-such-program-anywhere"][..],
            &["./missing"],
            &["/etc/passwd"],
        ] {
            let answer = ask(&command(words, PATIENCE, &from), &Prober::new()).await;
            assert!(
                matches!(&answer, Answer::Unknown(why) if why.contains(words[0])),
                "{answer:?}"
            );
        }
    });
}

#[test]
fn it_runs_where_and_with_what_it_was_told_and_nothing_else() {
    run_everywhere(|| async {
        let dir = temp_dir();
        let from = Surroundings {
            working_dir: "sub".into(),
            directory: dir.path().to_owned(),
            ..surroundings("where")
        };
        std::fs::create_dir(dir.path().join("sub")).unwrap();
        let script = r#"test "$(basename "$PWD")" = sub && test -z "$HOME" && test -z "$CARGO" && env | grep -c =; exit 9"#;
        let Answer::Bad(reason) = ask(&shell(script, PATIENCE, &from), &Prober::new()).await else {
            panic!("bad was expected");
        };
        // PATH, PROBE_TEST, HARNESS_PROBE_ID, and what the shell adds: PWD and, some, `_`, OLDPWD or SHLVL.
        let count: u32 = reason
            .trim_start_matches("exit code 9: ")
            .parse()
            .expect("a count");
        assert!((4..=6).contains(&count), "{reason}");
        std::fs::copy("/bin/true", dir.path().join("good")).unwrap();
        assert_eq!(
            ask(&command(&["./good"], PATIENCE, &from), &Prober::new()).await,
            Answer::Good
        );
    });
}

#[test]
fn it_runs_as_the_user_and_group_it_was_told() {
    run_everywhere(|| async {
        // Only root may become somebody else; anybody may become themselves.
        let (user, group) = match (rustix::process::getuid(), rustix::process::getgid()) {
            (user, _) if user.is_root() => (65_534, 65_534),
            (user, group) => (user.as_raw(), group.as_raw()),
        };
        let from = Surroundings {
            user: Some(user),
            group: Some(group),
            ..surroundings("user")
        };
        let script = format!("test \"$(id -u):$(id -g)\" = {user}:{group}");
        let asked = shell(&script, PATIENCE, &from);
        assert_eq!(ask(&asked, &Prober::new()).await, Answer::Good);
    });
}

#[test]
fn an_overrun_ends_the_whole_tree_with_grandchildren_that_left_the_session() {
    run_everywhere(|| async {
        let from = surroundings("overrun");
        let script = "echo waiting; trap '' TERM; setsid sh -c 'trap \"\" TERM; sleep 1000 & sleep 1000' >/dev/null 2>&1 & sleep 1000 & sleep 1000";
        let asked = shell(script, Duration::from_millis(300), &from);
        let answer = ask(&asked, &Prober::new()).await;
        assert_eq!(
            answer,
            Answer::Bad("no answer within 300ms: waiting".into())
        );
        // Not eventually: when the answer is there, they are gone.
        assert!(processes_with_env("PROBE_TEST=overrun").is_empty());
    });
}

#[test]
fn a_child_that_outlives_a_good_answer_with_its_output_open_is_ended() {
    run_everywhere(|| async {
        let from = surroundings("outlive");
        let asked = shell("setsid sleep 1000 & exit 0", PATIENCE, &from);
        let began = Instant::now();
        assert_eq!(ask(&asked, &Prober::new()).await, Answer::Good);
        assert!(
            began.elapsed() < PATIENCE,
            "the open pipe does not hold the answer up"
        );
        gone("outlive").await;
    });
}

#[test]
fn dropping_a_question_ends_its_tree() {
    run_everywhere(|| async {
        let from = surroundings("dropped");
        let prober = Prober::new();
        let asked = shell("setsid sleep 1000 & sleep 1000", PATIENCE, &from);
        let started = eventually(PATIENCE, "three processes", || {
            processes_with_env("PROBE_TEST=dropped").len() >= 3
        });
        futures::pin_mut!(started);
        let question = Box::pin(ask(&asked, &prober));
        let futures::future::Either::Right((_, question)) =
            futures::future::select(question, started).await
        else {
            panic!("the question answers nothing");
        };
        drop(question);
        prober.settled().await;
        assert!(processes_with_env("PROBE_TEST=dropped").is_empty());
    });
}

#[test]
fn a_hundred_hanging_probes_leave_nothing() {
    run_everywhere(|| async {
        let from = surroundings("hundred");
        let prober = Prober::new();
        let timeout = Duration::from_millis(700);
        let hanging: Vec<_> = (0..100)
            .map(|_| shell("setsid sleep 1000 & sleep 1000", timeout, &from))
            .collect();
        let answers = join_all(hanging.iter().map(|asked| ask(asked, &prober))).await;
        assert!(
            answers
                .iter()
                .all(|answer| matches!(answer, Answer::Bad(_))),
            "{answers:?}"
        );
        assert!(processes_with_env("PROBE_TEST=hundred").is_empty());
        eventually(PATIENCE, "every program is reaped", || own_zombies() == 0).await;
    });
}

#[test]
fn no_more_programs_run_at_once_than_there_are_slots() {
    run_everywhere(|| async {
        let dir = temp_dir();
        let from = Surroundings {
            working_dir: dir.path().to_owned(),
            ..surroundings("slots")
        };
        let prober = Prober::limited(2);
        // Each makes a file while it runs, and fails when it sees more than two.
        let script = "touch run.$$; n=$(ls | grep -c run); rm run.$$; test $n -le 2";
        let asked = shell(script, PATIENCE, &from);
        let answers = join_all((0..20).map(|_| ask(&asked, &prober))).await;
        assert!(
            answers.iter().all(|answer| *answer == Answer::Good),
            "{answers:?}"
        );
    });
}

struct Slow;

#[async_trait]
impl CustomProbe for Slow {
    async fn check(&self) -> Answer {
        std::future::pending().await
    }
}

#[test]
fn a_custom_probe_has_its_time_too() {
    run_everywhere(|| async {
        let from = surroundings("custom");
        let rule = shell("true", Duration::from_millis(30), &from)
            .rule()
            .clone();
        let asked = Asked::custom(std::sync::Arc::new(Slow), rule);
        assert_eq!(
            ask(&asked, &Prober::new()).await,
            Answer::Bad("no answer within 30ms".into())
        );
    });
}

#[test]
fn what_can_never_be_asked_is_refused_before_it_is() {
    let prepare = |action| {
        Asked::prepare(&Probe::new(action), &Surroundings::default(), |_| {
            Ok::<_, Infallible>("x".into())
        })
        .expect_err("refused")
    };
    let tcp = |port: &str| ProbeAction::Tcp {
        host: None,
        port: port.into(),
    };
    let log = ProbeAction::Log {
        pattern: "(".into(),
    };
    let empty = ProbeAction::Command { command: vec![] };
    assert!(matches!(
        prepare(ProbeAction::Container),
        PrepareError::Unsupported {
            kind: "container",
            ..
        }
    ));
    assert!(matches!(prepare(tcp("0")), PrepareError::Port(_)));
    assert!(matches!(prepare(tcp("http")), PrepareError::Port(_)));
    assert!(matches!(prepare(log), PrepareError::Pattern { .. }));
    assert!(matches!(prepare(empty), PrepareError::EmptyCommand));
}
