//! `harness-shim`: the small process that stands beside each service. Everything is in [`service_shim`].

fn main() {
    service_shim::main()
}
