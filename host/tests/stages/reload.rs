//! Hot reload: however a file changes, a good plugin comes in at a batch boundary and a bad one changes nothing.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sluice::model::Signal;
use sluice::stage::{
    Catalog, Chain, Digest, Engine, EngineConfig, ReadSettings, Reload, Reloader, Settings, StageSpec,
};

use super::kit::{act, batch, engine, guests, spec};

/// Long, since other tests may take all cores; a passing test does not wait for it.
const PATIENCE: Duration = Duration::from_secs(60);

struct Watched {
    chain: Arc<Chain>,
    reloads: Receiver<Reload>,
    _reloader: Reloader,
}

/// A standard stage as the executable carries it.
struct Embedded {
    name: &'static str,
    component: &'static [u8],
    #[allow(dead_code, reason = "the host's list has it")]
    code: Option<&'static [u8]>,
}

const EMBEDDED: &[Embedded] = include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// The noop under the name `s`; another version differs in a custom section.
fn version(number: u8) -> Vec<u8> {
    let mut component = guests::guest("noop");
    component.extend([0, 3, 1, b'v', number]);
    component
}

fn watch(directory: &Path) -> Watched {
    watch_stage(directory, "s")
}

fn watch_stage(directory: &Path, plugin: &str) -> Watched {
    watch_configured(directory, plugin, json!({}))
}

fn watch_configured(directory: &Path, plugin: &str, config: Value) -> Watched {
    watch_with(engine(), directory, plugin, config)
}

fn watch_with(engine: Engine, directory: &Path, plugin: &str, config: Value) -> Watched {
    let catalog = Catalog::new(engine, Some(directory.to_owned()));
    let stage = StageSpec { id: format!("{plugin}/x"), plugin: plugin.into(), ..spec(config) };
    let chain = Arc::new(Chain::new(&catalog, Signal::Logs, vec![stage]).unwrap());
    let (_reloader, reloads) = observe(&catalog, &[Arc::clone(&chain)]);
    Watched { chain, reloads, _reloader }
}

impl Watched {
    fn next(&self) -> Reload {
        self.reloads.recv_timeout(PATIENCE).expect("something happens")
    }

    fn runs(&self, number: u8) -> bool {
        drop(self.chain.run(batch(&[&["a"]])).result.expect("accepted"));
        self.chain.plugins()[0].digest() == Digest::of(&version(number))
    }
}

#[test]
fn takes_a_file_that_is_written_in_place() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("s.wasm"), version(1)).unwrap();
    let watched = watch(directory.path());
    assert!(watched.runs(1));
    fs::write(directory.path().join("s.wasm"), version(2)).unwrap();
    let reload = watched.next();
    assert_eq!((reload.errors.len(), reload.changes.len()), (0, 1));
    assert_eq!((reload.changes[0].stage.as_str(), reload.changes[0].plugin.as_str()), ("s/x", "noop"));
    assert!(watched.runs(2));
}

#[test]
fn takes_a_file_that_is_renamed_over_the_old_one() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("s.wasm"), version(1)).unwrap();
    let watched = watch(directory.path());
    fs::write(directory.path().join(".s.wasm.swp"), version(2)).unwrap();
    fs::rename(directory.path().join(".s.wasm.swp"), directory.path().join("s.wasm")).unwrap();
    assert_eq!(watched.next().changes.len(), 1);
    assert!(watched.runs(2));
}

#[test]
fn takes_the_symbolic_links_that_kubernetes_swaps() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    for number in [1, 2] {
        fs::create_dir(path(&format!("..{number}"))).unwrap();
        fs::write(path(&format!("..{number}")).join("s.wasm"), version(number)).unwrap();
    }
    symlink("..1", path("..data")).unwrap();
    symlink("..data/s.wasm", path("s.wasm")).unwrap();
    let watched = watch(directory.path());
    assert!(watched.runs(1));
    symlink("..2", path("..data_tmp")).unwrap();
    fs::rename(path("..data_tmp"), path("..data")).unwrap();
    assert_eq!(watched.next().changes.len(), 1);
    assert!(watched.runs(2));
}

