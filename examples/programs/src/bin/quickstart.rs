//! The programs of the quickstart stack: a store, an API in front of it, a worker, and a task that loads data.
//!
//! Owns: their behaviour. Where each finds the others comes from the environment (`STORE_ADDR`, `API_ADDR`, `PORT`),
//! which is what the example shows.

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use example_programs::http::{Request, Response, send, serve};
use example_programs::lines::{self, ask};
use example_programs::{address_from, json, own_address};

/// What the seed task loads.
const TEXTS: [&str; 3] = [
    "one file describes every service and what it needs",
    "each service starts as soon as what it needs is ready",
    "kill the daemon and everything goes on",
];

fn main() -> ExitCode {
    let role = std::env::args().nth(1).unwrap_or_default();
    let outcome = match role.as_str() {
        "store" => own_address().and_then(|address| lines::serve(&address)),
        "api" => api(),
        "worker" => work(),
        "seed" => seed(),
        _ => {
            eprintln!("usage: quickstart store|api|worker|seed");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{role}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn seed() -> io::Result<()> {
    let store = address_from("STORE_ADDR")?;
    for text in TEXTS {
        add(&store, text)?;
    }
    println!("seed: {} texts loaded", TEXTS.len());
    Ok(())
}

fn add(store: &str, text: &str) -> io::Result<String> {
    let id = ask(store, "INCR texts")?;
    // The protocol is one line per question, so a text is one line too.
    let line: Vec<&str> = text.split_whitespace().collect();
    ask(store, &format!("SET text.{id} {}", line.join(" ")))?;
    Ok(id)
}

fn api() -> io::Result<()> {
    let store = address_from("STORE_ADDR")?;
    serve(&own_address()?, move |request| respond(&store, request))
}

fn respond(store: &str, request: &Request) -> io::Result<Response> {
    let path: Vec<&str> = request.path.trim_matches('/').split('/').collect();
    Ok(match (request.method.as_str(), path.as_slice()) {
        ("GET", ["health"]) => {
            ask(store, "KEYS health")?;
            Response::new(200, "ok\n")
        }
        ("GET", [""]) => Response::new(200, summary(store)?),
        ("GET", ["uncounted"]) => Response::new(200, uncounted(store)?),
        ("POST", ["texts"]) => {
            let id = add(store, &request.body)?;
            Response::new(201, format!("text {id}\n"))
        }
        ("POST", ["words", id, count]) => {
            ask(store, &format!("SET words.{id} {count}"))?;
            Response::new(200, "ok\n")
        }
        ("POST", ["worker-starts"]) => Response::new(200, ask(store, "INCR worker-starts")?),
        _ => Response::new(404, "there are: GET /, GET /health, POST /texts\n"),
    })
}

fn summary(store: &str) -> io::Result<String> {
    let visits = ask(store, "INCR visits")?;
    let texts = ask(store, "KEYS text.")?.split_whitespace().count();
    let mut words = 0;
    let counted = ask(store, "KEYS words.")?;
    for key in counted.split_whitespace() {
        words += ask(store, &format!("GET {key}"))?.parse().unwrap_or(0);
    }
    Ok(format!(
        "{{\"texts\":{texts},\"counted\":{},\"words\":{words},\"visits\":{visits}}}\n",
        counted.split_whitespace().count(),
    ))
}

/// One line `id text` for each text without a count.
fn uncounted(store: &str) -> io::Result<String> {
    let mut lines = String::new();
    for key in ask(store, "KEYS text.")?.split_whitespace() {
        let id = key.trim_start_matches("text.");
        if ask(store, &format!("GET words.{id}"))?.is_empty() {
            let text = ask(store, &format!("GET {key}"))?;
            lines.push_str(&format!("{id} {text}\n"));
        }
    }
    Ok(lines)
}

/// Counts the words of every text, for ever. Its first start in a stack fails on purpose, so that there is a restart
/// to be seen in `harness status`, `events` and `logs --previous`.
fn work() -> io::Result<()> {
    let api = address_from("API_ADDR")?;
    if send(&api, "POST", "/worker-starts", "")?.body == "1" {
        return Err(io::Error::other(
            "my first start always fails; you should see a restart",
        ));
    }
    let mut is_idle = false;
    loop {
        let open = send(&api, "GET", "/uncounted", "")?.body;
        for line in open.lines() {
            let (id, text) = line.split_once(' ').unwrap_or((line, ""));
            let count = text.split_whitespace().count();
            send(&api, "POST", &format!("/words/{id}/{count}"), "")?;
            println!("worker: text {} has {count} words", json::string(text));
        }
        if open.is_empty() && !is_idle {
            println!("worker: all texts are counted");
        }
        is_idle = open.is_empty();
        if is_idle {
            std::thread::sleep(Duration::from_millis(500));
        }
    }
}
