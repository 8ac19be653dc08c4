//! What every executor promises, as tests that know nothing of any one of them.
//!
//! Owns: the list of promises. A new executor gets a [`ground::Ground`] and one line below; a promise that it cannot
//! keep is left out of its line, and its documentation says so.

mod adopting;
mod bytes;
#[cfg(feature = "docker-tests")]
mod containers;
#[cfg(feature = "docker-tests")]
mod docker;
mod ending;
mod ground;
mod launching;
mod process;
mod remote;
mod streaming;

use testkit::run_everywhere;

/// One test for each promise, on grounds made by `$ground`, under every runtime.
macro_rules! keeps {
    ($module:ident on $ground:expr => $($group:ident :: $promise:ident),* $(,)?) => {
        mod $module {
            use super::*;
            $(
                #[test]
                fn $promise() {
                    run_everywhere(|| async { $group::$promise(&$ground).await });
                }
            )*
        }
    };
}

/// Every promise.
macro_rules! keeps_everything {
    ($module:ident on $ground:expr) => {
        keeps! { $module on $ground =>
            launching::the_process_named_is_the_service_itself,
            launching::an_exit_code_is_told,
            launching::a_fatal_signal_is_told,
            launching::environment_and_directory_are_those_ordered_and_nothing_else,
            launching::a_missing_program_is_not_runnable,
            launching::a_file_that_may_not_be_executed_is_refused,
            launching::a_missing_directory_is_refused,
            launching::another_user_is_taken_on,
            launching::an_unknown_user_is_refused,
            ending::a_polite_service_ends_by_the_signal_it_wants,
            ending::a_deaf_service_is_killed_after_its_grace,
            ending::a_stop_of_all_asks_every_process,
            ending::a_kill_ends_the_whole_tree_at_once,
            ending::a_grandchild_that_left_its_session_is_gone_after_the_stop,
            ending::what_a_service_leaves_behind_is_ended_before_its_end_is_told,
            ending::one_signal_is_sent_to_the_main_process_and_nothing_else,
            ending::stopping_what_has_ended_is_no_error,
            adopting::a_service_is_found_again_by_the_same_pid,
            adopting::an_end_that_nobody_watched_is_known,
            adopting::what_was_said_meanwhile_is_in_the_log,
            adopting::what_was_never_launched_has_not_begun_or_ended_unknown,
            adopting::what_has_ended_can_be_forgotten,
            bytes::lines_of_both_streams_arrive_complete_and_in_order,
            bytes::bytes_that_are_no_text_arrive_as_they_are,
            bytes::a_line_of_a_mebibyte_arrives_whole,
            bytes::a_last_line_without_newline_is_not_lost,
            bytes::attempts_are_told_apart,
            streaming::every_reader_gets_everything_from_the_first_byte_and_the_exit_last,
            streaming::a_reader_is_told_what_is_said_while_it_reads,
            streaming::a_stop_returns_when_the_service_is_gone,
            streaming::an_end_by_a_signal_is_the_last_event,
        }
    };
}

keeps_everything! { processes_beside_a_shim on process::ProcessGround::beside_a_shim() }
keeps_everything! { processes_on_a_thread on process::ProcessGround::on_a_thread() }

// What an attempt on another host does not promise, and why:
// - environment_and_directory_are_those_ordered_and_nothing_else: it is told the home of who logs in there.
// What it promises instead is in `remote`.
macro_rules! keeps_as_a_host {
    ($module:ident on $ground:expr $(, $group:ident :: $promise:ident)*) => {
        keeps! { $module on $ground =>
            $($group::$promise,)*
            launching::the_process_named_is_the_service_itself,
            launching::an_exit_code_is_told,
            launching::a_fatal_signal_is_told,
            launching::a_missing_program_is_not_runnable,
            launching::a_file_that_may_not_be_executed_is_refused,
            launching::a_missing_directory_is_refused,
            launching::another_user_is_taken_on,
            launching::an_unknown_user_is_refused,
            ending::a_polite_service_ends_by_the_signal_it_wants,
            ending::a_deaf_service_is_killed_after_its_grace,
            ending::a_stop_of_all_asks_every_process,
            ending::a_kill_ends_the_whole_tree_at_once,
            ending::what_a_service_leaves_behind_is_ended_before_its_end_is_told,
            ending::one_signal_is_sent_to_the_main_process_and_nothing_else,
            ending::stopping_what_has_ended_is_no_error,
            adopting::a_service_is_found_again_by_the_same_pid,
            adopting::an_end_that_nobody_watched_is_known,
            adopting::what_was_said_meanwhile_is_in_the_log,
            adopting::what_was_never_launched_has_not_begun_or_ended_unknown,
            adopting::what_has_ended_can_be_forgotten,
            bytes::lines_of_both_streams_arrive_complete_and_in_order,
            bytes::bytes_that_are_no_text_arrive_as_they_are,
            bytes::a_line_of_a_mebibyte_arrives_whole,
            bytes::a_last_line_without_newline_is_not_lost,
            bytes::attempts_are_told_apart,
            streaming::every_reader_gets_everything_from_the_first_byte_and_the_exit_last,
            streaming::a_reader_is_told_what_is_said_while_it_reads,
            streaming::a_stop_returns_when_the_service_is_gone,
            streaming::an_end_by_a_signal_is_the_last_event,
            remote::the_environment_is_what_is_ordered_and_a_home,
            remote::a_directory_of_its_own_is_where_it_runs,
            remote::a_command_beside_it_is_run_to_its_end_or_ended_when_its_time_is_over,
            remote::a_host_that_is_not_known_is_refused_with_what_to_do,
        }
    };
}

