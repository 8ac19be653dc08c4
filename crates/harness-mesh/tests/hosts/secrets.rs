//! What nobody sees.

use service_registry::mesh;

use crate::place::{Ground, id, pair};

#[test]
fn keys_are_in_no_argument_no_environment_and_readable_by_root_only() {
    let ground = Ground::new(2, 0);
    let plan = mesh::plan(&ground.request(&[pair("host1", "host2")])).expect("a plan");
    // Whatever is run from now on is written down, with its arguments and its environment.
    let spy = "mkdir -p /root/spy; for tool in wg ip iptables iptables-restore wireguard-go; do
        real=$(command -v $tool); printf '#!/bin/bash\\n{ echo %s; printf \"%%s\\\\n\" \"$@\"; env; } >>/root/spy/seen\\nexec -a %s %s.real \"$@\"\\n' $tool $tool $real >/root/spy/$tool
        chmod 755 /root/spy/$tool; mv $real $real.real; cp /root/spy/$tool $real; done";
    ground.ok("host1", spy);
    ground.done(&plan);
    let seen = ground.ok("host1", "cat /root/spy/seen");
    assert!(
        seen.contains("syncconf"),
        "the spy sees what is run: {seen}"
    );
    let node = &ground.nodes[&id("host1")];
    let private = ground.ok("host1", &format!("cat /root/mesh/{}/key", node.interface()));
    let shared = ground.ok(
        "host1",
        &format!(
            "wg.real show {} preshared-keys | cut -f 2",
            node.interface()
        ),
    );
    assert_eq!((private.len(), shared.len()), (44, 44), "{shared}");
    assert!(!seen.contains(&private) && !seen.contains(&shared));
    let other = &ground.nodes[&id("host2")];
    let same = ground.ok(
        "host2",
        &format!("wg show {} preshared-keys | cut -f 2", other.interface()),
    );
    assert_eq!(same, shared, "both ends have one");
    let modes = ground.ok(
        "host1",
        &format!(
            "stat -c %a /root/mesh/{0} /root/mesh/{0}/key",
            node.interface()
        ),
    );
    assert_eq!(modes, "700\n600");
}
