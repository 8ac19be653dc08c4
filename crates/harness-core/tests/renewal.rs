//! Certificates and invitations by the date: with short lives, and a clock that can be put forward.

mod common;

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use common::enrolled::{elsewhere, invited, refused};
use common::{Home, SOON, any_port};
use futures_lite::future;
use harness_core::client::{EnrolError, Remote};
use harness_core::{BaseDaemon, HarnessClient, WallClock};
use harness_wire::{Life, Role, enrol};

/// A clock that is ahead of the real one by so many seconds.
#[derive(Clone, Default)]
struct Ahead(Arc<AtomicU64>);

impl Ahead {
    fn set(&self, ahead: Duration) {
        self.0.store(ahead.as_secs(), Ordering::SeqCst);
    }

    fn clock(&self) -> WallClock {
        let ahead = Arc::clone(&self.0);
        WallClock::new(move || {
            SystemTime::now() + Duration::from_secs(ahead.load(Ordering::SeqCst))
        })
    }
}

/// Runs `work` beside a daemon with short-lived certificates and a clock that can be put forward.
async fn with_clock<F: Future>(home: &Home, life: Life, work: impl FnOnce(Ahead) -> F) {
    with_clock_at(home, life, Duration::ZERO, work).await;
}

/// The same, beginning ahead of the real time.
async fn with_clock_at<F: Future>(
    home: &Home,
    life: Life,
    begin: Duration,
    work: impl FnOnce(Ahead) -> F,
) {
    let ahead = Ahead::default();
    ahead.set(begin);
    let daemon = BaseDaemon::builder()
        .dirs(home.dirs.clone())
        .listen(any_port())
        .certificates(life)
        .wall_clock(ahead.clock())
        .build()
        .await
        .expect("a daemon");
    let handle = daemon.handle();
    let work = async {
        testkit::eventually_async(SOON, "the daemon answers", || async {
            HarnessClient::connect(&home.dirs).await.is_ok()
        })
        .await;
        work(ahead).await;
        testkit::within(SOON, "the end of the daemon", handle.shutdown(false)).await;
    };
    future::zip(daemon.run(), work)
        .await
        .0
        .expect("an orderly end");
}

const HOUR: Duration = Duration::from_secs(60 * 60);

/// Valid from two hours ago for two hours more: due after forty minutes, and good by the real clock all the time.
const SHORT: Life = Life {
    leaf: HOUR.saturating_mul(2),
    skew: HOUR.saturating_mul(2),
};

#[test]
fn certificates_are_renewed_in_time_and_no_connection_notices() {
    async_io::block_on(async {
        let home = &Home::new();
        with_clock(home, SHORT, |ahead| async move {
            let held = home.client().await;
            let (_directory, dirs) = elsewhere();
            let token = invited(home, Role::Observer, "ci").await.token;
            let remote = Remote::enrol(&dirs, &token, None).await.expect("enrolled");
            let read = |file: &str| fs::read(home.dirs.pki().join(file)).expect("there");
            let ci = || fs::read(remote.directory().join("client-ci.pem")).expect("there");
            let before = (read("server.pem"), read("client-local.pem"), ci());
            let shown = shown_by_server(home).await;

            ahead.set(HOUR / 2);
            home.client()
                .await
                .daemon_status()
                .await
                .expect("an answer");
            assert_eq!(read("server.pem"), before.0, "not yet");
            ahead.set(HOUR + HOUR / 4);
            home.client()
                .await
                .daemon_status()
                .await
                .expect("an answer");
            assert_ne!(read("server.pem"), before.0);
            assert_ne!(read("client-local.pem"), before.1);
            assert_ne!(shown_by_server(home).await, shown, "the new one is shown");
            held.daemon_status()
                .await
                .expect("the old connection goes on");
            assert_eq!(ci(), before.2, "its own clock does not say so yet");
            HarnessClient::connect_remote(&remote)
                .await
                .expect("the old certificate is good");
        })
        .await;
    });
}

