//! The real parts: other people's servers and clients that tests and benchmarks run Sluice against.
//!
//! Each is fetched through its own package client, cached under `target/parts`, and started by the tests on loopback.

mod debian;
mod golang;
mod java;
mod python;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::shell;

/// The file of a part that tells what it was made of.
const MADE_OF: &str = "made-of";

/// One part: what it is called, and how to get it.
pub(crate) struct Part {
    /// The name that tests use: the part is in `target/parts/<name>`.
    pub(crate) name: &'static str,
    /// What it is, for people.
    pub(crate) title: &'static str,
    /// Programs that fetching it needs.
    needs: &'static [&'static str],
    /// Fetches it into a directory.
    fetch: fn(&Path) -> Result<()>,
    /// A file that is there when it is.
    proof: &'static str,
    /// What decides about what is fetched, such as its version; another one is fetched anew.
    made_of: &'static [&'static str],
}

impl Part {
    fn is_there(&self) -> bool {
        let made_of = std::fs::read_to_string(path(self.name, MADE_OF));
        path(self.name, self.proof).exists() && made_of.is_ok_and(|made_of| made_of == self.made_of())
    }

    fn made_of(&self) -> String {
        let mut hasher = DefaultHasher::new();
        self.made_of.hash(&mut hasher);
        format!("{:016x}\n", hasher.finish())
    }
}

/// All parts, cheap ones first.
pub(crate) const PARTS: &[Part] = &[
    Part {
        name: "python",
        title: "OpenTelemetry SDK, moto and botocore for Python",
        needs: &["python3"],
        fetch: python::fetch,
        proof: "ready",
        made_of: &[include_str!("../../tests/real/requirements.txt")],
    },
    Part {
        name: "prometheus",
        title: "Prometheus",
        needs: &["apt-get", "dpkg-deb"],
        fetch: |dir| debian::fetch("prometheus", dir),
        proof: "usr/bin/prometheus",
        made_of: &[],
    },
    Part {
        name: "nginx",
        title: "nginx",
        needs: &["apt-get", "dpkg-deb"],
        fetch: |dir| debian::fetch("nginx", dir),
        proof: "usr/sbin/nginx",
        made_of: &[],
    },
    Part {
        name: "opensearch",
        title: "OpenSearch 2.19.4",
        needs: &["java", "mvn", "python3"],
        fetch: java::opensearch,
        proof: "bin/opensearch",
        made_of: &[java::VERSION],
    },
    Part {
        name: "jaeger",
        title: "Jaeger query 1.62",
        needs: &["go"],
        fetch: golang::jaeger,
        proof: "jaeger-query",
        made_of: &[golang::JAEGER],
    },
    Part {
        name: "collector",
        title: "OpenTelemetry Collector 0.155.0",
        needs: &["go"],
        fetch: golang::collector,
        proof: "otelcol",
        made_of: &[
            include_str!("../collector/go.mod"),
            include_str!("../collector/main.go"),
            include_str!("../collector/ask.go"),
            "configurations",
        ],
    },
];

/// A part that can't be had on this machine, and why.
pub(crate) struct Missing {
    /// What it is, for people.
    pub(crate) title: &'static str,
    /// One line.
    pub(crate) reason: String,
}

/// Where the parts are.
pub(crate) fn dir() -> PathBuf {
    shell::target().join("parts")
}

/// The path of a file of a part.
pub(crate) fn path(part: &str, file: &str) -> PathBuf {
    dir().join(part).join(file)
}

/// Fetches the named parts (all, if none is named) and gives back those that can't be had.
pub(crate) fn fetch(names: &[&str]) -> Vec<Missing> {
    let wanted = |part: &&Part| names.is_empty() || names.contains(&part.name);
    PARTS.iter().filter(wanted).filter_map(|part| ensure(part).err()).collect()
}

/// Those of the named parts that were not fetched before.
pub(crate) fn left_out(names: &[&str]) -> Vec<Missing> {
    let left = PARTS.iter().filter(|part| names.contains(&part.name) && !part.is_there());
    left.map(|part| Missing { title: part.title, reason: "not fetched, --without-parts".to_owned() }).collect()
}

/// Fetches all parts and prints what is there.
pub(crate) fn run() -> Result<()> {
    let missing = fetch(&[]);
    for part in PARTS {
        let state = if part.is_there() { "there" } else { "missing" };
        println!("{:<12} {:<10} {}", part.name, state, part.title);
    }
    report(&missing)
}

/// Names what is missing; an error where `CI` is set, since there nothing may be skipped.
pub(crate) fn report(missing: &[Missing]) -> Result<()> {
    for part in missing {
        println!("skipped: {} ({})", part.title, part.reason);
    }
    anyhow::ensure!(
        missing.is_empty() || !shell::in_ci(),
        "{} parts are missing, which is an error in CI",
        missing.len()
    );
    Ok(())
}

/// A part appears under its name only when it is complete, so that an interrupted fetch is done again.
fn ensure(part: &Part) -> Result<(), Missing> {
    if part.is_there() {
        return Ok(());
    }
    let missing = |reason: String| Missing { title: part.title, reason };
    if let Some(program) = part.needs.iter().find(|program| !shell::has(program)) {
        return Err(missing(format!("needs {program}")));
    }
    shell::step(&format!("fetching {} (once)", part.title));
    let started = std::time::Instant::now();
    let (home, staging) = (dir().join(part.name), dir().join(format!("{}.partial", part.name)));
    let fetched = (|| {
        remove(&staging)?;
        std::fs::create_dir_all(&staging)?;
        (part.fetch)(&staging)?;
        std::fs::write(staging.join(MADE_OF), part.made_of())?;
        anyhow::ensure!(staging.join(part.proof).exists(), "{} is not in what was fetched", part.proof);
        remove(&home)?;
        Ok(std::fs::rename(&staging, &home)?)
    })();
    fetched.map_err(|error: anyhow::Error| missing(format!("{error:#}")))?;
    shell::step(&format!("{} is there after {} s", part.title, started.elapsed().as_secs()));
    Ok(())
}

fn remove(dir: &Path) -> Result<()> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}
