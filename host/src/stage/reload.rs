//! Hot reload: the plugin directory is watched, and chains look for their plugins again when something happens there.
//!
//! An event is only a hint. Whatever it says, the directory is read again after things have been quiet for a moment, and
//! contents are told apart by their hash. So half-written files, editors that rename, and the symbolic links that
//! Kubernetes swaps need no special treatment: what is no plugin yet is refused, and the next event brings the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use super::catalog::{Catalog, CatalogError};
use super::chain::{Chain, Change, Renewal, StageConfigError};
use super::code_cache::Digest;
use super::component::Plugin;

/// The directory is read at the latest after so many quiet times, even if writing never ends.
const MAX_WAITS: u32 = 25;
/// The directory is also read without an event: network file systems send none.
const RESCAN: Duration = Duration::from_secs(60);

/// Keeps chains up to date with the plugin directory, until it is dropped.
pub struct Reloader {
    hints: Sender<Hint>,
}

/// What a look at the directory led to. A stage of several pipelines stands here once for each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reload {
    /// Plugins that were swapped in.
    pub changes: Vec<Change>,
    /// Stages that keep the plugin that runs, and why. A refusal that lasts is said once.
    pub errors: Vec<NotReloaded>,
    /// Stages whose plugin was refused before: what is there now is what they run.
    pub restored: Vec<Change>,
}

/// A plugin that a stage does not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotReloaded {
    /// The stage, and why.
    pub error: StageConfigError,
    /// The SHA-256 of the component; none if there is none that can be read.
    pub digest: Option<Digest>,
}

enum Hint {
    Look,
    Stop,
}

/// The directory, and what sends hints about it.
struct Watch {
    directory: PathBuf,
    hints: Sender<Hint>,
    watcher: Option<RecommendedWatcher>,
    /// Device and inode of what is watched: a symbolic link may lead elsewhere meanwhile.
    watched: Option<(u64, u64)>,
    /// Whether what was watched is gone; what is made in its place may have the same inode.
    is_gone: Arc<AtomicBool>,
}

/// The chains to keep up to date, and what was already said about them.
struct Watched {
    catalog: Catalog,
    watch: Option<Watch>,
    chains: Vec<Weak<Chain>>,
    /// How long the directory must be quiet before it is read.
    quiet: Duration,
    /// What the last look refused, by component type.
    refused: BTreeMap<String, Refused>,
    observe: Box<dyn FnMut(&Reload) + Send>,
}

/// What stages of a component type do not run.
struct Refused {
    errors: Vec<NotReloaded>,
    /// How often it was there.
    looks: u32,
}

impl Reloader {
    /// Watches the catalog's directory for these chains, and reads it when it has been quiet for long enough. `observe` hears of every look that led to something, on the
    /// thread of the reloader.
    ///
    /// # Errors
    /// If the thread can't be started.
    pub fn start(
        catalog: &Catalog,
        chains: &[Arc<Chain>],
        quiet: Duration,
        observe: impl FnMut(&Reload) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (hints, received) = mpsc::channel();
        let mut watched = Watched {
            catalog: catalog.clone(),
            watch: catalog.directory().map(|directory| Watch::new(directory, hints.clone())),
            chains: chains.iter().map(Arc::downgrade).collect(),
            quiet,
            refused: BTreeMap::new(),
            observe: Box::new(observe),
        };
        let thread = std::thread::Builder::new().name("plugin-reload".into());
        thread.spawn(move || watched.run(&received))?;
        Ok(Self { hints })
    }

    /// Has the directory looked at soon, as after an event.
    pub fn look(&self) {
        // Nobody listens only if the thread is gone, and then nothing can be reloaded.
        drop(self.hints.send(Hint::Look));
    }
}

impl Drop for Reloader {
    fn drop(&mut self) {
        // The thread ends by itself: it may be compiling, and whoever shuts down has no time for that.
        drop(self.hints.send(Hint::Stop));
    }
}

impl std::fmt::Debug for Reloader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reloader").finish_non_exhaustive()
    }
}

impl Watched {
    fn run(&mut self, hints: &Receiver<Hint>) {
        loop {
            match hints.recv_timeout(RESCAN) {
                Ok(Hint::Look) => match wait_for_quiet(hints, self.quiet) {
                    Hint::Look => {}
                    Hint::Stop => return,
                },
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Hint::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            }
            if let Some(watch) = &mut self.watch {
                watch.renew();
            }
            let reload = self.look();
            if reload != Reload::default() {
                reload.log();
                (self.observe)(&reload);
            }
        }
    }

