//! What a launch promises: the right program, the right surroundings, a refusal that says why.

use service_orchestration::executors::LaunchError;
use service_orchestration::logs::LogStream;

use crate::ground::*;

pub(crate) async fn the_process_named_is_the_service_itself(ground: &dyn Ground) {
    let mut attempt = launch(ground, fixture(ground, &["hold"])).await;
    assert_eq!(told(ground, &mut *attempt, "pid").await, pid_of(&*attempt));
    assert!(ground.is_alive(pid_of(&*attempt)));
    attempt.control().kill().await.expect("it runs");
    end_of(&mut *attempt).await;
    assert!(!ground.is_alive(pid_of(&*attempt)));
}

pub(crate) async fn an_exit_code_is_told(ground: &dyn Ground) {
    for number in [0, 7, 255] {
        let mut order = fixture(ground, &["exit", &number.to_string()]);
        order.attempt = 1 + u64::try_from(number).expect("not negative");
        let mut attempt = launch(ground, order).await;
        let exit = end_of(&mut *attempt).await;
        assert_eq!((plain(&exit), exit.stop), (code(number), None));
    }
}

pub(crate) async fn a_fatal_signal_is_told(ground: &dyn Ground) {
    let mut attempt = launch(ground, fixture(ground, &["crash-after", "1"])).await;
    assert_eq!(plain(&end_of(&mut *attempt).await), ground.by_signal(6));
}

/// What a service with one variable of its own is told, in order, beside its instance id; and that it runs where it should.
pub(crate) async fn environment_of_one(ground: &dyn Ground) -> (String, Vec<String>) {
    let mut order = shell(ground, "pwd; env");
    order
        .env
        .insert("GREETING".into(), "two words = one".into());
    order.working_dir = ground.directory().into();
    let id = order.instance_id.clone();
    let mut attempt = launch(ground, order).await;
    end_of(&mut *attempt).await;
    let said = String::from_utf8(written(ground, LogStream::Stdout).await).expect("text");
    let (directory, environment) = said.split_once('\n').expect("two answers");
    assert_eq!(directory, ground.directory());
    // What a shell adds by itself is not ours.
    let of_shell = ["PWD=", "OLDPWD=", "SHLVL=", "_="];
    let is_ours = |line: &&str| !of_shell.iter().any(|own| line.starts_with(own));
    let mut environment: Vec<_> = environment
        .lines()
        .filter(is_ours)
        .map(str::to_owned)
        .collect();
    environment.sort_unstable();
    (id, environment)
}

pub(crate) async fn environment_and_directory_are_those_ordered_and_nothing_else(
    ground: &dyn Ground,
) {
    let (id, environment) = environment_of_one(ground).await;
    let marker = format!("HARNESS_INSTANCE_ID={id}");
    assert_eq!(
        environment,
        ["GREETING=two words = one", &marker, "PATH=/usr/bin:/bin"]
    );
}

pub(crate) async fn a_missing_program_is_not_runnable(ground: &dyn Ground) {
    let executor = ground.executor();
    for program in ["no-such-program", "/no/such/program"] {
        match refusal(ground, ground.order(&[program])).await {
            LaunchError::NotRunnable { program: named, .. } => assert_eq!(named, program),
            other => panic!("{program}: {other:?}"),
        }
    }
    assert!(
        executor.known().await.is_empty(),
        "a refused launch leaves nothing"
    );
}

pub(crate) async fn a_file_that_may_not_be_executed_is_refused(ground: &dyn Ground) {
    let file = ground.put_plain_file();
    match refusal(ground, ground.order(&[&file])).await {
        LaunchError::NotRunnable { .. } | LaunchError::NotPermitted { .. } => {}
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn a_missing_directory_is_refused(ground: &dyn Ground) {
    let mut order = fixture(ground, &["exit", "0"]);
    order.working_dir = "/no/such/directory".into();
    match refusal(ground, order).await {
        LaunchError::NotRunnable { reason, .. } => {
            assert!(reason.contains("/no/such/directory"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn another_user_is_taken_on(ground: &dyn Ground) {
    if !ground.may_switch_user() {
        return;
    }
    let script = "id -un; id -u; echo to the other stream >&2; exit 3";
    let mut attempt = launch(ground, ground.as_user(shell(ground, script), "nobody")).await;
    assert_eq!(plain(&end_of(&mut *attempt).await), code(3));
    let said = written(ground, LogStream::Stdout).await;
    assert_eq!(String::from_utf8_lossy(&said), "nobody\n65534\n");
    assert_eq!(
        written(ground, LogStream::Stderr).await,
        b"to the other stream\n"
    );
}

pub(crate) async fn an_unknown_user_is_refused(ground: &dyn Ground) {
    let order = ground.as_user(shell(ground, "exit 0"), "no-such-user");
    match refusal(ground, order).await {
        LaunchError::NotPermitted { reason, .. } => {
            assert!(reason.contains("no-such-user"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
}
