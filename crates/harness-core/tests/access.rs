//! Who may come in, as what, and how somebody new does: invitations, roles, revocation, renewal.

mod common;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use common::{Home, SOON, any_port, name, stack, start_and_wait};
use futures_lite::future;
use harness_core::client::{EnrolError, Remote};
use harness_core::protocol::{
    ErrorCode, InviteParams, Invited, StartUnitsParams, StopParams, SubscribeParams,
};
use harness_core::{BaseDaemon, ClientError, ConnectError, Dirs, HarnessClient, WallClock};
use harness_wire::{Client, ConnectOptions, Hello, Life, Pki, Role, ServerNames, enrol};
use testkit::TempDir;

/// Another machine: a home without a daemon.
fn elsewhere() -> (TempDir, Dirs) {
    let directory = testkit::temp_dir();
    let dirs = Dirs::under(directory.path().join("home"));
    (directory, dirs)
}

fn invitation(role: Role, name: &str) -> InviteParams {
    InviteParams {
        role,
        ttl_ms: 60_000,
        name: Some(name.to_owned()),
        address: None,
    }
}

async fn invited(home: &Home, role: Role, name: &str) -> Invited {
    let admin = home.client().await;
    admin
        .invite(&invitation(role, name))
        .await
        .expect("invited")
}

/// A client of this role, enrolled from another home.
async fn enrolled(home: &Home, role: Role, name: &str) -> (TempDir, HarnessClient) {
    let (directory, dirs) = elsewhere();
    let invited = invited(home, role, name).await;
    let remote = Remote::enrol(&dirs, &invited.token, None)
        .await
        .expect("enrolled");
    let client = HarnessClient::connect_remote(&remote)
        .await
        .expect("let in");
    (directory, client)
}

fn forbidden<T: std::fmt::Debug>(outcome: Result<T, ClientError>) -> String {
    match outcome {
        Err(ClientError::Api(error)) if error.code == ErrorCode::Forbidden => {
            assert_eq!(error.exit_code, 6);
            error.message
        }
        other => panic!("expected a refusal, got {other:?}"),
    }
}

fn refused(error: ConnectError) -> String {
    match &error {
        ConnectError::Refused { .. } => {
            assert_eq!(error.exit_code(), 6);
            service_orchestration::error_chain(&error)
        }
        other => panic!("expected to be refused, got {other:?}"),
    }
}

/// Every file below a directory.
fn files(directory: &Path, all: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(directory).expect("listed").flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => files(&path, all),
            false => all.push((
                path.display().to_string(),
                fs::read(&path).unwrap_or_default(),
            )),
        }
    }
}

#[test]
fn an_invited_client_enrols_once_and_its_key_stays_where_it_is() {
    testkit::run_everywhere(|| async {
        let home = Home::new();
        home.with_daemon(|_daemon| async {
            let (directory, dirs) = elsewhere();
            let token = invited(&home, Role::Observer, "ci").await.token;
            let remote = Remote::enrol(&dirs, &token, Some("work"))
                .await
                .expect("enrolled");
            assert_eq!((remote.client(), remote.role()), ("ci", Role::Observer));
            let again = Remote::open(&dirs, "work").expect("kept");
            let client = HarnessClient::connect_remote(&again).await.expect("let in");
            client.daemon_status().await.expect("an observer may look");

            let pem = fs::read_to_string(remote.directory().join("client-ci.pem")).expect("a key");
            let key = pem.split("PRIVATE KEY-----").nth(1).expect("a key").trim();
            let mut daemons = Vec::new();
            files(home.directory.path(), &mut daemons);
            let secret = token.trim_start_matches("harness1.");
            for (path, bytes) in &daemons {
                let text = String::from_utf8_lossy(bytes);
                let line = key.lines().nth(1).expect("a line of the key");
                assert!(!text.contains(line), "the key came to {path}");
                assert!(!text.contains(secret), "the token is kept in {path}");
            }

            let (_other, others) = elsewhere();
            let second = Remote::enrol(&others, &token, None).await;
            assert!(matches!(second, Err(EnrolError::Apply(_))), "{second:?}");
            assert!(
                !others.config().join("contexts").exists(),
                "nothing is left behind"
            );
            drop(directory);
        })
        .await;
    });
}