    /// Looks for the plugin of each component type, and has all of its stages run what is there now.
    fn look(&mut self) -> Reload {
        let chains: Vec<Arc<Chain>> = self.chains.iter().filter_map(Weak::upgrade).collect();
        let component_types: BTreeSet<&str> = chains.iter().flat_map(|chain| chain.component_types()).collect();
        let mut reload = Reload::default();
        for component_type in component_types {
            self.look_for(component_type, &chains, &mut reload);
        }
        self.catalog.forget_unused();
        reload
    }

    fn look_for(&mut self, component_type: &str, chains: &[Arc<Chain>], reload: &mut Reload) {
        let found = self.catalog.find(component_type);
        let mut before = self.refused.remove(component_type);
        if let (Ok(plugin), Some(refused)) = (&found, &mut before)
            && !refused.is_worth_asking(plugin)
        {
            self.refused.extend(before.map(|refused| (component_type.to_owned(), refused)));
            return;
        }
        match renewals(component_type, &found, chains) {
            Ok(renewals) => {
                let changes = renewals.into_iter().flat_map(|(chain, renewal)| chain.swap(renewal));
                let first = reload.changes.len();
                reload.changes.extend(changes);
                if before.is_some() && reload.changes.len() == first {
                    let running = chains.iter().flat_map(|chain| chain.running());
                    let running = running.filter(|(named, _)| *named == component_type);
                    reload.restored.extend(running.map(|(_, running)| running));
                }
            }
            Err(errors) => {
                let digest = found.as_ref().map_or_else(CatalogError::digest, |plugin| Some(plugin.digest()));
                let errors = errors.into_iter().map(|error| NotReloaded { error, digest }).collect();
                let refused = Refused { errors, looks: before.as_ref().map_or(1, |refused| refused.looks) };
                let is_new = |error: &&NotReloaded| before.as_ref().is_none_or(|it| !it.errors.contains(error));
                reload.errors.extend(refused.errors.iter().filter(is_new).cloned());
                self.refused.insert(component_type.to_owned(), refused);
            }
        }
    }
}

/// What all chains would run. A stage that refuses a plugin keeps it from all others: whoever replaces a file expects
/// either all stages to run it or none.
fn renewals<'a>(
    component_type: &str,
    found: &Result<Arc<Plugin>, CatalogError>,
    chains: &'a [Arc<Chain>],
) -> Result<Vec<(&'a Arc<Chain>, Renewal)>, Vec<StageConfigError>> {
    let (mut renewals, mut errors) = (Vec::new(), Vec::new());
    for chain in chains {
        match chain.renewed(component_type, found) {
            Ok(renewal) => renewals.extend(renewal.map(|renewal| (chain, renewal))),
            Err(mistakes) => errors.extend(mistakes),
        }
    }
    if errors.is_empty() { Ok(renewals) } else { Err(errors) }
}

impl Refused {
    /// Whether a plugin may be accepted: if it is another one, or now and then, less and less often. What it is refused
    /// for may pass, as a lack of memory does, but asking may take it a second or ten.
    fn is_worth_asking(&mut self, plugin: &Plugin) -> bool {
        if self.errors.iter().any(|error| error.digest != Some(plugin.digest())) {
            self.looks = 0;
        }
        self.looks = self.looks.saturating_add(1);
        self.looks.is_power_of_two()
    }
}

impl Reload {
    /// Says once what holds for several pipelines.
    fn log(&self) {
        for Change { stage, plugin, version, digest, origin } in distinct(&self.changes) {
            tracing::info!(%stage, %plugin, %version, %digest, %origin, "stage runs another plugin now");
        }
        for NotReloaded { error, digest } in distinct(&self.errors) {
            let (stage, digest) = (&error.stage, digest.map(tracing::field::display));
            tracing::warn!(%stage, %error, digest, "plugin is not reloaded, its stages keep the one that runs");
        }
        for Change { stage, plugin, version, digest, origin } in distinct(&self.restored) {
            tracing::info!(%stage, %plugin, %version, %digest, %origin, "refused plugin is gone, the stage runs this one");
        }
    }
}

/// Each item where it stands first.
fn distinct<T: PartialEq>(items: &[T]) -> impl Iterator<Item = &T> {
    items.iter().enumerate().filter(|(i, item)| !items[..*i].contains(item)).map(|(_, item)| item)
}

impl Watch {
    fn new(directory: &Path, hints: Sender<Hint>) -> Self {
        // Without a slash at its end, behind which a symbolic link is not seen as one.
        let directory = directory.components().collect();
        let mut watch = Self { directory, hints, watcher: None, watched: None, is_gone: Arc::default() };
        watch.renew();
        watch
    }

    /// Watches what the path leads to now.
    fn renew(&mut self) {
        let now = self.directory.metadata().ok().map(|directory| (directory.dev(), directory.ino()));
        if self.is_gone.swap(false, Ordering::Relaxed) || now != self.watched {
            self.watcher = watch(&self.directory, self.hints.clone(), Arc::clone(&self.is_gone));
            self.watched = now;
        }
    }
}

