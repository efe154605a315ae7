//! Servers in Python, each in a process that ends with the test.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A server on loopback.
pub(crate) struct Server {
    pub(crate) url: String,
    process: Child,
}

/// A Python with botocore and moto, where `cargo xtask test` put it; without one the test is skipped, by name.
pub(crate) fn python() -> Option<PathBuf> {
    let parts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/parts");
    let parts = std::env::var_os("SLUICE_PARTS").map_or(parts, PathBuf::from);
    // Written when all packages are there; the environment itself is there before them.
    let is_whole = parts.join("python/ready").exists();
    let in_ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false");
    assert!(
        is_whole || !in_ci,
        "python is not on this machine, which is an error in CI: `cargo xtask parts` fetches it"
    );
    if !is_whole {
        println!("skipped: python is not on this machine; `cargo xtask parts` fetches it");
    }
    is_whole.then(|| parts.join("python-venv/bin/python"))
}

/// Runs a script of `tests/real/aws`; returns what it prints.
pub(crate) fn run(python: &Path, script: &str, arguments: &[&str]) -> String {
    let output = Command::new(python).arg(path(script)).args(arguments).output().expect("started");
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

impl Server {
    /// The server that verifies signatures with botocore.
    pub(crate) fn verifier(python: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(python);
        command.arg(path("verify_signatures.py")).arg("0").args(arguments).stdout(Stdio::piped());
        let mut process = command.spawn().expect("started");
        let mut line = String::new();
        let output = process.stdout.take().expect("output");
        BufReader::new(output).read_line(&mut line).expect("line");
        let port = line.trim().rsplit(' ').next().expect("port");
        Self { url: format!("http://127.0.0.1:{port}"), process }
    }

    /// moto, which answers as AWS does.
    pub(crate) fn moto(python: &Path) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").expect("listener").local_addr().expect("address").port();
        let mut command = Command::new(python.with_file_name("moto_server"));
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().expect("started");
        let server = Self { url: format!("http://127.0.0.1:{port}"), process };
        let deadline = Instant::now() + Duration::from_secs(60);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "moto does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn path(script: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/real/aws").join(script)
}
