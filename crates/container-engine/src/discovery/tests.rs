//! The order of choice, with homes and sockets made for it.

#![allow(clippy::unwrap_used, reason = "a panic is the report of a test")]

use std::os::unix::net::UnixListener;

use super::*;

struct World {
    directory: tempfile::TempDir,
    discovery: Discovery,
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let discovery = Discovery {
            home: Some(directory.path().join("home")),
            root: directory.path().to_owned(),
            ..Discovery::default()
        };
        let mut world = Self {
            directory,
            discovery,
        };
        let runtime = world.path("xdg");
        world.set("XDG_RUNTIME_DIR", &runtime);
        world
    }

    fn path(&self, below: &str) -> String {
        self.directory.path().join(below).display().to_string()
    }

    fn set(&mut self, name: &str, value: &str) -> &mut Self {
        let variables = &mut self.discovery.variables;
        variables.insert(name.to_owned(), value.to_owned());
        self
    }

    fn file(&self, below: &str, text: &str) {
        let path = self.directory.path().join(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn socket(&self, below: &str) {
        let path = self.directory.path().join(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        drop(UnixListener::bind(path).unwrap());
    }

    fn address(&self) -> String {
        self.discovery.choose().unwrap().address.to_string()
    }

    fn error(&self) -> EngineError {
        self.discovery.choose().unwrap_err()
    }
}

#[test]
fn the_usual_sockets_come_in_order_and_docker_before_podman() {
    let world = World::new();
    let error = world.error();
    assert!(matches!(&error, EngineError::NoEngine { tried } if tried.len() == 5));
    assert!(error.to_string().contains("DOCKER_HOST"), "{error}");
    // A file is no socket.
    world.file("var/run/docker.sock.is-no-socket", "");
    for (socket, cli) in [
        ("run/podman/podman.sock", "podman"),
        ("xdg/podman/podman.sock", "podman"),
        ("home/.docker/run/docker.sock", "docker"),
        ("xdg/docker.sock", "docker"),
        ("var/run/docker.sock", "docker"),
    ] {
        world.socket(socket);
        assert_eq!(world.address(), format!("unix://{}", world.path(socket)));
        assert_eq!(world.discovery.choose().unwrap().cli[0], cli);
    }
}

#[test]
fn a_variable_comes_before_a_context_and_a_context_before_a_socket() {
    let mut world = World::new();
    world.socket("var/run/docker.sock");
    world.file(
        "home/.docker/contexts/meta/0a/meta.json",
        r#"{"Name":"far","Metadata":{},"Endpoints":{"docker":{"Host":"ssh://me@far","SkipTLSVerify":false}}}"#,
    );
    world.file("home/.docker/contexts/meta/0b/meta.json", "garbage");
    world.set("CONTAINER_HOST", "unix:///podman");
    assert_eq!(world.address(), "unix:///podman");
    world.file(
        "home/.docker/config.json",
        r#"{"auths":{},"currentContext":"far"}"#,
    );
    assert!(world.address().contains("-- far docker system dial-stdio"));
    world.set("DOCKER_CONTEXT", "default");
    assert_eq!(world.address(), "unix:///podman");
    world.set("DOCKER_CONTEXT", "elsewhere");
    let error = world.error();
    assert!(matches!(error, EngineError::Context { .. }), "{error:?}");
    assert!(error.to_string().contains("DOCKER_CONTEXT"), "{error}");
    world.set("DOCKER_HOST", "unix:///by-hand");
    assert_eq!(world.address(), "unix:///by-hand");
    world.set("DOCKER_HOST", "");
    assert!(matches!(world.error(), EngineError::Context { .. }));
}

#[test]
fn another_configuration_directory_is_looked_at_and_nothing_of_a_broken_one_is_shown() {
    let mut world = World::new();
    let directory = world.path("config");
    world.set("DOCKER_CONFIG", &directory);
    world.file("config/config.json", r#"{"auths":{"x":"geheim"},"#);
    let error = world.error();
    assert!(matches!(error, EngineError::Context { .. }), "{error:?}");
    assert!(!error.to_string().contains("geheim"), "{error}");
    world.file("config/config.json", r#"{"currentContext":"bare"}"#);
    world.file(
        "config/contexts/meta/1/meta.json",
        r#"{"Name":"bare","Endpoints":{}}"#,
    );
    let error = world.error();
    assert!(
        error.to_string().contains("names no docker engine"),
        "{error}"
    );
}

#[test]
fn tls_is_refused_with_a_way_out() {
    let mut world = World::new();
    world
        .set("DOCKER_HOST", "tcp://127.0.0.1:2376")
        .set("DOCKER_TLS_VERIFY", "1");
    assert!(world.error().to_string().contains("ssh://"));
}