fn watch(directory: &Path, hints: Sender<Hint>, is_gone: Arc<AtomicBool>) -> Option<RecommendedWatcher> {
    let itself = directory.to_owned();
    let hint = move |event: notify::Result<notify::Event>| {
        let is_removed = |event: &notify::Event| event.kind.is_remove() && event.paths.contains(&itself);
        if event.as_ref().is_ok_and(is_removed) {
            is_gone.store(true, Ordering::Relaxed);
        }
        // Reading is an event, too, but the end of writing is what counts. An error may hide anything, so it is a hint.
        let written = EventKind::Access(AccessKind::Close(AccessMode::Write));
        if event.is_ok_and(|event| event.kind.is_access() && event.kind != written) {
            return;
        }
        drop(hints.send(Hint::Look));
    };
    let watching = notify::recommended_watcher(hint).and_then(|mut watcher| {
        watcher.watch(directory, RecursiveMode::NonRecursive)?;
        // If the directory is a symbolic link, whoever swaps it does so in the directory around it.
        if let Some(around) = directory.parent().filter(|_| directory.is_symlink()) {
            let around = if around.as_os_str().is_empty() { Path::new(".") } else { around };
            watcher.watch(around, RecursiveMode::NonRecursive)?;
        }
        Ok(watcher)
    });
    let report = |error: &notify::Error| {
        let every = RESCAN.as_secs();
        tracing::warn!(directory = %directory.display(), %error, "no events, the directory is read every {every} s");
    };
    watching.inspect_err(report).ok()
}

/// Waits until no hint has come for a while, but not for ever.
fn wait_for_quiet(hints: &Receiver<Hint>, quiet: Duration) -> Hint {
    let started = Instant::now();
    while started.elapsed() < quiet.saturating_mul(MAX_WAITS) {
        match hints.recv_timeout(quiet) {
            Ok(Hint::Look) => {}
            Ok(Hint::Stop) | Err(RecvTimeoutError::Disconnected) => return Hint::Stop,
            Err(RecvTimeoutError::Timeout) => return Hint::Look,
        }
    }
    Hint::Look
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn says_once_what_several_pipelines_have_in_common() {
        let change = |stage: &str| Change {
            stage: stage.to_owned(),
            plugin: "edge".to_owned(),
            version: "1.2.3".to_owned(),
            digest: "ab".to_owned(),
            origin: "edge.wasm".to_owned(),
        };
        let error = StageConfigError { stage: "a".to_owned(), path: String::new(), message: "no plugin".to_owned() };
        let refused =
            |component: &str| NotReloaded { error: error.clone(), digest: Some(Digest::of(component.as_bytes())) };
        let reload = Reload {
            changes: vec![change("a"), change("b"), change("a")],
            errors: vec![refused("x"), refused("x"), refused("y")],
            restored: vec![change("b"), change("b")],
        };
        let file = tempfile::NamedTempFile::new().expect("a file");
        let writer = Mutex::new(file.reopen().expect("a file"));
        let log = tracing_subscriber::fmt().with_writer(writer).with_ansi(false).without_time().finish();
        tracing::subscriber::with_default(log, || reload.log());
        let said = std::fs::read_to_string(file.path()).expect("text");
        let count = |what: &str| said.lines().filter(|line| line.contains(what)).count();
        assert_eq!(count("stage runs another plugin now"), 2, "{said}");
        assert_eq!(
            (count("is not reloaded"), count("refused plugin is gone"), said.lines().count()),
            (2, 1, 5),
            "{said}"
        );
        assert!(said.contains(&format!("digest={}", Digest::of(b"y"))), "{said}");
    }

    #[test]
    fn waits_for_quiet_however_many_hints_there_are() {
        for (last, is_look) in [(Hint::Look, true), (Hint::Stop, false)] {
            let (sender, hints) = mpsc::channel();
            (0..10 * MAX_WAITS).for_each(|_| sender.send(Hint::Look).expect("sent"));
            sender.send(last).expect("sent");
            let hint = wait_for_quiet(&hints, Duration::from_millis(100));
            assert_eq!(matches!(hint, Hint::Look), is_look);
            assert!(hints.try_recv().is_err(), "all were taken");
        }
    }

    #[test]
    fn does_not_wait_for_ever_if_hints_never_end() {
        let (sender, hints) = mpsc::channel();
        std::thread::spawn(move || while sender.send(Hint::Look).is_ok() {});
        assert!(matches!(wait_for_quiet(&hints, Duration::from_millis(2)), Hint::Look));
    }
}
