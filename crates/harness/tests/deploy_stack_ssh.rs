//! A service of a stack runs from a package on a host of `docker-test-env/hosts`: deployed, gated, gone back from.
//!
//! `cargo nextest run -p harness --features ssh-tests`
#![cfg(feature = "ssh-tests")]

mod deploying;
mod support;

use deploying::Workshop;
use support::Home;
use support::hosts::trusted;
use testkit::Hosts;

#[test]
fn a_service_is_deployed_behind_its_gate_and_gone_back_from() {
    let (hosts, workshop) = (Hosts::shared(), Workshop::new());
    let says = |version: &str| {
        format!(
            "echo {version} with $1 and $2, $MODE and $OF_PACKAGE, db at $DB_ADDR, web at $WEB_ADDR in $PWD; exec sleep 1000"
        )
    };
    let archive = workshop.service("1.0.0", &says("1.0.0"));
    workshop.service("1.1.0", &says("1.1.0"));
    workshop.service("1.2.0", "echo 1.2.0 is broken; exit 3");
    let home = Home::new(&format!(
        "name: shop\nservices:\n  \
         db: {{type: process, binary: /bin/sleep, args: ['1000'], ports: [5432]}}\n  \
         web: {{type: remote, host: host2, binary: FIXTURE, args: [serve, '8095'], ports: [8095]}}\n  \
         api:\n    type: remote\n    host: host1\n    package: {}\n    \
         env: {{MODE: stack, DB_ADDR: 'chosen'}}\n    restart: \"no\"\n    depends_on: [db, web]\n    \
         readiness: {{log: two words}}\n",
        archive.display()
    ));
    trusted(&home, &hosts, "host1");
    trusted(&home, &hosts, "host2");
    let public = workshop
        .path()
        .join("trusted/own.pub")
        .display()
        .to_string();
    home.run(&["deploy", "api"]).expect(6);
    home.ok(&["package", "trust", "add", &public]);
    home.run(&["deploy", "db"])
        .expect(2)
        .says("does not run from a package");

    // Before anything of it was brought, and before anything runs.
    home.run(&["start", "--wait"])
        .expect(1)
        .says("`harness deploy api` brings it there");
    home.ok(&["stop"]);
    home.ok(&["deploy", "api"]).says("it does not run");
    home.ok(&["start", "--wait"]);
    // What the file says, and where the others are as seen from its host.
    let web = hosts.address("host2");
    let said = format!(
        "1.0.0 with one and two words, stack and yes, db at chosen, web at {web}:8095 in /root/"
    );
    home.ok(&["logs", "api"])
        .shows(&said)
        .shows("/work/shop/api");
    let pid = || home.unit("api")["pid"].clone();
    let first = pid();

    home.ok(&["deploy", "api@1.1.0"])
        .says("api: demo 1.1.0")
        .says("is current on host1, and ready");
    home.ok(&["logs", "api"]).shows("1.1.0 with one");
    assert_ne!(pid(), first);
    home.run(&["deploy", "api@1.2.0", "--wait-timeout", "30s"])
        .expect(1)
        .says("going back to demo 1.1.0")
        .says("demo 1.1.0")
        .says("is current again, and ready");
    assert_eq!(home.unit("api")["state"], "ready");
    let last = home.ok(&["logs", "api", "-n", "1", "--no-prefix"]);
    last.shows("1.1.0 with one");

    home.ok(&["rollback", "api"]).says("demo 1.0.0");
    home.ok(&["logs", "api", "-n", "1", "--no-prefix"])
        .shows("1.0.0 with one");
    home.run(&["deploy", "api@9.9.9"])
        .expect(1)
        .says("demo-9.9.9.tar.gz");

    // To another host, and back from there when it is no good.
    home.ok(&["deploy", "api@1.1.0", "--host", "host2"])
        .says("is current on host2, and ready")
        .says("the stack file says `host: host1`");
    assert_eq!(home.unit("api")["host"], "host2");
    home.ok(&["logs", "api", "-n", "1", "--no-prefix"])
        .shows("1.1.0 with one");
    home.run(&[
        "deploy",
        "api@1.2.0",
        "--host",
        "host1",
        "--wait-timeout",
        "30s",
    ])
    .expect(1)
    .says("going back to host2")
    .says("it is on host2 again, and ready");
    assert_eq!(home.unit("api")["host"], "host2");
    home.run(&["deploy", "api", "--host", "nowhere"]).expect(4);
    assert_eq!(home.unit("api")["host"], "host2");
    home.ok(&["deploy", "api", "--host", "host1"])
        .says("to where the stack file has it");
    assert_eq!(home.unit("api")["host"], "host1");
    home.ok(&["stop"]);
    home.run(&["deploy", "api", "--host", "host2"])
        .expect(2)
        .says("--host moves what runs");
}
