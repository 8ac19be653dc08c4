//! Feeds the fuzz targets: `cargo xtask fuzz [TARGET…] [--time 5s] [--keep]`.
//!
//! Owns: how the engine is built (coverage by the compiler's own pass, so a stable toolchain and no installed tool are
//! enough), how long each target runs, and where findings lie. What must hold for an input stands in `fuzz/targets`.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::failure::Failure;
use crate::step::Step;
use crate::workspace;

/// How it was called.
#[derive(Debug, PartialEq, Eq)]
struct Call {
    /// None means all.
    targets: Vec<String>,
    /// For each target.
    time: Duration,
    /// New inputs that cover more join the saved ones, as few as do.
    keep: bool,
}

/// Builds the engine and runs each target, several at once where there are several cores.
///
/// # Errors
/// When the call is wrong, the engine cannot be built, or an input was found that a target does not take.
pub(crate) fn run(arguments: &[&str], usage: &'static str) -> Result<(), Failure> {
    let call = parse(arguments).ok_or_else(|| Failure::Usage {
        given: format!("fuzz {}", arguments.join(" ")),
        usage,
    })?;
    let root = workspace::root();
    let corpus = root.join("fuzz/corpus");
    let known = names(&corpus)?;
    if let Some(unknown) = call.targets.iter().find(|name| !known.contains(name)) {
        return Err(Failure::Missing {
            what: format!("a fuzz target `{unknown}`"),
            advice: format!("there are {}", known.join(", ")),
        });
    }
    let begun = Instant::now();
    let target = workspace::target_directory()?.join("fuzz");
    let engine = build(&root, &target)?;
    println!(
        "fuzz: the engine was built in {} s",
        begun.elapsed().as_secs()
    );
    let targets = if call.targets.is_empty() {
        known
    } else {
        call.targets.clone()
    };
    let at_once = std::thread::available_parallelism().map_or(1, |cores| cores.get().min(4));
    for group in targets.chunks(at_once) {
        let feed = |name: &String| feed(&engine, &corpus, &target, name, &call);
        let results: Vec<Result<String, Failure>> = std::thread::scope(|scope| {
            let running: Vec<_> = group
                .iter()
                .map(|name| scope.spawn(|| feed(name)))
                .collect();
            running
                .into_iter()
                .map(|thread| thread.join().expect("feeding does not panic"))
                .collect()
        });
        for result in results {
            println!("{}", result?);
        }
    }
    Ok(())
}

fn parse(arguments: &[&str]) -> Option<Call> {
    let mut call = Call {
        targets: Vec::new(),
        time: Duration::from_secs(60),
        keep: false,
    };
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match *argument {
            "--time" => call.time = duration(rest.next()?)?,
            "--keep" => call.keep = true,
            flag if flag.starts_with('-') => return None,
            name => call.targets.push(name.to_owned()),
        }
    }
    Some(call)
}

/// `5s`, `10m`, `4h`.
fn duration(text: &str) -> Option<Duration> {
    let seconds = match text.chars().last()? {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        _ => return None,
    };
    let count: u64 = text[..text.len() - 1].parse().ok()?;
    (count > 0).then(|| Duration::from_secs(count * seconds))
}

/// The targets: each has its saved inputs.
fn names(corpus: &Path) -> Result<Vec<String>, Failure> {
    let unusable = |source| Failure::File {
        path: corpus.to_path_buf(),
        source,
    };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(corpus).map_err(unusable)? {
        let name = entry.map_err(unusable)?.file_name();
        names.push(name.to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

fn build(root: &Path, target: &Path) -> Result<PathBuf, Failure> {
    let manifest = root.join("fuzz/engine/Cargo.toml");
    let manifest = manifest.display().to_string();
    // With a target named, build scripts are left out of what the flags are for.
    let host = host()?;
    Step::cargo(&[
        "build",
        "--release",
        "--locked",
        "--target",
        &host,
        "--manifest-path",
        &manifest,
    ])
    .within(root)
    .with("CARGO_TARGET_DIR", target)
    .with("CARGO_ENCODED_RUSTFLAGS", COVERAGE.join("\u{1f}"))
    .without("RUSTFLAGS")
    .run()?;
    Ok(target.join(host).join("release/fuzz-engine"))
}

/// What the compiler calls this machine.
fn host() -> Result<String, Failure> {
    let text = Step::new("rustc", ["-vV"]).text()?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| Failure::Unreadable {
        what: "the answer of rustc -vV".into(),
        detail: text.clone(),
    })
}

/// Runs one target and says in a line what came of it.
fn feed(
    engine: &Path,
    corpus: &Path,
    target: &Path,
    name: &str,
    call: &Call,
) -> Result<String, Failure> {
    let saved = corpus.join(name);
    let working = target.join("working").join(name);
    let found = target.join("found").join(name);
    for directory in [&working, &found] {
        std::fs::create_dir_all(directory).map_err(|source| Failure::File {
            path: directory.clone(),
            source,
        })?;
    }
    let path = |path: &Path| path.display().to_string();
    let output = Step::new(
        engine,
        [
            path(&working),
            path(&saved),
            format!("-max_total_time={}", call.time.as_secs()),
            format!("-artifact_prefix={}/", path(&found)),
            "-timeout=10".to_owned(),
            "-rss_limit_mb=1024".to_owned(),
            "-max_len=8192".to_owned(),
            "-print_final_stats=1".to_owned(),
        ],
    )
    .with("FUZZ_TARGET", name)
    .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        let last: Vec<&str> = said.lines().collect();
        let last = &last[last.len().saturating_sub(40)..];
        return Err(Failure::Unmet {
            claim: format!("`{name}` takes every input"),
            found: format!(
                "one under {} that it does not:\n{}",
                path(&found),
                last.join("\n")
            ),
        });
    }
    if call.keep {
        Step::new(
            engine,
            ["-merge=1".to_owned(), path(&saved), path(&working)],
        )
        .with("FUZZ_TARGET", name)
        .output()?;
    }
    let runs = figure(&said, "stat::number_of_executed_units:");
    let speed = figure(&said, "stat::average_exec_per_sec:");
    let covered = said
        .rsplit("cov: ")
        .next()
        .and_then(|rest| rest.split(' ').next());
    let covered = covered.unwrap_or("?");
    Ok(format!(
        "fuzz: {name}: {runs} inputs in {} s ({speed} a second), {covered} edges, nothing found",
        call.time.as_secs()
    ))
}

fn figure<'s>(said: &'s str, label: &str) -> &'s str {
    let line = said.lines().find_map(|line| line.strip_prefix(label));
    line.map_or("?", str::trim)
}

/// What libFuzzer wants to be told: which edges ran, and what was compared with what.
const COVERAGE: [&str; 6] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "--cfg=fuzzing",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_names_targets_and_a_time() {
        let call = parse(&["config", "--time", "10m", "state", "--keep"]).expect("it is right");
        assert_eq!(call.targets, ["config", "state"]);
        assert_eq!((call.time, call.keep), (Duration::from_secs(600), true));
        for wrong in [
            &["--time"][..],
            &["--time", "5"],
            &["--time", "0s"],
            &["-x"],
        ] {
            assert_eq!(parse(wrong), None, "{wrong:?}");
        }
    }
}
