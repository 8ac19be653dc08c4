//! `net why`, `net map` and `resolve`, for processes: addresses, documents, exit codes.

mod support;

use serde_json::json;
use support::Home;

const STACK: &str = "\
name: shop
networks:
  own: {type: local, subnet: 127.88.0.0/24}
services:
  db:
    type: process
    binary: FIXTURE
    args: [hold]
    network: own
    ports: [{name: postgres, port: 5432}, {name: admin, port: 5433}]
  api: {type: process, binary: FIXTURE, args: [hold], network: own, ports: [8080], depends_on: [db]}
  cache: {type: process, binary: FIXTURE, args: [hold], network: own}
";

fn shop() -> Home {
    let home = Home::new(STACK);
    home.ok(&["start", "--wait", "api"]);
    home
}

#[test]
fn what_a_unit_is_told_is_printed_for_scripts() {
    let home = shop();
    let address = home.ok(&["resolve", "db"]).stdout;
    let (ip, port) = address.trim_end().split_once(':').expect("ip:port");
    assert!(ip.starts_with("127.88.0.") && port == "5432", "{address}");
    let line = |arguments: &[&str]| home.ok(arguments).stdout;
    assert_eq!(line(&["resolve", "db", "--from", "api"]), address);
    let admin = format!("{ip}:5433\n");
    assert_eq!(line(&["resolve", "db", "--port", "admin"]), admin);
    assert_eq!(line(&["resolve", "db", "--port", "5433"]), admin);
    // Without a port, the address alone; of what does not run, the address that it would have.
    let cache = line(&["resolve", "cache"]);
    assert!(
        cache.starts_with("127.88.0.") && !cache.contains(':'),
        "{cache}"
    );
    let variables = line(&["resolve", "db", "-o", "env"]);
    assert!(
        variables.contains(&format!("DB_ADDR={ip}:5432\n")),
        "{variables}"
    );
    assert!(variables.contains("DB_PORT_ADMIN=5433\n"), "{variables}");
    let document = home
        .ok(&["resolve", "db", "--port", "admin", "-o", "json"])
        .json();
    assert_eq!(document["items"][0]["address"], format!("{ip}:5433"));
    assert_eq!(document["items"][0]["endpoints"][0]["name"], "admin");
}

#[test]
fn why_and_map_tell_place_reason_and_what_is_published() {
    let home = shop();
    home.ok(&["net", "why", "api", "db"])
        .shows("api → db: 127.88.0.")
        .shows("same host: loopback (loopback)")
        .shows("To: this machine, ready")
        .shows("Told: DB_PORT_ADMIN=5433");
    home.ok(&["net", "why", "host", "cache"])
        .shows("this machine → cache: 127.88.0.")
        .shows("not ready");
    let why = home
        .ok(&["net", "why", "api", "shop:db", "-o", "json"])
        .json();
    assert_eq!(
        (&why["schema_version"], &why["asker"]),
        (&json!(1), &json!("api"))
    );
    assert_eq!(
        why["from"],
        json!({"kind": "host", "host": "local", "networks": {}})
    );
    let db = &why["items"][0];
    assert_eq!(
        (&db["published"], &db["needed"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(db["reason"]["code"], "loopback");
    assert_eq!(
        db["endpoints"][1]["url"],
        format!("http://{}:5433", db["ip"].as_str().expect("an address"))
    );
    let map = home.ok(&["net", "map"]);
    assert_eq!(map.stdout.lines().count(), 4, "{}", map.stdout);
    map.shows("postgres 5432, admin 5433");
    let map = home
        .ok(&["net", "map", "-o", "json", "--from", "api"])
        .json();
    let names: Vec<_> = map["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|unit| unit["name"].clone())
        .collect();
    assert_eq!(names, ["api", "cache", "db"]);
}

#[test]
fn what_is_not_there_is_named_with_its_exit_code() {
    let home = shop();
    home.run(&["net", "why", "api", "bd"])
        .expect(4)
        .says("did you mean `db`?");
    home.run(&["resolve", "db", "--from", "apj"])
        .expect(4)
        .says("did you mean `api`?");
    home.run(&["resolve", "db", "--port", "http"])
        .expect(4)
        .says("its ports: postgres, admin");
    home.run(&["resolve", "db", "--port", "admin", "-o", "env"])
        .expect(2);
    home.run(&["net", "why", "api", "other:db"])
        .expect(1)
        .says("`other:db` is of the stack `other`")
        .says("harness -p other net map");
    // Any stack may be asked about; there is none of that name, nor has anybody registered something there.
    let refused = home.run(&["resolve", "other:db", "-o", "json"]).expect(4);
    let error: serde_json::Value = serde_json::from_str(&refused.stderr).expect("a document");
    assert_eq!(
        (&error["error"]["code"], refused.stdout.as_str()),
        (&json!("unknown-stack"), "")
    );
}
