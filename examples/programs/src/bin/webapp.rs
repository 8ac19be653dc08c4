//! The application and the worker of the webapp stack.
//!
//! Owns: their behaviour. Notes live in PostgreSQL, the queue and the counter of visits in Redis; where both are comes
//! from the environment (`DB_ADDR`, `CACHE_ADDR`, `PORT`).

use std::io;
use std::process::ExitCode;

use example_programs::http::{Request, Response, serve};
use example_programs::postgres::{Postgres, Rows, literal};
use example_programs::redis::{Answer, Redis};
use example_programs::{address_from, json, own_address};

/// The database user; the server trusts connections from this machine.
const USER: &str = "postgres";

/// The queue of note ids.
const QUEUE: &str = "notes";

fn main() -> ExitCode {
    let role = std::env::args().nth(1).unwrap_or_default();
    let outcome = match role.as_str() {
        "serve" => application(),
        "work" => work(),
        _ => {
            eprintln!("usage: webapp serve|work");
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

fn application() -> io::Result<()> {
    let db = address_from("DB_ADDR")?;
    let cache = address_from("CACHE_ADDR")?;
    serve(&own_address()?, move |request| {
        respond(&db, &cache, request)
    })
}

/// A connection per request: slow, and never stale after a restart of the database.
fn respond(db: &str, cache: &str, request: &Request) -> io::Result<Response> {
    let mut db = Postgres::connect(db, USER)?;
    let mut cache = Redis::connect(cache)?;
    Ok(match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/health") => {
            db.query("select 1")?;
            cache.call(&["PING"])?;
            Response::new(200, "ok\n")
        }
        ("GET", "/") => Response::new(200, summary(&mut db, &mut cache)?),
        ("POST", "/notes") => {
            let text = literal(&request.body);
            let rows = db.query(&format!(
                "insert into note (text) values ({text}) returning id"
            ))?;
            let id = first(&rows);
            cache.call(&["RPUSH", QUEUE, &id])?;
            Response::new(201, format!("note {id}\n"))
        }
        _ => Response::new(404, "there are: GET /, GET /health, POST /notes\n"),
    })
}

fn summary(db: &mut Postgres, cache: &mut Redis) -> io::Result<String> {
    let latest = first(&db.query("select text from note order by id desc limit 1")?);
    let notes = first(&db.query("select count(*) from note")?);
    let shouted = first(&db.query("select count(*) from note where shouted is not null")?);
    let visits = match cache.call(&["INCR", "visits"])? {
        Answer::Text(number) => number,
        Answer::List(_) | Answer::Nil => return Err(io::Error::other("redis: INCR is no number")),
    };
    Ok(format!(
        "{{\"latest\":{},\"notes\":{notes},\"shouted\":{shouted},\"visits\":{visits}}}\n",
        json::string(&latest)
    ))
}

/// Takes ids from the queue and shouts the notes. Ends with an error when the database or the queue is gone: to be
/// started again is the orchestrator's business.
fn work() -> io::Result<()> {
    let mut db = Postgres::connect(&address_from("DB_ADDR")?, USER)?;
    let mut cache = Redis::connect(&address_from("CACHE_ADDR")?)?;
    println!("worker: waiting for notes");
    loop {
        // Two seconds, so that a broken connection to the database is noticed soon.
        match cache.call(&["BLPOP", QUEUE, "2"])? {
            Answer::List(words) => {
                let id = words.last().map_or("", String::as_str);
                db.query(&format!(
                    "update note set shouted = upper(text) where id = {id}::int"
                ))?;
                println!("worker: shouted note {id}");
            }
            Answer::Nil => {
                db.query("select 1")?;
            }
            Answer::Text(text) => {
                return Err(io::Error::other(format!("redis: BLPOP said {text}")));
            }
        }
    }
}

/// The first value of the first row; empty when there is none.
fn first(rows: &Rows) -> String {
    rows.first()
        .and_then(|row| row.first())
        .and_then(Clone::clone)
        .unwrap_or_default()
}