#[test]
fn each_role_may_do_what_it_may_and_no_more() {
    async_io::block_on(async {
        let home = Home::new();
        home.with_daemon(|_daemon| async {
            let spec = stack("web", home.directory.path(), &[("a", "sleep 1000")]);
            start_and_wait(&home.client().await, spec.clone()).await;
            let (_one, observer) = enrolled(&home, Role::Observer, "watcher").await;
            let (_two, operator) = enrolled(&home, Role::Operator, "op").await;
            let (_three, deployer) = enrolled(&home, Role::Deployer, "ci").await;
            let stop = StopParams::all(name("web"));
            let up = StartUnitsParams {
                stack: name("web"),
                units: Vec::new(),
                no_deps: false,
                again: false,
            };

            observer.status(&name("web")).await.expect("may look");
            let message = forbidden(observer.stop(&stop).await);
            assert_eq!(
                message,
                "`stack.stop` needs the role operator; `watcher` is observer"
            );
            operator.stop(&stop).await.expect("may stop");
            operator
                .start_units(&up)
                .await
                .expect("may start what is defined");
            forbidden(operator.start(&common::start(spec.clone())).await);
            forbidden(operator.forget(&name("web")).await);
            deployer
                .start(&common::start(spec))
                .await
                .expect("may define");
            forbidden(deployer.shutdown(true).await);
            forbidden(deployer.clients().await);
            forbidden(deployer.audit(&Default::default()).await);
            forbidden(deployer.invite(&invitation(Role::Admin, "friend")).await);
        })
        .await;
    });
}

#[test]
fn revocation_works_at_once_also_for_what_is_open() {
    async_io::block_on(async {
        let home = Home::new();
        home.with_daemon(|_daemon| async {
            let admin = home.client().await;
            let (_directory, client) = enrolled(&home, Role::Operator, "ci").await;
            let follow = SubscribeParams {
                since: Some(0),
                stack: None,
                until_now: false,
            };
            let mut events = client.events(follow).await.expect("subscribed");
            // The stream connects anew by itself: that it ends with a refusal shows that the connection was cut, and
            // that there is no new one.
            let cut = async {
                while let Some(event) = events.next().await {
                    if let Err(error) = event {
                        return error;
                    }
                }
                panic!("the stream ended in order");
            };
            let revoke = async {
                admin.revoke("ci").await.expect("revoked");
                future::pending().await
            };
            let error = testkit::within(SOON, "the cut", future::or(cut, revoke)).await;
            let ClientError::Connect(error) = error else {
                panic!("{error:?}");
            };
            assert!(refused(error).contains("`ci` was shut out"));
            let list = admin.clients().await.expect("listed");
            let ci = list.items.iter().find(|client| client.name == "ci");
            let ci = ci.expect("it is still listed");
            assert!(ci.revoked_at.is_some() && ci.connections == 0, "{ci:?}");

            // The name may be given again; the old certificate stays out.
            let (_again, new) = enrolled(&home, Role::Observer, "ci").await;
            new.daemon_status().await.expect("let in");
            assert!(matches!(
                client.daemon_status().await,
                Err(ClientError::Connect(ConnectError::Refused { .. }))
            ));
            for owner in [admin.revoke("local").await, admin.revoke("nobody").await] {
                assert!(matches!(owner, Err(ClientError::Api(_))), "{owner:?}");
            }
        })
        .await;
    });
}

#[test]
fn a_changed_role_counts_from_the_next_call_on() {
    async_io::block_on(async {
        let home = Home::new();
        home.with_daemon(|_daemon| async {
            let admin = home.client().await;
            let (_directory, client) = enrolled(&home, Role::Admin, "deputy").await;
            client.clients().await.expect("an admin may");
            admin.set_role("deputy", Role::Observer).await.expect("set");
            forbidden(client.clients().await);
            client.daemon_status().await.expect("an observer may look");
        })
        .await;
    });
}

#[test]
fn a_certificate_of_the_authority_alone_lets_nobody_in() {
    async_io::block_on(async {
        let home = &Home::new();
        home.with_daemon(|daemon| async move {
            // Whoever copied the authority's key could make this; the register does not know it.
            let directory = testkit::temp_dir();
            let mut all = Vec::new();
            files(&home_pki(&daemon), &mut all);
            let pki = directory.path().join("pki");
            fs::create_dir(&pki).expect("made");
            set_mode(&pki, 0o700);
            for (path, bytes) in all {
                let file = pki.join(Path::new(&path).file_name().expect("a name"));
                fs::write(&file, bytes).expect("copied");
                set_mode(&file, 0o600);
            }
            let forger = Pki::open_or_create(&pki, &ServerNames::loopback()).expect("opened");
            for forged in ["forger", "local"] {
                let _old = fs::remove_file(pki.join("client-local.pem"));
                let tls = forger
                    .client_config(forged, Role::Admin, SystemTime::now())
                    .expect("forged");
                let options = ConnectOptions::new(Hello::new("forger", "1"));
                let listen = daemon.endpoint().listen.clone();
                let error = Client::connect(&listen, &tls, &options).await.map(drop);
                assert!(
                    matches!(
                        &error,
                        Err(harness_wire::ConnectError::Greeting { error, .. })
                            if error.message.contains("not in the register")
                    ),
                    "{forged}: {error:?}"
                );
            }
        })
        .await;
    });
}