#[test]
fn a_clock_that_is_set_back_revives_no_certificate_of_somebody_else() {
    // Valid by the real clock, which TLS goes by here, all the time.
    let life = Life {
        skew: HOUR * 10,
        ..SHORT
    };
    async_io::block_on(async {
        let home = &Home::new();
        let (_directory, dirs) = elsewhere();
        let mut remote = None;
        with_clock(home, life, |_| async {
            let token = invited(home, Role::Observer, "ci").await.token;
            let enrolled = Remote::enrol(&dirs, &token, None).await.expect("enrolled");
            HarnessClient::connect_remote(&enrolled)
                .await
                .expect("let in");
            remote = Some(enrolled);
        })
        .await;
        let remote = remote.expect("enrolled above");
        with_clock_at(home, life, HOUR * 3, |ahead| async move {
            let address = home.client().await.daemon_status().await;
            let listen = address.expect("an answer").listen;
            let file = remote.directory().join("remote.json");
            let text = fs::read_to_string(&file).expect("there");
            let mut context: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            context["address"] = listen.into();
            fs::write(&file, context.to_string()).expect("written");
            let remote = Remote::open(&dirs, &remote.name()).expect("there");
            for clock in [HOUR * 3, Duration::ZERO] {
                ahead.set(clock);
                let error = HarnessClient::connect_remote(&remote).await;
                let text = refused(error.expect_err("expired"));
                assert!(text.contains("expired"), "{text}");
                home.client()
                    .await
                    .daemon_status()
                    .await
                    .expect("the owner's");
            }
        })
        .await;
    });
}

/// The certificate that the server shows to whoever connects.
async fn shown_by_server(home: &Home) -> Vec<u8> {
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject;
    let listen = home
        .client()
        .await
        .daemon_status()
        .await
        .expect("asked")
        .listen;
    let mut roots = rustls::RootCertStore::empty();
    let authority = fs::read(home.dirs.pki().join("ca.pem")).expect("there");
    roots
        .add(CertificateDer::from_pem_slice(&authority).expect("PEM"))
        .expect("an authority");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("spoken")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"harness/1".to_vec()];
    let stream = async_net::TcpStream::connect(&listen)
        .await
        .expect("reached");
    let connected = futures_rustls::TlsConnector::from(Arc::new(config))
        .connect("127.0.0.1".try_into().expect("a name"), stream)
        .await
        .expect("TLS 1.3 ends early for clients");
    let (_, connection) = connected.get_ref();
    connection.peer_certificates().expect("shown")[0].to_vec()
}

#[test]
fn an_enrolled_client_renews_its_certificate_and_the_old_one_is_let_go() {
    async_io::block_on(async {
        let home = Home::new();
        // Issued with little of its life left by the client's own clock.
        let life = Life {
            leaf: HOUR,
            skew: 3 * HOUR,
        };
        with_clock(&home, life, |_ahead| async {
            let (_directory, dirs) = elsewhere();
            let token = invited(&home, Role::Observer, "ci").await.token;
            let remote = Remote::enrol(&dirs, &token, None).await.expect("enrolled");
            let file = remote.directory().join("client-ci.pem");
            let old = fs::read(&file).expect("there");
            let first = HarnessClient::connect_remote(&remote)
                .await
                .expect("let in");
            let renewed = fs::read(&file).expect("there");
            assert_ne!(renewed, old, "renewed on the way");
            first.daemon_status().await.expect("the connection goes on");
            // Until the new one is seen, a client that lost it could come with the old one.
            let second = HarnessClient::connect_remote(&remote)
                .await
                .expect("let in");
            second.daemon_status().await.expect("an answer");
            let newest = fs::read(&file).expect("there");
            fs::write(&file, &old).expect("put back");
            let error = HarnessClient::connect_remote(&remote).await.map(drop);
            assert!(refused(error.expect_err("replaced")).contains("not in the register"));
            fs::write(&file, &newest).expect("put back");
            HarnessClient::connect_remote(&remote)
                .await
                .expect("let in");
        })
        .await;
    });
}

#[test]
fn an_invitation_that_nobody_took_up_in_time_is_void() {
    async_io::block_on(async {
        let home = &Home::new();
        with_clock(home, Life::default(), |ahead| async move {
            let (_directory, dirs) = elsewhere();
            let token = invited(home, Role::Observer, "late").await.token;
            let open = invited(home, Role::Observer, "open").await;
            ahead.set(Duration::from_secs(61));
            let outcome = Remote::enrol(&dirs, &token, None).await;
            assert!(
                matches!(
                    &outcome,
                    Err(EnrolError::Apply(enrol::EnrolError::NotExpected { .. }))
                ),
                "nobody is expected any more: {outcome:?}"
            );
            let list = home.client().await.clients().await.expect("listed");
            assert!(list.invitations.is_empty(), "{list:?}");
            drop(open);
        })
        .await;
    });
}
