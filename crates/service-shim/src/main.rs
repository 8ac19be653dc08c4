//! The shim as a program of its own, for programs that embed the libraries without the `harness` package.
//! `harness-shim` is the same.

fn main() {
    service_shim::main()
}
