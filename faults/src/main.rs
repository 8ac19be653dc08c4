//! `faults`: what the programs promise under faults, tried on the real programs. Run it by `cargo xtask faults`.
//!
//! Owns: the command line and the exit code. Without arguments it runs the whole matrix; `list` says what is in it.

mod asked;
mod chance;
mod engine;
mod fault;
mod invariants;
mod lanes;
mod matrix;
mod oracle;
mod place;
mod player;
mod proc;
mod proxy;
mod row;
mod rows;
mod talk;
mod tools;
mod tracer;
mod wait;

use std::process::ExitCode;
use std::time::Duration;

use fault::Fault;
use row::{Order, Row, When};

const USAGE: &str = "\
usage: faults [NAME…] [--quick] [--seed N]   run rows: those named, else all
       faults soak DURATION [NAME…]          run rows with other seeds again and again (10m, 1h)
       faults beside                         the same trials under other programs, as a table
       faults list                           what rows there are, and what each promises";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        // What a row starts as its services.
        Some("play") => ExitCode::from(u8::try_from(player::play(&arguments[1..])).unwrap_or(1)),
        Some("row") => ExitCode::from(one(&arguments[1..])),
        Some("list") => {
            for row in matrix::ROWS {
                println!("{:<24} {}", row.name, row.promise);
            }
            ExitCode::SUCCESS
        }
        Some("soak") => soak(&arguments[1..]),
        Some("beside") => beside(&arguments[1..]),
        _ => matrix(&arguments),
    }
}

/// Runs one row in this process, which is in namespaces of its own. The last line says what came of it.
fn one(arguments: &[String]) -> u8 {
    let Some((row, order)) = arguments.split_first().and_then(|(name, rest)| {
        let row = matrix::ROWS.iter().find(|row| row.name == name)?;
        Some((row, order(rest)?.0))
    }) else {
        eprintln!("{USAGE}");
        return 2;
    };
    match (row.run)(&order) {
        Ok(figure) => {
            println!("{figure}");
            0
        }
        Err(fault) => {
            println!("{fault}");
            1
        }
    }
}

fn matrix(arguments: &[String]) -> ExitCode {
    let Some((order, names)) = order(arguments) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let Some(rows) = chosen(&names, order.quick) else {
        eprintln!("no such row; `faults list` says which there are");
        return ExitCode::from(2);
    };
    println!("seed {}", order.seed);
    verdict(lanes::run(&rows, order))
}

/// The table of other programs, one row after the other.
fn beside(arguments: &[String]) -> ExitCode {
    let Some((order, names)) = order(arguments).filter(|(_, names)| names.is_empty()) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    drop(names);
    println!("{}", rows::beside::HEADER);
    let rows = matrix::ROWS.iter();
    let mut failed = 0;
    for row in rows.filter(|row| row.when == When::Beside) {
        match lanes::alone(row, order) {
            Ok(line) => println!("{line}"),
            Err(said) => {
                failed += 1;
                println!("| {}: {said} |", row.name);
            }
        }
    }
    verdict(Ok(failed))
}

fn soak(arguments: &[String]) -> ExitCode {
    let time = arguments.first().and_then(|text| duration(text));
    let (Some(time), Some((mut order, names))) =
        (time, order(arguments.get(1..).unwrap_or_default()))
    else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let Some(rows) = chosen(&names, order.quick) else {
        eprintln!("no such row; `faults list` says which there are");
        return ExitCode::from(2);
    };
    let begun = std::time::Instant::now();
    let mut rounds = 0;
    let mut failed = 0;
    while rounds == 0 || begun.elapsed() < time {
        println!("round {}, seed {}", rounds + 1, order.seed);
        match lanes::run(&rows, order) {
            Ok(count) => failed += count,
            Err(fault) => return verdict(Err(fault)),
        }
        rounds += 1;
        order.seed = order.seed.wrapping_add(1);
    }
    println!(
        "{rounds} rounds in {} s, {failed} rows failed",
        begun.elapsed().as_secs()
    );
    verdict(Ok(failed))
}

fn verdict(failed: Result<usize, Fault>) -> ExitCode {
    match failed {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(fault) => {
            eprintln!("faults: {fault}");
            ExitCode::FAILURE
        }
    }
}

/// The order, and what is left of the arguments.
fn order(arguments: &[String]) -> Option<(Order, Vec<String>)> {
    let mut order = Order {
        quick: false,
        seed: u64::from(std::process::id()),
    };
    let mut names = Vec::new();
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--quick" => order.quick = true,
            "--seed" => order.seed = words.next()?.parse().ok()?,
            name if name.starts_with('-') => return None,
            name => names.push(name.to_owned()),
        }
    }
    Some((order, names))
}

/// The rows that are meant. A name may be the beginning of several.
fn chosen(names: &[String], quick: bool) -> Option<Vec<&'static Row>> {
    if names.is_empty() {
        let takes_part = |row: &&Row| match row.when {
            When::Always => true,
            When::Whole => !quick,
            When::Beside => false,
        };
        return Some(matrix::ROWS.iter().filter(takes_part).collect());
    }
    let mut rows = Vec::new();
    for name in names {
        let before = rows.len();
        let is_exact = matrix::ROWS.iter().any(|row| row.name == name);
        rows.extend(matrix::ROWS.iter().filter(|row| {
            if is_exact {
                row.name == name
            } else {
                row.name.starts_with(name.as_str())
            }
        }));
        if rows.len() == before {
            return None;
        }
    }
    Some(rows)
}

/// `90`, `90s`, `10m` or `1h`.
fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = match text
        .char_indices()
        .find(|(_, letter)| letter.is_alphabetic())
    {
        Some((at, _)) => text.split_at(at),
        None => (text, "s"),
    };
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return None,
    };
    Some(Duration::from_secs(number.parse::<u64>().ok()? * seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_a_name_of_its_own_and_a_promise() {
        let mut names: Vec<&str> = matrix::ROWS.iter().map(|row| row.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
        assert!(matrix::ROWS.iter().all(|row| !row.promise.is_empty()));
    }

    #[test]
    fn arguments_are_understood() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let (order, names) = order(&words("crash --quick --seed 7")).expect("an order");
        assert_eq!((order.quick, order.seed, names), (true, 7, words("crash")));
        assert_eq!(duration("10m"), Some(Duration::from_secs(600)));
        assert_eq!(duration("10x"), None);
    }
}