#[test]
fn follows_a_directory_that_is_a_symbolic_link() {
    for slash in ["", "/"] {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        for number in [1, 2] {
            fs::create_dir(path(&number.to_string())).unwrap();
            fs::write(path(&number.to_string()).join("s.wasm"), version(number)).unwrap();
        }
        symlink("1", path("current")).unwrap();
        let watched = watch(&path(&format!("current{slash}")));
        assert!(watched.runs(1));
        symlink("2", path("new")).unwrap();
        fs::rename(path("new"), path("current")).unwrap();
        assert_eq!(watched.next().changes.len(), 1);
        assert!(watched.runs(2));
        // What happens behind the new link is seen, too.
        fs::write(path("2/s.wasm"), version(3)).unwrap();
        assert_eq!(watched.next().changes.len(), 1);
        assert!(watched.runs(3));
    }
}

/// What is made anew may have the inode of what was removed.
#[test]
fn follows_a_directory_that_is_made_anew() {
    let around = tempfile::tempdir().unwrap();
    let directory = around.path().join("plugins");
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join("s.wasm"), version(1)).unwrap();
    let watched = watch(&directory);
    assert!(watched.runs(1));
    fs::remove_dir_all(&directory).unwrap();
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join("s.wasm"), version(2)).unwrap();
    assert_eq!(watched.next().changes.len(), 1);
    assert!(watched.runs(2));
    fs::write(directory.join("s.wasm"), version(3)).unwrap();
    assert_eq!(watched.next().changes.len(), 1);
    assert!(watched.runs(3));
}

#[test]
fn a_bad_file_changes_nothing_and_is_reported_once() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("s.wasm");
    fs::write(&file, version(1)).unwrap();
    let watched = watch(directory.path());
    let half = &version(2)[..1_000];
    fs::write(&file, half).unwrap();
    let reload = watched.next();
    assert!(reload.changes.is_empty());
    assert!(reload.errors[0].error.message.contains("it is no valid WebAssembly component"), "{reload:?}");
    assert!(watched.runs(1));
    // Another file is, even if the same is wrong with it.
    for other in ["no plugin", "none either"] {
        fs::write(&file, other).unwrap();
        assert_eq!(watched.next().errors[0].digest, Some(Digest::of(other.as_bytes())));
    }
    fs::write(&file, half).unwrap();
    assert_eq!(watched.next().errors.len(), 1);
    // The same content again is not worth another word; the whole file is.
    fs::write(&file, half).unwrap();
    watched._reloader.look();
    fs::write(&file, version(2)).unwrap();
    let reload = watched.next();
    assert_eq!((reload.changes.len(), reload.errors.len()), (1, 0));
    assert!(watched.runs(2));
}

#[test]
fn a_bad_file_that_comes_back_is_reported_again_and_so_is_its_end() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("s.wasm");
    fs::write(&file, version(1)).unwrap();
    let watched = watch(directory.path());
    let bad = &version(2)[..1_000];
    for number in [2, 3] {
        fs::write(&file, bad).unwrap();
        let reload = watched.next();
        assert_eq!((reload.errors.len(), reload.changes.len(), reload.restored.len()), (1, 0, 0), "{reload:?}");
        fs::write(&file, version(number)).unwrap();
        let reload = watched.next();
        assert_eq!((reload.errors.len(), reload.changes.len(), reload.restored.len()), (0, 1, 0), "{reload:?}");
    }
    // The file that ran before, once more.
    fs::write(&file, bad).unwrap();
    assert_eq!(watched.next().errors.len(), 1);
    fs::write(&file, version(3)).unwrap();
    let reload = watched.next();
    assert_eq!((reload.errors.len(), reload.changes.len()), (0, 0));
    assert_eq!((reload.restored[0].stage.as_str(), reload.restored[0].plugin.as_str()), ("s/x", "noop"));
    assert!(watched.runs(3));
}

#[test]
fn a_deleted_override_leads_back_to_the_standard_stage() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("sampler.wasm");
    let built_in = Catalog::new(engine(), None).find("sampler").expect("a standard stage");
    let embedded = EMBEDDED.iter().find(|embedded| embedded.name == "sampler").expect("a standard stage");
    for (component, is_same_code) in [(version(1), false), (embedded.component.to_vec(), true)] {
        fs::write(&file, component).unwrap();
        let watched = watch_stage(directory.path(), "sampler");
        assert_eq!(watched.chain.plugins()[0].digest() == built_in.digest(), is_same_code);
        fs::remove_file(&file).unwrap();
        let reload = watched.next();
        assert_eq!((reload.errors.len(), reload.changes.len()), (0, 1), "{reload:?}");
        assert_eq!(reload.changes[0].origin, built_in.origin().to_string());
        assert_eq!(watched.chain.plugins()[0].digest(), built_in.digest());
    }
}

