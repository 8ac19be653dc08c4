//! HTTP and TCP probes against real servers.

use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use service_orchestration::probe::{Answer, Asked, PrepareError, Prober, Surroundings, ask};
use service_orchestration::spec::{Probe, ProbeAction};
use testkit::{free_port, run_everywhere};

/// A server that answers one connection with these bytes and then closes it, or never if there are none; it tells
/// what it was asked.
fn server(answer: &'static [u8]) -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("bound");
    let (told, asked) = channel();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let mut request = Vec::new();
        let mut buffer = [0; 1024];
        while !request.ends_with(b"\r\n\r\n") {
            match stream.read(&mut buffer) {
                Ok(0) | Err(_) => return,
                Ok(read) => request.extend_from_slice(&buffer[..read]),
            }
        }
        let _ = told.send(String::from_utf8_lossy(&request).into_owned());
        if answer.is_empty() {
            let _ = stream.read(&mut buffer);
        } else {
            let _ = stream.write_all(answer);
        }
    });
    (address, asked)
}

fn http(url: &str, status: &[u16], headers: &[(&str, &str)]) -> ProbeAction {
    ProbeAction::Http {
        url: url.into(),
        status: status.to_vec(),
        headers: headers
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect(),
    }
}

fn prepare(action: ProbeAction, timeout: Duration) -> Result<Asked, PrepareError<Infallible>> {
    let probe = Probe {
        timeout,
        ..Probe::new(action)
    };
    Asked::prepare(&probe, &Surroundings::default(), |_| Ok(String::new()))
}

async fn answer_to(action: ProbeAction) -> Answer {
    let asked = prepare(action, Duration::from_secs(5)).expect("prepared");
    ask(&asked, &Prober::new()).await
}

#[test]
fn the_status_decides() {
    run_everywhere(|| async {
        let cases: [(&[u8], &[u16], Answer); 5] = [
            (
                b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
                &[],
                Answer::Good,
            ),
            (
                b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
                &[],
                Answer::Good,
            ),
            (
                b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 7\r\n\r\nwarming",
                &[],
                Answer::Bad("status 503 Service Unavailable: warming".into()),
            ),
            (
                b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n",
                &[401, 403],
                Answer::Good,
            ),
            (
                b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
                &[204],
                Answer::Bad("status 200 OK".into()),
            ),
        ];
        for (reply, status, expected) in cases {
            let (address, _asked) = server(reply);
            assert_eq!(
                answer_to(http(&format!("http://{address}/health"), status, &[])).await,
                expected
            );
        }
    });
}

#[test]
fn path_query_and_headers_are_sent() {
    run_everywhere(|| async {
        let (address, asked) = server(b"HTTP/1.1 204 No Content\r\n\r\n");
        let url = format!("http://{address}/deep/health?full=1");
        let headers = [("X-Token", "s3cret"), ("Host", "api.example")];
        assert_eq!(answer_to(http(&url, &[], &headers)).await, Answer::Good);
        let request = asked.recv().expect("it was asked").to_lowercase();
        assert!(
            request.starts_with("get /deep/health?full=1 http/1.1\r\n"),
            "{request}"
        );
        assert!(request.contains("\r\nx-token: s3cret\r\n"), "{request}");
        assert!(request.contains("\r\nhost: api.example\r\n"), "{request}");
        assert_eq!(request.matches("\r\nhost:").count(), 1, "{request}");
    });
}

#[test]
fn silence_garbage_and_a_closed_port_are_bad_with_their_reason() {
    run_everywhere(|| async {
        let (address, _asked) = server(b"");
        let silent = prepare(
            http(&format!("http://{address}/"), &[], &[]),
            Duration::from_millis(50),
        );
        let answer = ask(&silent.expect("prepared"), &Prober::new()).await;
        assert_eq!(
            answer,
            Answer::Bad("no answer within 50ms (waiting for the answer)".into())
        );

        let (address, _asked) = server(b"220 mail.example ESMTP\r\n");
        let answer = answer_to(http(&format!("http://{address}/"), &[], &[])).await;
        assert!(
            matches!(&answer, Answer::Bad(why) if why.starts_with("the answer is not HTTP")),
            "{answer:?}"
        );

        let port = free_port();
        let answer = answer_to(http(&format!("http://127.0.0.1:{port}/"), &[], &[])).await;
        let expected = format!("cannot connect to 127.0.0.1:{port}: ");
        assert!(
            matches!(&answer, Answer::Bad(why) if why.starts_with(&expected)),
            "{answer:?}"
        );
    });
}

#[test]
fn a_connection_is_enough_for_tcp() {
    run_everywhere(|| async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let tcp = |host: Option<&str>, port: u16| ProbeAction::Tcp {
            host: host.map(Into::into),
            port: port.to_string().into(),
        };
        assert_eq!(answer_to(tcp(None, port)).await, Answer::Good);
        assert_eq!(answer_to(tcp(Some("localhost"), port)).await, Answer::Good);
        drop(listener);
        assert!(matches!(answer_to(tcp(None, port)).await, Answer::Bad(_)));
    });
}

#[test]
fn what_cannot_be_sent_is_refused_before_it_is_asked() {
    let refused = |action| prepare(action, Duration::from_secs(1)).expect_err("refused");
    assert!(matches!(
        refused(http("ftp://host/", &[], &[])),
        PrepareError::Url(_)
    ));
    assert!(matches!(
        refused(http("https://host/", &[], &[])),
        PrepareError::Url(_)
    ));
    let header = refused(http("http://host/", &[], &[("a b", "c")]));
    assert_eq!(header.to_string(), "the header `a b` cannot be sent");
    assert!(matches!(
        refused(http("http://host/", &[], &[("a", "b\nc")])),
        PrepareError::Header(_)
    ));
}