fn home_pki(daemon: &harness_core::DaemonHandle) -> std::path::PathBuf {
    daemon.state_directory().join("../config/pki")
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
}

#[test]
fn guessing_withdraws_an_invitation_and_then_nobody_is_heard() {
    async_io::block_on(async {
        let home = Home::new();
        home.with_daemon(|_daemon| async {
            let (_directory, dirs) = elsewhere();
            let token = invited(&home, Role::Admin, "ci").await.token;
            let text = token.trim_start_matches("harness1.");
            // The address is at the end, the secret before it: some other letters in the middle are a wrong secret.
            let mut wrong = text.to_owned().into_bytes();
            wrong[70] = if wrong[70] == b'A' { b'B' } else { b'A' };
            let wrong = format!("harness1.{}", String::from_utf8(wrong).expect("text"));
            for _ in 0..5 {
                match Remote::enrol(&dirs, &wrong, None).await {
                    Err(EnrolError::Apply(enrol::EnrolError::Refused { error, .. })) => {
                        assert!(error.message.contains("cannot be taken up"), "{error}");
                    }
                    other => panic!("{other:?}"),
                }
            }
            // Withdrawn: the right secret comes too late, and the door for strangers is shut again.
            match Remote::enrol(&dirs, &token, None).await {
                Err(EnrolError::Apply(enrol::EnrolError::NotExpected { .. })) => {}
                other => panic!("{other:?}"),
            }
            let audit = home.client().await.audit(&Default::default()).await;
            let outcomes: Vec<String> = audit
                .expect("readable")
                .items
                .into_iter()
                .filter(|record| record.method == "enrol")
                .map(|record| record.outcome)
                .collect();
            assert_eq!(outcomes.len(), 5);
            assert!(outcomes[4].contains("withdrawn"), "{outcomes:?}");
        })
        .await;
    });
}

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
    let ahead = Ahead::default();
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

#[test]
fn what_was_changed_is_recorded_with_names_and_never_with_values() {
    async_io::block_on(async {
        let home = &Home::new();
        home.with_daemon(|daemon| async move {
            let admin = home.client().await;
            let canary = "sesame-4f1d";
            let script = format!("exec sleep 1000 # {canary}");
            let mut spec = stack("web", home.directory.path(), &[("a", &script)]);
            spec.environment
                .insert("PASSWORD".to_owned(), canary.to_owned());
            start_and_wait(&admin, spec).await;
            let (_one, observer) = enrolled(home, Role::Observer, "watcher").await;
            forbidden(observer.stop(&StopParams::all(name("web"))).await);
            observer.status(&name("web")).await.expect("a look");

            let page = admin.audit(&Default::default()).await.expect("readable");
            let seen: Vec<_> = page
                .items
                .iter()
                .map(|record| {
                    let role = record.role.map_or("", Role::as_str);
                    (
                        record.client.as_str(),
                        role,
                        record.method.as_str(),
                        record.outcome.as_str(),
                    )
                })
                .collect();
            assert_eq!(
                seen,
                [
                    ("local", "admin", "stack.start", "ok"),
                    ("local", "admin", "client.invite", "ok"),
                    ("", "observer", "enrol", "ok"),
                    ("watcher", "observer", "stack.stop", "forbidden"),
                ]
            );
            assert_eq!(page.items[0].stack.as_deref(), Some("web"));
            assert_eq!(page.items[2].about.as_deref(), Some("watcher"));
            assert!(admin.verify_audit().await.expect("readable").intact);
            let mut all = Vec::new();
            files(&daemon.state_directory().join("audit"), &mut all);
            for (path, bytes) in all {
                assert!(!String::from_utf8_lossy(&bytes).contains(canary), "{path}");
            }
        })
        .await;
    });
}