#[test]
fn a_plugin_that_refuses_the_configuration_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("s.wasm");
    fs::write(&file, version(1)).unwrap();
    let watched = watch(directory.path());
    fs::write(&file, guests::guest("probe")).unwrap();
    let reload = watched.next();
    assert!(reload.changes.is_empty());
    assert_eq!(reload.errors[0].error.to_string(), format!("s/x: missing field `act` ({})", file.display()));
    assert!(watched.runs(1));
}

#[test]
fn a_plugin_that_reads_headers_that_receivers_do_not_keep_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("s.wasm");
    fs::write(&file, version(1)).unwrap();
    let watched = watch_configured(directory.path(), "s", act("nothing"));
    fs::write(&file, guests::guest("probe")).unwrap();
    let reload = watched.next();
    assert!(reload.changes.is_empty());
    let expected = "s/x: the plugin reads the request header \"x-probe\", which receivers do not keep for this \
        pipeline since no stage of it read it at the start; restart to run this plugin";
    assert_eq!(reload.errors[0].error.to_string(), format!("{expected} ({})", file.display()));
    assert!(watched.runs(1));
}

#[test]
fn a_plugin_that_reads_fewer_headers_comes_in_and_the_one_before_it_comes_back() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("s.wasm");
    fs::write(&file, guests::guest("probe")).unwrap();
    let watched = watch_configured(directory.path(), "s", act("nothing"));
    for component in [version(1), guests::guest("probe")] {
        fs::write(&file, component).unwrap();
        let reload = watched.next();
        assert_eq!((reload.changes.len(), reload.errors.len()), (1, 0), "{reload:?}");
        assert_eq!(watched.chain.headers().iter().collect::<Vec<_>>(), ["x-probe"]);
    }
}

#[test]
fn a_file_that_disappears_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    // Its descriptor says this name, too; a backup stays a backup.
    fs::write(directory.path().join("noop-backup.wasm"), version(2)).unwrap();
    let file = directory.path().join("noop.wasm");
    fs::write(&file, version(1)).unwrap();
    let watched = watch_stage(directory.path(), "noop");
    fs::remove_file(&file).unwrap();
    let reload = watched.next();
    let gone = format!("{}, which the stage runs, is gone: a restart would fail", file.display());
    assert_eq!(reload.errors[0].error.to_string(), format!("noop/x: there is no stage \"noop\"; {gone}"));
    assert!(watched.runs(1));
}

#[test]
fn a_stage_of_several_pipelines_is_reported_for_each() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("s.wasm");
    fs::write(&file, version(1)).unwrap();
    let catalog = Catalog::new(engine(), Some(directory.path().to_owned()));
    let chain = || {
        let stage = StageSpec { id: "s/x".into(), plugin: "s".into(), ..spec(json!({})) };
        Arc::new(Chain::new(&catalog, Signal::Logs, vec![stage]).unwrap())
    };
    let chains = [chain(), chain()];
    let (_reloader, reloads) = observe(&catalog, &chains);
    let after = |component: &[u8]| {
        fs::write(&file, component).unwrap();
        let reload = reloads.recv_timeout(PATIENCE).expect("something happens");
        (reload.changes.len(), reload.errors.len(), reload.restored.len())
    };
    assert_eq!(after(&version(2)), (2, 0, 0));
    assert_eq!(after(b"no plugin"), (0, 2, 0));
    assert_eq!(after(&version(2)), (0, 0, 2));
    for chain in &chains {
        let running = &chain.plugins()[0];
        assert_eq!(running.digest(), Digest::of(&version(2)));
        assert!(Arc::ptr_eq(running, &catalog.find("s").unwrap()), "what ran meanwhile is not compiled again");
    }
}

