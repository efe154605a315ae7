//! Asks the extension `health_check` of a running process, without anything that the process itself needs.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// Why a process does not count as healthy.
#[derive(Debug, thiserror::Error)]
pub(super) enum HealthError {
    /// The address is no address.
    #[error("{0}")]
    Address(String),
    /// Nobody answers.
    #[error("no answer: {0}")]
    Io(#[from] io::Error),
    /// Somebody is there and takes too long.
    #[error("no answer within {0:?}")]
    Late(Duration),
    /// What answers does not speak HTTP.
    #[error("the answer is not HTTP")]
    NotHttp,
    /// It is there, but not ready.
    #[error("not ready: status {0}")]
    Status(u16),
}

/// Only the status line matters.
const MAX_ANSWER_BYTES: u64 = 1024;

/// Asks; fine is only the status 200.
pub(super) fn ask(endpoint: &str, timeout: Duration) -> Result<(), HealthError> {
    let is_late = |error: &io::Error| matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut);
    ask_until(endpoint, Instant::now() + timeout).map_err(|error| match error {
        HealthError::Io(error) if is_late(&error) => HealthError::Late(timeout),
        other => other,
    })
}

fn ask_until(endpoint: &str, deadline: Instant) -> Result<(), HealthError> {
    let address: http::Uri = endpoint.parse().map_err(|error| HealthError::Address(format!("not a URL: {error}")))?;
    if address.scheme_str() != Some("http") {
        return Err(HealthError::Address("must start with http://".into()));
    }
    let Some(host) = address.host() else { return Err(HealthError::Address("has no host".into())) };
    let port = address.port_u16().unwrap_or(80);
    let mut stream = connect(host.trim_start_matches('[').trim_end_matches(']'), port, deadline)?;
    let path = address.path_and_query().map_or("/", |path| path.as_str());
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUser-Agent: sluice\r\nConnection: close\r\n\r\n");
    stream.set_write_timeout(Some(left(deadline)?))?;
    stream.write_all(request.as_bytes())?;
    match read_status(&mut stream, deadline)? {
        200 => Ok(()),
        other => Err(HealthError::Status(other)),
    }
}

/// The addresses of a name. `localhost` is both of the machine's own, whatever a file or a server says about it.
fn addresses(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    match host {
        "localhost" => Ok(vec![(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()]),
        host => Ok((host, port).to_socket_addrs()?.collect()),
    }
}

/// Tries all addresses of a name.
fn connect(host: &str, port: u16, deadline: Instant) -> Result<TcpStream, HealthError> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses(host, port)? {
        match TcpStream::connect_timeout(&address, left(deadline)?) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last.into())
}

fn read_status(stream: &mut TcpStream, deadline: Instant) -> Result<u16, HealthError> {
    let mut answer = Vec::new();
    let mut chunk = [0; 256];
    while !answer.contains(&b'\n') && (answer.len() as u64) < MAX_ANSWER_BYTES {
        stream.set_read_timeout(Some(left(deadline)?))?;
        match stream.read(&mut chunk)? {
            0 => break,
            length => answer.extend_from_slice(&chunk[..length]),
        }
    }
    let line = answer.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = std::str::from_utf8(line).map_err(|_| HealthError::NotHttp)?;
    let rest = line.strip_prefix("HTTP/1.").ok_or(HealthError::NotHttp)?;
    rest.split_ascii_whitespace().nth(1).and_then(|status| status.parse().ok()).ok_or(HealthError::NotHttp)
}

fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// A server that gives one answer.
    fn serve(answer: &'static str) -> (String, thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        serve_at(listener, answer)
    }

    fn serve_at(listener: TcpListener, answer: &'static str) -> (String, thread::JoinHandle<String>) {
        let endpoint = format!("http://{}/health?x=1", listener.local_addr().expect("an address"));
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            let mut request = [0; 1024];
            let length = stream.read(&mut request).expect("a request");
            stream.write_all(answer.as_bytes()).expect("sent");
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        (endpoint, server)
    }

    #[test]
    fn takes_only_200_for_healthy() {
        let (endpoint, server) = serve("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        assert!(ask(&endpoint, Duration::from_secs(5)).is_ok());
        assert!(server.join().expect("served").starts_with("GET /health?x=1 HTTP/1.1\r\n"));
        let (endpoint, _server) = serve("HTTP/1.1 503 Service Unavailable\r\n\r\n");
        assert!(matches!(ask(&endpoint, Duration::from_secs(5)), Err(HealthError::Status(503))));
    }

    #[test]
    fn asks_both_addresses_of_localhost() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            // A machine without IPv6 has nothing to show.
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let port = listener.local_addr().expect("an address").port();
            let (_, _server) = serve_at(listener, "HTTP/1.1 200 OK\r\n\r\n");
            assert!(ask(&format!("http://localhost:{port}/"), Duration::from_secs(5)).is_ok(), "{address}");
        }
    }

    #[test]
    fn says_why_there_is_no_answer() {
        let (endpoint, _server) = serve("SSH-2.0-OpenSSH_9.2\r\n");
        assert!(matches!(ask(&endpoint, Duration::from_secs(5)), Err(HealthError::NotHttp)));
        let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
        assert!(matches!(ask(&format!("http://{free}/"), Duration::from_secs(5)), Err(HealthError::Io(_))));
        for endpoint in ["localhost:13133", "https://localhost:13133/", "http://a b/"] {
            assert!(matches!(ask(endpoint, Duration::from_secs(5)), Err(HealthError::Address(_))), "{endpoint}");
        }
    }

    #[test]
    fn gives_up_at_the_deadline() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let endpoint = format!("http://{}/", listener.local_addr().expect("an address"));
        let error = ask(&endpoint, Duration::from_millis(50)).expect_err("nobody answers");
        assert_eq!(error.to_string(), "no answer within 50ms");
    }
}
