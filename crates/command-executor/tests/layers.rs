//! Layers around real programs, and the shapes the architecture document promises.

mod common;

use std::collections::HashMap;

use command_executor::event::{ProcessEventStream, ProcessEventType};
use command_executor::{
    Command, ExecutionLayer, Executor, Exit, LaunchError, LayerError, LayeredLauncher,
    LocalLauncher, LocalLayer, ManagedProcess, ProcessHandle, Target, quote,
};
use common::{SOON, rest};
use testkit::{run_everywhere, within};

/// A place reached through a shell that says where it is.
#[derive(Debug)]
struct Place(&'static str);

impl ExecutionLayer for Place {
    fn apply(&self, command: Command) -> Result<Command, LayerError> {
        let mut script =
            std::ffi::OsString::from(format!("PLACE=\"$PLACE/{}\"; export PLACE; ", self.0));
        script.push(quote::command(&command)?);
        let mut outer = Command::wrapping("sh", &command);
        outer.arg("-c").arg(script);
        Ok(outer)
    }
}

fn where_am_i() -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "echo $PLACE $1 $MORE; exit 5", "sh", "it's \"here\""]);
    command
}

#[test]
fn the_first_layer_added_is_passed_first() {
    run_everywhere(|| async {
        let executor = Executor::local()
            .with_layer(
                LocalLayer::new()
                    .with_env("PLACE", "")
                    .with_env("MORE", "and more"),
            )
            .with_layer(Place("host"))
            .with_layer(Place("container"));
        let done = executor
            .execute(&Target::Command, where_am_i())
            .await
            .expect("it runs");
        assert_eq!(
            String::from_utf8_lossy(&done.stdout),
            "/host/container it's \"here\" and more\n"
        );
        assert_eq!(
            done.exit,
            Exit::Code(5),
            "the exit code is the program's own"
        );

        let launcher = LayeredLauncher::new(LocalLauncher::new())
            .with_layer(Place("host"))
            .with_layer(Place("container"));
        let same = Executor::new(launcher)
            .execute(&Target::Command, where_am_i())
            .await
            .expect("it runs");
        assert_eq!(
            String::from_utf8_lossy(&same.stdout),
            "/host/container it's \"here\"\n"
        );
    });
}

#[test]
fn a_command_no_layer_can_carry_is_not_launched() {
    run_everywhere(|| async {
        let executor = Executor::local().with_layer(Place("host"));
        let error = executor
            .launch(&Target::Command, Command::new("a\0b"))
            .await
            .expect_err("NUL is refused");
        assert!(matches!(error, LaunchError::Layer { .. }), "{error:?}");
    });
}

/// The process executor of the architecture document, as far as this crate carries it.
struct ProcessExecutor {
    executor: Executor<LocalLauncher>,
}

struct ProcessInfo {
    handle: Box<dyn ProcessHandle>,
    event_stream: ProcessEventStream,
}

impl ProcessExecutor {
    async fn start(
        &self,
        binary: &String,
        args: &Vec<String>,
        env: &HashMap<String, String>,
    ) -> ProcessInfo {
        let mut cmd = Command::new(binary);
        cmd.args(args);
        for (key, value) in env {
            cmd.env(key, value);
        }
        let target = Target::ManagedProcess(ManagedProcess::new());
        let (event_stream, handle) = self.executor.launch(&target, cmd).await.expect("it runs");
        ProcessInfo {
            handle: Box::new(handle),
            event_stream,
        }
    }
}

#[test]
fn the_process_executor_of_the_architecture_document_works() {
    run_everywhere(|| async {
        let executor = ProcessExecutor {
            executor: Executor::local(),
        };
        let args = ["-c", "echo $GREETING; echo bad >&2; exit 2"]
            .map(String::from)
            .to_vec();
        let env = HashMap::from([("GREETING".to_owned(), "hello".to_owned())]);
        let info = executor.start(&"sh".to_owned(), &args, &env).await;
        let mut said = vec![];
        for event in rest(info.event_stream).await {
            match event.event_type {
                ProcessEventType::Stdout => said.push(format!("[sh] {}", event.data)),
                ProcessEventType::Stderr => said.push(format!("[sh] ERROR: {}", event.data)),
                ProcessEventType::Exit => {
                    said.push(format!("[sh] Process exited with code: {}", event.data));
                    break;
                }
                _ => {}
            }
        }
        said.sort();
        assert_eq!(
            said,
            [
                "[sh] ERROR: bad",
                "[sh] Process exited with code: 2",
                "[sh] hello"
            ]
        );
        let exit = within(SOON, "the end", info.handle.wait())
            .await
            .expect("it is watched");
        assert_eq!(exit, Exit::Code(2));
    });
}