/// The first refuses a key that the second does not have, and the third is another stage of the same file.
#[test]
fn a_file_that_one_stage_refuses_changes_none() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("s.wasm");
    fs::write(&file, guests::guest("probe")).unwrap();
    let catalog = Catalog::new(engine(), Some(directory.path().to_owned()));
    let chain = |id: &str, config: Value| {
        let stage = StageSpec { id: id.into(), plugin: "s".into(), ..spec(config) };
        Arc::new(Chain::new(&catalog, Signal::Logs, vec![stage]).unwrap())
    };
    let refusing = chain("s/x", json!({ "act": "nothing", "value": "7" }));
    let chains = [chain("s/x", act("nothing")), refusing, chain("s/y", act("nothing"))];
    let (_reloader, reloads) = observe(&catalog, &chains);
    let after = |component: &[u8]| {
        fs::write(&file, component).unwrap();
        let reload = reloads.recv_timeout(PATIENCE).expect("something happens");
        let digests = chains.each_ref().map(|chain| chain.plugins()[0].digest());
        assert_eq!(digests, [Digest::of(&guests::guest("probe")); 3]);
        reload
    };
    for _ in 0..2 {
        let reload = after(&guests::guest("noop"));
        assert_eq!((reload.changes.len(), reload.errors.len(), reload.restored.len()), (0, 1, 0), "{reload:?}");
        assert!(reload.errors[0].error.message.contains("unknown field `value`"), "{reload:?}");
        let reload = after(&guests::guest("probe"));
        assert_eq!((reload.changes.len(), reload.errors.len(), reload.restored.len()), (0, 0, 3), "{reload:?}");
    }
}

#[test]
fn a_new_version_is_configured_by_its_own_schema_and_shows_no_secret_of_it_or_of_others() {
    let settings = |value: Value| Settings { value, secrets: vec!["hunter2".into()], warnings: Vec::new() };
    let none = || Settings { value: json!({}), secrets: Vec::new(), warnings: Vec::new() };
    // What is secret to the probe, and what was to the version before, whose schema the probe does not share.
    let secret_now = settings_by_version(none(), Ok(settings(json!({ "act": "hunter2" }))));
    let secret_before = settings_by_version(settings(json!({})), Err(vec!["found the text \"hunter2\"".into()]));
    let cases = [(secret_now, "unknown variant `[REDACTED]`"), (secret_before, "found the text \"[REDACTED]\"")];
    for (settings, said) in cases {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("s.wasm");
        fs::write(&file, version(1)).unwrap();
        let catalog = Catalog::new(engine(), Some(directory.path().to_owned()));
        let stage = StageSpec { plugin: "s".into(), settings, ..spec(json!({})) };
        let chain = Arc::new(Chain::new(&catalog, Signal::Logs, vec![stage]).unwrap());
        let (_reloader, reloads) = observe(&catalog, &[Arc::clone(&chain)]);
        fs::write(&file, guests::guest("probe")).unwrap();
        let reload = reloads.recv_timeout(PATIENCE).expect("something happens");
        assert!(reload.errors[0].error.message.contains(said), "{reload:?}");
    }
}

/// The settings of the first version, and those of the probe, whose schema has a key of its own.
fn settings_by_version(first: Settings, probe: Result<Settings, Vec<String>>) -> ReadSettings {
    Arc::new(move |schema: &Value| match schema["properties"]["value"].is_object() {
        true => probe.clone(),
        false => Ok(first.clone()),
    })
}

#[test]
fn a_refused_version_is_asked_less_and_less_often() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    for name in ["s.wasm", "other.wasm"] {
        fs::write(path(name), version(1)).unwrap();
    }
    let catalog = Catalog::new(engine(), Some(directory.path().to_owned()));
    let asked = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&asked);
    let settings = move |_: &Value| {
        counter.fetch_add(1, Ordering::Relaxed);
        Ok(Settings { value: json!({}), secrets: Vec::new(), warnings: Vec::new() })
    };
    let refusing = StageSpec { plugin: "s".into(), settings: Arc::new(settings), ..spec(json!({})) };
    let other = StageSpec { plugin: "other".into(), ..spec(json!({})) };
    let chain = Arc::new(Chain::new(&catalog, Signal::Logs, vec![refusing, other]).unwrap());
    let (_reloader, reloads) = observe(&catalog, &[Arc::clone(&chain)]);
    let after = |name: &str, component: &[u8]| {
        fs::write(path(name), component).unwrap();
        let reload = reloads.recv_timeout(PATIENCE).expect("something happens");
        (reload.changes.len(), reload.errors.len())
    };
    assert_eq!(after("s.wasm", &guests::guest("probe")), (0, 1));
    // Each of these is a look, at which the probe is there, too.
    for number in 2..8 {
        assert_eq!(after("other.wasm", &version(number)), (1, 0));
    }
    let asked = asked.load(Ordering::Relaxed) - 1;
    assert!((2..=4).contains(&asked), "at looks 1, 2, 4 and maybe 8, not {asked} times in 7");
}

