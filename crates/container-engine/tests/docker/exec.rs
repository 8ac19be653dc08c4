//! Programs inside a container.

use std::time::Duration;

use container_engine::{ContainerStatus, EngineError, ExecConfig, ExecEnd, ExecLimits};

use crate::support::with_engine;

pub(crate) fn shell(line: &str) -> ExecConfig {
    ExecConfig {
        command: ["/bin/sh", "-c", line].map(str::to_owned).into(),
        ..ExecConfig::default()
    }
}

#[test]
fn a_program_is_run_with_its_own_surroundings() {
    with_engine(async |world| {
        let id = world.started("exec", &world.shell("sleep 1000")).await;
        let config = ExecConfig {
            environment: [("WORD", "hello")].into_iter().collect(),
            working_dir: Some("/bin".to_owned()),
            user: Some("12:34".to_owned()),
            ..shell("echo $WORD; pwd; id -u; id -g; echo bad >&2; exit 3")
        };
        let limits = ExecLimits::default();
        let outcome = world.engine.exec(&id, &config, &limits).await.unwrap();
        assert_eq!(outcome.end, ExecEnd::Exited { code: 3 });
        assert_eq!(outcome.stdout, b"hello\n/bin\n12\n34\n");
        assert_eq!(outcome.stderr, b"bad\n");
        assert!(!outcome.is_cut);
        let terminal = ExecConfig {
            tty: true,
            ..shell("echo a; echo b >&2; test -t 1")
        };
        let outcome = world.engine.exec(&id, &terminal, &limits).await.unwrap();
        assert_eq!(
            (outcome.stdout.as_slice(), outcome.exit_code()),
            (b"a\r\nb\r\n".as_slice(), Some(0))
        );
    });
}

#[test]
fn output_over_the_bound_is_dropped_and_the_program_not_held_up() {
    with_engine(async |world| {
        let id = world.started("much", &world.shell("sleep 1000")).await;
        let limits = ExecLimits {
            max_output_bytes: 10,
            ..ExecLimits::default()
        };
        let much = shell("dd if=/dev/zero bs=100k count=20 2>/dev/null; exit 4");
        let outcome = world.engine.exec(&id, &much, &limits).await.unwrap();
        assert_eq!((outcome.stdout.len(), outcome.exit_code()), (10, Some(4)));
        assert!(outcome.is_cut);
    });
}

#[test]
fn a_program_that_does_not_end_is_told_with_its_process_id() {
    with_engine(async |world| {
        let id = world.started("slow", &world.shell("sleep 1000")).await;
        let limits = ExecLimits {
            timeout: Duration::from_secs(2),
            ..ExecLimits::default()
        };
        let slow = shell("echo begun; exec sleep 999");
        let outcome = world.engine.exec(&id, &slow, &limits).await.unwrap();
        assert_eq!(outcome.stdout, b"begun\n");
        let ExecEnd::TimedOut { pid: Some(pid) } = outcome.end else {
            panic!("{outcome:?}");
        };
        // The engine's host numbers it: it may be none of ours.
        let cli = world.engine.cli();
        let top = std::process::Command::new(&cli[0])
            .args(&cli[1..])
            .args(["top", id.as_str(), "-o", "pid,args"])
            .output()
            .unwrap();
        let top = String::from_utf8(top.stdout).unwrap();
        let line = top.lines().find(|line| line.ends_with("sleep 999"));
        let number = line.and_then(|line| line.split_whitespace().next());
        assert_eq!(number, Some(pid.to_string().as_str()), "{top}");
    });
}

#[test]
fn what_cannot_be_run_is_told() {
    with_engine(async |world| {
        let engine = &world.engine;
        let id = world.started("not", &world.shell("sleep 1000")).await;
        let limits = ExecLimits::default();
        let nowhere = ExecConfig {
            command: vec!["/nowhere".to_owned()],
            ..ExecConfig::default()
        };
        match engine.exec(&id, &nowhere, &limits).await {
            Ok(outcome) => assert!(
                matches!(outcome.exit_code(), Some(126 | 127)),
                "{outcome:?}"
            ),
            Err(error) => assert!(
                matches!(error, EngineError::NotRunnable { .. }),
                "{error:?}"
            ),
        }
        engine.pause(&id).await.unwrap();
        let error = engine.exec(&id, &shell("true"), &limits).await.unwrap_err();
        assert!(matches!(error, EngineError::Conflict { .. }), "{error:?}");
        assert_eq!(
            engine.inspect(&id).await.unwrap().state.status,
            ContainerStatus::Paused
        );
        engine.unpause(&id).await.unwrap();
        engine.kill(&id, "KILL").await.unwrap();
        engine.wait(&id).await.unwrap();
        let error = engine.exec(&id, &shell("true"), &limits).await.unwrap_err();
        assert!(matches!(error, EngineError::NotRunning { .. }), "{error:?}");
    });
}