// That one is looked for by its number, which is another one on a host.
keeps_as_a_host! { programs_behind_an_agent on remote::HostGround::behind_an_agent(),
    ending::a_grandchild_that_left_its_session_is_gone_after_the_stop
}
#[cfg(feature = "ssh-tests")]
keeps_as_a_host! { programs_on_a_host on remote::HostGround::over_ssh() }

// What a container cannot promise, and why:
// - the_process_named_is_the_service_itself: its number inside is another one.
// - environment_and_directory_are_those_ordered_and_nothing_else, a_missing_directory_is_refused: an image has an
//   environment, and the engine makes a directory that is missing.
// - a_stop_of_all_asks_every_process: the engine signals PID 1 and nobody else.
// - a_grandchild_that_left_its_session_is_gone_after_the_stop,
//   what_a_service_leaves_behind_is_ended_before_its_end_is_told: the kernel ends all with PID 1, so none is left to count.
// - bytes_that_are_no_text_arrive_as_they_are: the engine keeps UTF-8.
// What it promises instead is in `containers`.
#[cfg(feature = "docker-tests")]
keeps! { containers_of_an_engine on docker::ContainerGround::new() =>
    launching::an_exit_code_is_told,
    launching::a_fatal_signal_is_told,
    launching::a_missing_program_is_not_runnable,
    launching::a_file_that_may_not_be_executed_is_refused,
    launching::another_user_is_taken_on,
    launching::an_unknown_user_is_refused,
    ending::a_polite_service_ends_by_the_signal_it_wants,
    ending::a_deaf_service_is_killed_after_its_grace,
    ending::a_kill_ends_the_whole_tree_at_once,
    ending::one_signal_is_sent_to_the_main_process_and_nothing_else,
    ending::stopping_what_has_ended_is_no_error,
    adopting::a_service_is_found_again_by_the_same_pid,
    adopting::an_end_that_nobody_watched_is_known,
    adopting::what_was_said_meanwhile_is_in_the_log,
    adopting::what_was_never_launched_has_not_begun_or_ended_unknown,
    adopting::what_has_ended_can_be_forgotten,
    bytes::lines_of_both_streams_arrive_complete_and_in_order,
    bytes::a_line_of_a_mebibyte_arrives_whole,
    bytes::a_last_line_without_newline_is_not_lost,
    bytes::attempts_are_told_apart,
    streaming::every_reader_gets_everything_from_the_first_byte_and_the_exit_last,
    streaming::a_reader_is_told_what_is_said_while_it_reads,
    streaming::a_stop_returns_when_the_service_is_gone,
    streaming::an_end_by_a_signal_is_the_last_event,
    containers::the_environment_is_that_of_the_image_and_what_is_ordered,
    containers::what_a_service_leaves_behind_goes_with_its_container,
    containers::what_was_made_and_never_started_is_removed_when_it_is_looked_for,
    containers::what_somebody_removes_has_ended,
    containers::bytes_that_are_no_utf8_are_kept_as_the_engine_keeps_them,
    containers::readiness_is_not_told_by_sd_notify,
    containers::a_command_inside_is_run_to_its_end_or_ended_when_its_time_is_over,
    containers::its_own_check_is_told_as_the_engine_tells_it,
    containers::one_without_a_check_has_no_health_of_its_own,
    containers::one_that_runs_is_not_forgotten,
    containers::a_name_that_a_strangers_container_has_is_refused,
}
