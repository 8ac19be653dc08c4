//! `exec`: where it refuses. What it does needs an engine: `exec_docker.rs`.

mod support;

use support::Home;

const SHOP: &str = "\
name: shop
services:
  api: {type: process, binary: FIXTURE, args: [hold]}
";

#[test]
fn exec_says_where_there_is_no_container() {
    let home = Home::new(SHOP);
    home.run(&["exec", "api", "ls"]).expect(5);
    home.ok(&["start"]);
    home.run(&["exec", "api", "--", "ls", "-l"])
        .expect(2)
        .says("`api` does not run in a container: its target is process")
        .says("`harness run`");
    home.run(&["exec", "apii", "ls"])
        .expect(4)
        .says("did you mean `api`?");
    home.run(&["exec", "api"]).expect(2).says("<CMD>");
    home.run(&["exec", "-e", "=1", "api", "ls"])
        .expect(2)
        .says("a variable has a name");
    home.run(&["--context", "far", "exec", "api", "ls"])
        .expect(2)
        .says("`far` is elsewhere");
}
