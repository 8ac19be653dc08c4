//! Who may come in, as what, and how somebody new does: invitations, roles, revocation.

mod common;

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use common::enrolled::{elsewhere, enrolled, files, forbidden, invitation, invited, refused};
use common::{Home, SOON, name, stack, start_and_wait};
use futures_lite::future;
use harness_core::Volumes;
use harness_core::client::{EnrolError, Remote};
use harness_core::protocol::{StartUnitsParams, StopParams, SubscribeParams};
use harness_core::{ClientError, ConnectError, HarnessClient};
use harness_wire::{Client, ConnectOptions, Hello, Pki, Role, ServerNames, enrol};

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
            forbidden(operator.forget(&name("web"), Volumes::Keep).await);
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
