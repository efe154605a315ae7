//! Other people's servers and clients, started on loopback from where `cargo xtask test` put them.
//!
//! A part that is not there makes its test end with a line that names it; in CI it fails.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::process::Process;
use crate::{free_port, web};

/// The directory of a part, or none, and a line that says so.
pub fn part(name: &str, proof: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/parts");
    let parts = std::env::var_os("SLUICE_PARTS").map_or(root, PathBuf::from);
    let found = parts.join(name).join(proof).exists();
    let in_ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false");
    assert!(found || !in_ci, "{name} is not on this machine, which is an error in CI: `cargo xtask parts` fetches it");
    if !found {
        println!("skipped: {name} is not on this machine; `cargo xtask parts` fetches it");
    }
    found.then(|| parts.join(name))
}

/// A server of somebody else.
pub struct Server {
    /// Where it answers, such as `http://127.0.0.1:9090`.
    pub url: String,
    process: Process,
    directory: tempfile::TempDir,
}

impl Server {
    /// What it has printed.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        self.directory.path()
    }

    fn start(
        name: &str,
        port: u16,
        ready: &str,
        seconds: u64,
        command: impl FnOnce(&Path) -> Result<Command>,
    ) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let url = format!("http://127.0.0.1:{port}");
        let mut command = command(directory.path())?;
        let mut process = Process::start(name, &mut command, &directory.path().join("log"))?;
        let probe = format!("{url}{ready}");
        let answers = |_: &Process| web::get(&probe).is_ok_and(|reply| reply.status < 300);
        process.wait_until("an answer", Duration::from_secs(seconds), answers)?;
        Ok(Self { url, process, directory })
    }
}

/// Prometheus with its remote-write receiver and native histograms switched on.
///
/// # Errors
/// Shows its log when it does not start.
pub fn prometheus() -> Result<Option<Server>> {
    prometheus_with(&["--enable-feature=native-histograms"])
}

/// Prometheus with its remote-write receiver and these arguments.
///
/// # Errors
/// Shows its log when it does not start.
pub fn prometheus_with(arguments: &[&str]) -> Result<Option<Server>> {
    let Some(home) = part("prometheus", "usr/bin/prometheus") else { return Ok(None) };
    let port = free_port();
    let server = Server::start("prometheus", port, "/-/ready", 60, |dir| {
        let config = dir.join("prometheus.yml");
        std::fs::write(&config, "global: {}\n")?;
        let mut command = Command::new(home.join("usr/bin/prometheus"));
        command.arg("--web.enable-remote-write-receiver").args(arguments);
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--storage.tsdb.path={}", dir.join("data").display()));
        command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        Ok(command)
    })?;
    Ok(Some(server))
}

/// OpenSearch, one node. It refuses to run as root, so it is given to `nobody` there.
///
/// # Errors
/// Shows its log when it does not start.
pub fn opensearch() -> Result<Option<Server>> {
    let Some(home) = part("opensearch", "bin/opensearch") else { return Ok(None) };
    let (port, transport) = (free_port(), free_port());
    let server = Server::start("opensearch", port, "/", 240, |dir| {
        let (config, data) = (dir.join("config"), dir.join("data"));
        copy_dir(&home.join("config"), &config)?;
        std::fs::create_dir_all(&data)?;
        let settings = format!(
            "network.host: 127.0.0.1\nhttp.port: {port}\ntransport.port: {transport}\ndiscovery.type: single-node\n\
             path.data: {}\npath.logs: {}\n",
            data.display(),
            dir.join("logs").display()
        );
        std::fs::write(config.join("opensearch.yml"), settings)?;
        // They would go to the distribution's own directory, which the user that runs it may not write to.
        let options = std::fs::read_to_string(config.join("jvm.options"))?;
        let options = options.lines().filter(|line| !line.contains("logs/"));
        std::fs::write(config.join("jvm.options"), options.collect::<Vec<_>>().join("\n"))?;
        let mut command = unprivileged(&home.join("bin/opensearch"), dir)?;
        command.env("OPENSEARCH_JAVA_OPTS", "-Xms256m -Xmx256m").env("OPENSEARCH_PATH_CONF", &config);
        command.env("OPENSEARCH_TMPDIR", dir).env("HOME", dir);
        if let Some(java) = java_home() {
            command.env("OPENSEARCH_JAVA_HOME", &java).env("JAVA_HOME", java);
        }
        Ok(command)
    })?;
    Ok(Some(server))
}

