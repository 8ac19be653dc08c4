//! Measures what a connection and a call cost on loopback. Run with `--release`.
//!
//! Prints one line per figure: the median and the 99th percentile.

use std::error::Error;
use std::time::{Duration, Instant, SystemTime};

use async_net::TcpListener;
use futures::StreamExt;
use harness_wire::{
    Acceptor, Client, ClientTls, ConnectOptions, Hello, Pki, Request, Role, ServerNames,
    Subscription,
};
use serde_json::Value;

fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let began = Instant::now();
    let now = SystemTime::now();
    let pki = Pki::open_or_create(directory.path().join("pki"), &ServerNames::loopback())?;
    let server = pki.server_config(now)?;
    let client = pki.client_config("owner", Role::Admin, now)?;
    println!(
        "first use: authority and two leaves   {:>8.1?}",
        began.elapsed()
    );
    let began = Instant::now();
    ClientTls::load(directory.path().join("pki"), "owner")?;
    println!(
        "client: keys from disk                {:>8.1?}",
        began.elapsed()
    );

    let listener = smol::block_on(TcpListener::bind("127.0.0.1:0"))?;
    let address = listener.local_addr()?.to_string();
    let acceptor = Acceptor::new(server, Hello::new("latency", "0"));
    // The server has a thread of its own, as the daemon is a process of its own.
    std::thread::spawn(move || smol::block_on(serve(listener, acceptor)));
    smol::block_on(measure(&address, &client))
}

async fn serve(listener: TcpListener, acceptor: Acceptor) {
    listener
        .incoming()
        .for_each_concurrent(None, |stream| async {
            let Ok(stream) = stream else { return };
            match acceptor.accept_tcp(stream).await {
                Ok((session, _)) => drop(session.serve(answer).await),
                Err(error) => eprintln!("not accepted: {error}"),
            }
        })
        .await;
}

async fn answer(request: Request) {
    if request.method != "count" {
        return request.responder.answer(request.params.parse::<Value>());
    }
    let mut publisher = request.responder.subscribe(&());
    for number in 0..ITEMS {
        if publisher.send(&number).await.is_err() {
            return;
        }
    }
}

async fn measure(address: &str, tls: &ClientTls) -> Result<(), Box<dyn Error>> {
    let options = ConnectOptions::new(Hello::new("latency", "0"));
    let mut figures = Vec::new();
    for _ in 0..300 {
        let began = Instant::now();
        let (client, driver) = Client::connect(address, tls, &options).await?;
        driver.drive(client.call::<_, Value>("echo", &[1])).await?;
        figures.push(began.elapsed());
    }
    report("connect, hello and one call", figures);

    let (client, driver) = Client::connect(address, tls, &options).await?;
    let work = async {
        let mut figures = Vec::new();
        for _ in 0..5000 {
            let began = Instant::now();
            client.call::<_, Value>("echo", &[1]).await?;
            figures.push(began.elapsed());
        }
        report("call on a held connection", figures);
        let began = Instant::now();
        let mut items: Subscription<u32> = client.subscribe("count", &()).await?;
        while let Some(item) = items.next().await {
            item?;
        }
        let rate = f64::from(ITEMS) / began.elapsed().as_secs_f64();
        println!("items of a subscription               {rate:>8.0} per second");
        Ok::<(), Box<dyn Error>>(())
    };
    driver.drive(work).await
}

fn report(what: &str, mut figures: Vec<Duration>) {
    figures.sort_unstable();
    let at = |share: usize| figures[figures.len() * share / 100];
    println!("{what:<37} {:>8.1?} median, {:.1?} p99", at(50), at(99));
}

const ITEMS: u32 = 200_000;
