//! The process that is shown: the real binary with the quickstart, in a directory of its own.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use sluice_tests::process::Process;
use sluice_tests::sluice::READY;
use sluice_tests::{free_port, web};

use crate::books::Books;
use crate::stores::Stores;
use crate::{say, shown};

/// Pipelines that run the plugin; each swaps it at a boundary between two batches.
const PIPELINES: u64 = 3;
const PATIENCE: Duration = Duration::from_secs(60);

/// The running process.
pub(crate) struct Running {
    process: Process,
    ports: Ports,
    dir: PathBuf,
}

/// Where it listens: the quickstart's ports, and others instead of those that are taken.
struct Ports {
    grpc: u16,
    http: u16,
    health: u16,
    metrics: u16,
}

impl Ports {
    fn choose() -> Self {
        let port = |wanted: u16| match TcpListener::bind(("127.0.0.1", wanted)) {
            Ok(_) => wanted,
            Err(_) => {
                let other = free_port();
                say(&format!("port {wanted} is taken, using {other}"));
                other
            }
        };
        Self { grpc: port(4317), http: port(4318), health: port(13133), metrics: port(8888) }
    }

    /// What the command line says about ports that are not the quickstart's.
    fn arguments(&self) -> Vec<String> {
        let mut arguments = Vec::new();
        let endpoints = [
            ("receivers.otlp.protocols.grpc.endpoint", self.grpc, 4317),
            ("receivers.otlp.protocols.http.endpoint", self.http, 4318),
            ("extensions.health_check.endpoint", self.health, 13133),
        ];
        for (key, port, _) in endpoints.iter().filter(|(_, port, standard)| port != standard) {
            arguments.extend(["--set".to_owned(), format!("{key}=127.0.0.1:{port}")]);
        }
        if self.metrics != 8888 {
            let exporter = format!("{{prometheus: {{host: 127.0.0.1, port: {}}}}}", self.metrics);
            let readers = format!("[{{pull: {{exporter: {exporter}}}}}]");
            arguments.extend(["--set".to_owned(), format!("service.telemetry.metrics.readers={readers}")]);
        }
        arguments
    }
}

impl Running {
    /// Starts it and waits until it is ready.
    pub(crate) fn start(binary: &Path, dir: &Path, stores: &Stores) -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?;
        let ports = Ports::choose();
        let mut command = Command::new(binary);
        command.current_dir(&root).env("SLUICE_DATA", dir.join("data"));
        let mut configs = vec!["examples/quickstart/config.yaml".into(), "examples/first-plugin/config.yaml".into()];
        configs.extend(stores.configuration(dir)?);
        for config in configs {
            command.arg("--config").arg(config);
        }
        command.args(ports.arguments());
        let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy().into_owned()).collect();
        say(&format!("sluice {}", words.join(" ")));
        let started = std::time::Instant::now();
        let mut process = Process::start("sluice", &mut command, &dir.join("sluice.log"))?;
        process.wait_until("readiness", PATIENCE, |process| process.log().contains(READY))?;
        say(&format!("ready after {} ms", started.elapsed().as_millis()));
        Ok(Self { process, ports, dir: dir.to_owned() })
    }

    /// Where it takes OTLP/gRPC.
    pub(crate) fn grpc(&self) -> String {
        format!("127.0.0.1:{}", self.ports.grpc)
    }

    /// Where it takes OTLP/HTTP.
    pub(crate) fn http(&self) -> String {
        format!("127.0.0.1:{}", self.ports.http)
    }

    /// Where its file exporters write.
    pub(crate) fn out(&self) -> PathBuf {
        self.dir.join("data/out")
    }

    fn plugins(&self) -> PathBuf {
        self.dir.join("data/plugins")
    }

    /// Its books, once nothing is in flight.
    pub(crate) fn settled(&self) -> Result<Books> {
        web::eventually("settled ledger", PATIENCE, || {
            let books = Books::read(&self.metrics()?)?;
            Ok(books.settled().then_some(books))
        })
    }

    /// Waits until every pipeline runs the plugin that was put into the directory.
    pub(crate) fn wait_for_reload(&self) -> Result<()> {
        web::eventually("reload in all pipelines", PATIENCE, || {
            let page = self.metrics()?;
            let swapped = |line: &&str| line.starts_with("sluice_plugin_reloads{") && line.contains("swapped");
            let counts = page.lines().filter(swapped).filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok());
            Ok((counts.sum::<u64>() >= PIPELINES).then_some(()))
        })
        .with_context(|| self.process.log())
    }

    /// Leaves it running until Ctrl-C or SIGTERM.
    pub(crate) fn stay(&self) -> Result<()> {
        crate::title("It keeps running until Ctrl-C");
        let Ports { grpc, http, health, metrics } = &self.ports;
        say(&format!("send OTLP to   127.0.0.1:{grpc} (gRPC) or http://127.0.0.1:{http} (HTTP)"));
        say("               the resource attribute `tenant` says whose it is; without one it is `default`'s");
        say(&format!("what comes out {}/<tenant>/", shown(&self.out())));
        say(&format!("plugins        {}/; build examples/first-plugin anew, copy it there", shown(&self.plugins())));
        say(&format!("its log        {}", shown(&self.dir.join("sluice.log"))));
        say(&format!("metrics        http://127.0.0.1:{metrics}/metrics"));
        say(&format!("health         http://127.0.0.1:{health}/"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
            tokio::select! {
                ended = tokio::signal::ctrl_c() => ended,
                _ = terminate.recv() => Ok(()),
            }
        })?;
        Ok(())
    }

    /// Ends it as an orchestrator does, and checks that it left nothing behind.
    pub(crate) fn stop(mut self) -> Result<()> {
        // Ctrl-C in a terminal reaches it, too, and a second signal would cut its draining short.
        let began = |process: &Process| process.log().contains("shutting down");
        let began = self.process.wait_until("the beginning of its end", Duration::from_millis(300), began);
        if began.is_err() {
            self.process.terminate()?;
        }
        let status = self.process.wait(PATIENCE)?;
        ensure!(status.success(), "sluice ended with {status}\n{}", self.process.log());
        if !self.process.log().contains("Shutdown complete.") {
            bail!("sluice did not say that its shutdown is complete\n{}", self.process.log());
        }
        say("asked to end (SIGTERM, or your Ctrl-C), it drained and left with exit code 0");
        Ok(())
    }

    fn metrics(&self) -> Result<String> {
        Ok(web::get(&format!("http://127.0.0.1:{}/metrics", self.ports.metrics))?.body)
    }
}
