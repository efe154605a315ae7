//! Sockets to listen on: TCP and Unix.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, UnixListener, UnixStream, lookup_host};

use super::ReceiveError;
use crate::config::types::{ListenAddress, Transport};

/// Connections that wait in the kernel until they are accepted.
const BACKLOG: u32 = 1024;
/// After this time without traffic the kernel asks whether the peer still lives; Go's servers do the same.
const TCP_KEEPALIVE: Duration = Duration::from_secs(15);

/// Where a receiver really listens; the port is known even if 0 was configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BoundAddress {
    /// A TCP address.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for BoundAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// A connected socket of any kind.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A bound socket.
#[derive(Debug)]
pub(super) enum Listener {
    Tcp(TcpListener, SocketAddr),
    Unix(UnixListener, SocketFile),
}

/// The file of a Unix socket; removed with the listener.
#[derive(Debug)]
pub(super) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Nothing can be done about a file that somebody else has removed.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Listener {
    /// Binds and listens.
    pub(super) async fn bind(
        protocol: &'static str,
        endpoint: &ListenAddress,
        transport: Transport,
    ) -> Result<Self, ReceiveError> {
        let listen = |source| ReceiveError::Listen { protocol, endpoint: endpoint.to_string(), source };
        if transport == Transport::Unix {
            return bind_unix(Path::new(endpoint.as_str())).await.map_err(listen);
        }
        let listener = bind_tcp(endpoint, transport).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        Ok(Self::Tcp(listener, address))
    }

    pub(super) fn address(&self) -> BoundAddress {
        match self {
            Self::Tcp(_, address) => BoundAddress::Tcp(*address),
            Self::Unix(_, file) => BoundAddress::Unix(file.0.clone()),
        }
    }

    /// Accepts the next connection.
    pub(super) async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        match self {
            Self::Tcp(listener, _) => {
                let (stream, _) = listener.accept().await?;
                // Replies are small and must not wait for each other. Both may fail if the peer is gone already.
                let _ = stream.set_nodelay(true);
                let keepalive = socket2::TcpKeepalive::new().with_time(TCP_KEEPALIVE).with_interval(TCP_KEEPALIVE);
                let _ = socket2::SockRef::from(&stream).set_tcp_keepalive(&keepalive);
                Ok(Box::new(stream))
            }
            Self::Unix(listener, _) => Ok(Box::new(listener.accept().await?.0)),
        }
    }
}

/// Binds and listens on the first address of an endpoint that can be had.
pub(crate) async fn bind_tcp(endpoint: &ListenAddress, transport: Transport) -> io::Result<TcpListener> {
    let (host, port) =
        endpoint.host_and_port().map_err(|reason| io::Error::new(io::ErrorKind::InvalidInput, reason))?;
    let mut result = Err(io::Error::new(io::ErrorKind::AddrNotAvailable, "the name has no address"));
    for address in resolve(host, port, transport).await? {
        result = listen(address);
        if result.is_ok() {
            break;
        }
    }
    result
}

/// The addresses of a host in the order in which they are tried. One is bound, and as in Go's `net.Listen` that is an
/// IPv4 address if there is one. No host means all interfaces, and so does `0.0.0.0`, with those of IPv6.
async fn resolve(host: &str, port: u16, transport: Transport) -> io::Result<Vec<SocketAddr>> {
    let mut addresses: Vec<SocketAddr> = match host {
        "" | "0.0.0.0" => vec![SocketAddr::from(([0_u16; 8], port)), SocketAddr::from(([0_u8; 4], port))],
        host => {
            let mut found: Vec<_> = lookup_host((host, port)).await?.collect();
            found.sort_by_key(SocketAddr::is_ipv6);
            found
        }
    };
    addresses.retain(|address| match transport {
        Transport::Tcp4 => address.is_ipv4(),
        Transport::Tcp6 => address.is_ipv6(),
        Transport::Tcp | Transport::Unix => true,
    });
    Ok(addresses)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if address.is_ipv6() && address.ip().is_unspecified() {
        socket2::SockRef::from(&socket).set_only_v6(false)?;
    }
    // A restart must not wait for the old connections' TIME_WAIT.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Binds a Unix socket. The file of a process that died is removed; one that is in use is not.
async fn bind_unix(path: &Path) -> io::Result<Listener> {
    if is_socket(path) {
        if UnixStream::connect(path).await.is_ok() {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        std::fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    Ok(Listener::Unix(listener, SocketFile(path.to_owned())))
}

fn is_socket(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    std::fs::metadata(path).is_ok_and(|file| file.file_type().is_socket())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn bind(endpoint: &str, transport: Transport) -> Result<Listener, ReceiveError> {
        Listener::bind("grpc", &ListenAddress::new(endpoint), transport).await
    }

    #[tokio::test]
    async fn localhost_is_ipv4_and_port_0_becomes_a_real_one() {
        let listener = bind("localhost:0", Transport::Tcp).await.expect("localhost");
        let BoundAddress::Tcp(address) = listener.address() else { panic!("not TCP") };
        assert!(address.is_ipv4() && address.port() != 0, "{address}");
    }

    #[tokio::test]
    async fn an_endpoint_without_a_host_is_all_interfaces_of_both_families() {
        for endpoint in [":0", "0.0.0.0:0"] {
            let listener = bind(endpoint, Transport::Tcp).await.expect("a port");
            let BoundAddress::Tcp(address) = listener.address() else { panic!("not TCP") };
            assert!(address.ip().is_unspecified(), "{address}");
            let has_ipv6 = TcpListener::bind("[::1]:0").await.is_ok();
            assert_eq!(address.is_ipv6(), has_ipv6, "{address}");
        }
        let listener = bind("0.0.0.0:0", Transport::Tcp4).await.expect("a port");
        let BoundAddress::Tcp(address) = listener.address() else { panic!("not TCP") };
        assert!(address.is_ipv4(), "{address}");
    }

    #[tokio::test]
    async fn says_which_address_is_taken() {
        let first = bind("127.0.0.1:0", Transport::Tcp).await.expect("free");
        let endpoint = first.address().to_string();
        let error = bind(&endpoint, Transport::Tcp).await.expect_err("taken").to_string();
        assert!(error.starts_with(&format!("grpc can't listen on {endpoint}: ")), "{error}");
    }

    #[tokio::test]
    async fn refuses_an_endpoint_without_a_port() {
        let error = bind("localhost", Transport::Tcp).await.expect_err("no port").to_string();
        assert!(error.starts_with("grpc can't listen on localhost: \"localhost\" has no port"), "{error}");
    }

    #[tokio::test]
    async fn takes_over_the_socket_file_of_the_dead_but_not_of_the_living() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("otlp.sock");
        let name = path.to_str().expect("UTF-8");
        // Dropping a std listener leaves its file behind, as a crash would.
        drop(std::os::unix::net::UnixListener::bind(&path).expect("bind"));
        let living = bind(name, Transport::Unix).await.expect("stale file");
        assert!(bind(name, Transport::Unix).await.is_err());
        drop(living);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn does_not_remove_a_file_that_is_no_socket() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("precious");
        std::fs::write(&path, "x").expect("write");
        assert!(bind(path.to_str().expect("UTF-8"), Transport::Unix).await.is_err());
        assert!(path.exists());
    }
}