#[test]
fn versions_that_nobody_has_any_more_are_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("s.wasm");
    fs::write(&file, version(1)).unwrap();
    let watched = watch(directory.path());
    let mut before = Vec::new();
    for number in 2..5 {
        before.push(Arc::downgrade(&watched.chain.plugins()[0]));
        fs::write(&file, version(number)).unwrap();
        assert_eq!(watched.next().changes.len(), 1);
    }
    let left = before.iter().filter(|plugin| plugin.strong_count() > 0).count();
    assert!(left <= 1, "only what was there at the last look but one, not {left} of {}", before.len());
}

/// Otherwise all senders would wait for a plugin that takes long to configure itself.
#[test]
fn has_as_many_instances_ready_as_there_were_before_it_swaps_in_a_plugin() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("s.wasm");
    fs::write(&file, guests::guest("probe")).unwrap();
    let watched = watch_configured(directory.path(), "s", act("count_setups"));
    let setups = || watched.chain.take_counts().map(|(_, _, count)| count).sum::<u64>();
    let run = || drop(watched.chain.run(batch(&[&["a"]])).result.expect("accepted"));
    let mut before = setups();
    // How many batches are on their way at the same time is up to the machine.
    let started = Instant::now();
    while before < 2 {
        assert!(started.elapsed() < PATIENCE, "no two calls at a time");
        std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(run))));
        before += setups();
    }
    fs::write(&file, [guests::guest("probe"), vec![0, 3, 1, b'v', 2]].concat()).unwrap();
    assert_eq!(watched.next().changes.len(), 1);
    let workers = std::thread::available_parallelism().map_or(1, |workers| workers.get() as u64);
    assert_eq!(setups(), before.min(workers));
}

/// What comes of looking at the directory for these chains.
fn observe(catalog: &Catalog, chains: &[Arc<Chain>]) -> (Reloader, Receiver<Reload>) {
    let (sender, reloads) = mpsc::channel();
    let send = move |reload: &Reload| drop(sender.send(reload.clone()));
    (Reloader::start(catalog, chains, Duration::from_millis(100), send).unwrap(), reloads)
}

/// Does something that may never end on a thread of its own.
fn patiently<T: Send + 'static>(what: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, done) = mpsc::channel();
    std::thread::spawn(move || drop(sender.send(work())));
    done.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no end of: {what}"))
}

/// A pipe that the reloader takes for the compiled code of a component: it waits there until somebody has written.
fn pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().expect("mkfifo starts").success());
}

/// Waits until somebody reads from a pipe, who then waits for the end of what is given back.
fn reader_of(path: PathBuf) -> fs::File {
    patiently("waiting for the reloader", move || fs::OpenOptions::new().write(true).open(path)).expect("opens")
}

/// The compiler looks for compiled code before it takes its turn and once more after. So pipes in place of that code
/// show where a reload is, and hold it there.
#[test]
fn batches_go_on_while_a_component_is_compiled() {
    let (plugins, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = plugins.path().join("s.wasm");
    fs::write(&file, version(1)).unwrap();
    let cache_directory = Some(cache.path().to_owned());
    let engine = Engine::new(EngineConfig { cache_directory, ..EngineConfig::default() }).unwrap();
    let watched = watch_with(engine, plugins.path(), "s", json!({}));

    let cached = fs::read_dir(cache.path()).unwrap().next().expect("the first version's code").unwrap().file_name();
    let [first, second] = [1, 2].map(|number| Digest::of(&version(number)).to_string());
    let code = cache.path().join(cached.to_str().unwrap().replace(&first, &second));
    let next = cache.path().join("next");
    pipe(&code);
    pipe(&next);
    fs::write(&file, version(2)).unwrap();
    let before_its_turn = reader_of(code.clone());
    fs::rename(&next, &code).unwrap();
    drop(before_its_turn);
    let in_its_turn = reader_of(code);
    for number in 0..5 {
        let chain = Arc::clone(&watched.chain);
        let digest = patiently("a batch during a reload", move || {
            drop(chain.run(batch(&[&["a"]])).result.expect("accepted"));
            chain.plugins()[0].digest().to_string()
        });
        assert_eq!(digest, first, "batch {number}");
    }
    drop(in_its_turn);
    let reload = watched.next();
    assert_eq!((reload.changes.len(), reload.errors.len()), (1, 0), "{reload:?}");
    assert!(watched.runs(2));
}
