//! The application and the worker of the lan stack, which run on two hosts.
//!
//! Owns: their behaviour. Readings live in PostgreSQL; where that and the application are comes from the environment
//! (`DB_ADDR`, `APP_ADDR`, `PORT`), and each says at its start what it was told.

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use example_programs::address_from;
use example_programs::http::{Request, Response, send, serve};
use example_programs::postgres::{Postgres, literal};

/// The database user; the server trusts connections from its own machine.
const USER: &str = "postgres";

/// From one reading to the next.
const PAUSE: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    let role = std::env::args().nth(1).unwrap_or_default();
    let outcome = match role.as_str() {
        "serve" => application(),
        "work" => work(),
        _ => {
            eprintln!("usage: lan serve|work");
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

/// Others are on other hosts: it listens on all addresses.
fn application() -> io::Result<()> {
    let db = address_from("DB_ADDR")?;
    println!("app: the database is at {db}");
    Postgres::connect(&db, USER)?.query(
        "create table if not exists reading (id serial primary key, host text not null, number int not null)",
    )?;
    let own = format!("0.0.0.0:{}", address_from("PORT")?);
    serve(&own, move |request| respond(&db, request))
}

/// A connection per request: slow, and never stale after a restart of the database.
fn respond(db: &str, request: &Request) -> io::Result<Response> {
    let mut db = Postgres::connect(db, USER)?;
    Ok(match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/health") => {
            db.query("select 1")?;
            Response::new(200, "ok\n")
        }
        ("POST", "/readings") => {
            let (host, number) = request.body.split_once(' ').unwrap_or_default();
            db.query(&format!(
                "insert into reading (host, number) values ({}, {}::int)",
                literal(host),
                literal(number)
            ))?;
            Response::new(201, "kept\n")
        }
        _ => Response::new(404, "there are: GET /health, POST /readings\n"),
    })
}

/// Sends a number for ever. Without an answer it sends the same one again, so every number is kept once at least.
fn work() -> io::Result<()> {
    let app = address_from("APP_ADDR")?;
    println!("worker: the application is at {app}");
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname")?;
    let mut number = 1_u32;
    loop {
        let reading = format!("{} {number}", host.trim());
        match send(&app, "POST", "/readings", &reading) {
            Ok(answer) if answer.status == 201 => {
                println!("worker: {number} is kept");
                number += 1;
            }
            Ok(answer) => println!("worker: {}", answer.body.trim()),
            Err(error) => println!("worker: {error}"),
        }
        std::thread::sleep(PAUSE);
    }
}
