//! `harness-shim`: the small process that stands beside each service. Everything is in [`service_shim`], but what it does with
//! packages on a host: that is in [`package_host`].

mod package_host;

fn main() {
    package_host::run_if_asked(None);
    service_shim::main()
}