/// Jaeger's query service on an OpenSearch.
///
/// # Errors
/// Shows its log when it does not start.
pub fn jaeger(opensearch: &Server, index_prefix: &str) -> Result<Option<Server>> {
    let Some(home) = part("jaeger", "jaeger-query") else { return Ok(None) };
    let (port, grpc, admin) = (free_port(), free_port(), free_port());
    let server = Server::start("jaeger-query", port, "/api/services", 60, |_| {
        let mut command = Command::new(home.join("jaeger-query"));
        command.env("SPAN_STORAGE_TYPE", "opensearch").arg(format!("--es.server-urls={}", opensearch.url));
        command.arg(format!("--query.http-server.host-port=127.0.0.1:{port}"));
        command.arg(format!("--query.grpc-server.host-port=127.0.0.1:{grpc}"));
        command.arg(format!("--admin.http.host-port=127.0.0.1:{admin}"));
        if !index_prefix.is_empty() {
            command.arg(format!("--es.index-prefix={index_prefix}"));
        }
        Ok(command)
    })?;
    Ok(Some(server))
}

/// moto and a checker of signatures, as `tests/real/aws.py` describes them; the URL is the checker's.
///
/// # Errors
/// Shows its log when it does not start.
pub fn aws() -> Result<Option<Server>> {
    let Some(python) = python() else { return Ok(None) };
    let port = free_port();
    let server = Server::start("aws.py", port, "/account", 60, |_| {
        let mut command = Command::new(&python);
        command.arg(script("aws.py")).arg(port.to_string());
        // What the machine is configured to do with AWS is not the test's business.
        command.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
        Ok(command)
    })?;
    Ok(Some(server))
}

/// The collector with a configuration; `health` is the port of its `health_check`.
///
/// # Errors
/// Shows its log when it does not start.
pub fn collector(config: &str, health: u16) -> Result<Option<Server>> {
    let Some(home) = part("collector", "otelcol") else { return Ok(None) };
    let server = Server::start("otelcol", health, "/", 60, |dir| {
        let file = dir.join("config.yaml");
        std::fs::write(&file, config)?;
        let mut command = Command::new(home.join("otelcol"));
        command.arg(format!("--config={}", file.display()));
        Ok(command)
    })?;
    Ok(Some(server))
}

/// A Python in which the clients of `tests/real/requirements.txt` are installed.
pub fn python() -> Option<PathBuf> {
    let home = part("python", "ready")?;
    Some(home.with_file_name("python-venv").join("bin/python"))
}

/// Runs a script of `tests/real` and gives back what it printed.
///
/// # Errors
/// Shows what the script printed when it fails.
pub fn run_script(python: &Path, script: &str, args: &[&str], env: &[(&str, &str)]) -> Result<String> {
    let mut command = Command::new(python);
    let output = command
        .arg(self::script(script))
        .args(args)
        .envs(env.iter().copied())
        .output()
        .context("can't start python")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{script}: {}\n{text}\n{errors}", output.status);
    Ok(text)
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("real").join(name)
}

/// A command that does not run as root even where we do.
fn unprivileged(program: &Path, dir: &Path) -> Result<Command> {
    let id = Command::new("id").arg("-u").output()?;
    if id.stdout.trim_ascii() != b"0" {
        return Ok(Command::new(program));
    }
    let status = Command::new("chown").args(["-R", "nobody"]).arg(dir).status()?;
    anyhow::ensure!(status.success(), "chown: {status}");
    let mut command = Command::new("setpriv");
    command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"]).arg(program);
    Ok(command)
}

/// Where Java is: what `JAVA_HOME` says, or where the `java` on the path belongs.
fn java_home() -> Option<PathBuf> {
    if let Some(home) = std::env::var_os("JAVA_HOME") {
        return Some(home.into());
    }
    let path = std::env::var_os("PATH")?;
    let java = std::env::split_paths(&path).map(|dir| dir.join("java")).find(|java| java.is_file())?;
    Some(java.canonicalize().ok()?.parent()?.parent()?.to_owned())
}

fn copy_dir(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_dir(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
