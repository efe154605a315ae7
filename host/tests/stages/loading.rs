//! What is accepted as a plugin, how it is found, and what the code cache does.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::json;
use sluice::model::{Refusal, Signal};
use sluice::stage::{Catalog, Chain, Digest, Engine, EngineConfig, OnError, Origin, StageSpec};

use super::kit::{act, catalog, engine, guests, spec, try_chain};

/// What the catalog says about a file with these bytes.
fn refusal(bytes: &[u8]) -> String {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("probe.wasm"), bytes).unwrap();
    let error = Catalog::new(engine(), Some(directory.path().to_owned())).find("probe").expect_err("refused");
    error.to_string().replace(directory.path().to_str().unwrap(), "")
}

#[test]
fn works_without_a_pool_where_the_address_space_has_no_room_for_one() {
    let engine = Engine::new(EngineConfig { max_instances: 1 << 20, max_memory_mib: 4_096, ..EngineConfig::default() });
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("probe.wasm"), guests::guest("probe")).unwrap();
    let catalog = Catalog::new(engine.expect("an engine"), Some(directory.path().to_owned()));
    let chain = Chain::new(&catalog, Signal::Logs, vec![spec(act("drop_even"))]).expect("a chain");
    let outcome = chain.run(super::kit::batch(&[&["a", "b", "c"]]));
    assert_eq!((outcome.stages[0].rows_in, outcome.stages[0].left_out.filtered), (3, 2));
    assert!(outcome.result.is_ok());
}

#[test]
fn refuses_what_is_no_plugin_and_says_why() {
    let probe = guests::guest("probe");
    let wat = |text: &str| wat::parse_str(text).unwrap();
    let import = |name: &str| wat(&format!("(component (import \"{name}\" (instance (export \"f\" (func)))))"));
    let cases = [
        (b"no wasm".to_vec(), "/probe.wasm can't be used: it is no valid WebAssembly component: "),
        (Vec::new(), "it is no valid WebAssembly component: "),
        (probe[..probe.len() / 2].to_vec(), "it is no valid WebAssembly component: "),
        (wat("(module)"), "it is no valid WebAssembly component: "),
        (wat("(component)"), "it exports no function describe, so it is no Sluice plugin"),
        (import("wasi:sockets/tcp@0.2.0"), "it imports wasi:sockets/tcp@0.2.0, which no plugin can use"),
        (import("wasi:http/outgoing-handler@0.2.0"), "which no plugin can use"),
        (import("acme:secrets/vault"), "which no plugin can use"),
        (import("sluice:plugin/shell@0.1.0"), "which no plugin can use"),
        (
            import("sluice:plugin/log@0.2.0"),
            "it imports sluice:plugin/log@0.2.0, but this host offers sluice:plugin@0.1.0",
        ),
        (wat("(component (import \"f\" (func)))"), "it imports f, which no plugin can use"),
        (misfit(1), "it does not fit the contract sluice:plugin@0.1.0: "),
    ];
    for (bytes, expected) in cases {
        let refusal = refusal(&bytes);
        assert!(refusal.contains(expected), "{refusal}\nexpected {expected}");
    }
}

/// Each library of Python is a core instance.
#[test]
fn takes_64_core_instances_and_not_one_more() {
    let of = |instances| refusal(&misfit(instances));
    assert!(of(64).contains("it does not fit the contract"), "{}", of(64));
    let expected = "it has more parts than the host has room for: The component transitively contains 65 core module";
    assert!(of(65).contains(expected), "{}", of(65));
}

#[test]
fn says_in_one_line_that_a_file_is_no_webassembly() {
    for bytes in [b"".as_slice(), b"no wasm", b"(component)", b"\x7fELF\x02\x01\x01"] {
        let expected = "/probe.wasm can't be used: it is no valid WebAssembly component: it does not begin with \\0asm, \
                        as WebAssembly does";
        assert_eq!(refusal(bytes), expected, "{bytes:?}");
    }
    for bytes in [b"\0asm".as_slice(), b"\0asm and nothing else", b"\0asm\x0d\0\x01\0\xff"] {
        assert_eq!(refusal(bytes).lines().count(), 1, "{}", refusal(bytes));
    }
}

/// A component of so many core instances, whose exports have the right names and the wrong types.
fn misfit(instances: usize) -> Vec<u8> {
    let others = "(core instance (instantiate $m))".repeat(instances - 1);
    let lifted = format!(
        "(core module $m (func (export \"f\"))) (core instance $i (instantiate $m)) {others}
        (func $f (canon lift (core func $i \"f\")))"
    );
    let exports = ["describe", "configure", "process"].map(|name| format!("(export \"{name}\" (func $f))"));
    wat::parse_str(format!("(component {lifted} {})", exports.concat())).unwrap()
}

/// A component with the exports of a plugin and a function that is just too much for the compiler.
fn too_complex() -> Vec<u8> {
    let locals = "i32 ".repeat(4_000);
    let additions = "(drop (i32.add (local.get 0) (i32.const 1)))".repeat(12_000);
    let core = format!("(core module $m (func (export \"f\")) (func (local {locals}) {additions}))");
    let lifted = "(core instance $i (instantiate $m)) (func $f (canon lift (core func $i \"f\")))";
    let exports = ["describe", "configure", "process"].map(|name| format!("(export \"{name}\" (func $f))"));
    wat::parse_str(format!("(component {core} {lifted} {})", exports.concat())).unwrap()
}

/// Whether it would be run then or its descriptor is read. What the code cache has is not looked at.
#[test]
fn compiles_nothing_that_takes_the_compiler_too_much_memory() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("noop.wasm");
    fs::write(&file, guests::guest("noop")).unwrap();
    let engine = Engine::new(EngineConfig { cache_directory: None, max_instances: 10, ..Default::default() }).unwrap();
    let catalog = Catalog::new(engine, Some(directory.path().to_owned()));
    let packed = catalog.pack(&file).expect("a plugin");
    let section = packed.strip_prefix(&guests::guest("noop")[..]).expect("a section behind it");
    let expected = "its function 1 has 72005 bytes and 4002 locals and operands, which takes too much memory";
    for component in [too_complex(), [&too_complex(), section].concat()] {
        fs::write(&file, component).unwrap();
        let inspected = catalog.inspect(&file).expect_err("refused").to_string();
        assert!(inspected.starts_with(expected), "{inspected}");
        let found = catalog.find("noop").expect_err("refused").to_string();
        assert!(found.contains(expected), "{found}");
    }
}

#[test]
fn finds_a_plugin_by_its_file_name_alone() {
    let directory = tempfile::tempdir().unwrap();
    let put = |name: &str| fs::write(directory.path().join(name), guests::guest("probe")).unwrap();
    put("renamed.wasm");
    put("probe.wasm.tmp");
    let catalog = Catalog::new(engine(), Some(directory.path().to_owned()));
    let plugin = catalog.find("renamed").unwrap();
    assert_eq!(plugin.descriptor().name, "probe");
    assert_eq!(plugin.origin(), &Origin::File(directory.path().join("renamed.wasm")));
    assert_eq!(plugin.digest(), Digest::of(&guests::guest("probe")));
    for name in ["probe", "probing", "nope"] {
        assert_eq!(catalog.find(name).expect_err("no such file").to_string(), format!("there is no stage {name:?}"));
    }
}

#[test]
fn a_plugin_has_the_capabilities_that_it_imports() {
    let all = ["log", "counter", "clock", "key-value", "token-bucket", "regex"];
    let (catalog, directory) = catalog();
    fs::write(directory.path().join("noop.wasm"), guests::guest("noop")).unwrap();
    for (name, expected) in [("probe", &all[..]), ("noop", &[]), ("filter", &["log", "clock", "regex"])] {
        assert_eq!(catalog.find(name).unwrap().capabilities(), expected, "{name}");
    }
}

#[test]
fn only_a_file_with_the_name_of_a_standard_stage_replaces_it() {
    let directory = tempfile::tempdir().unwrap();
    let catalog = Catalog::new(engine(), Some(directory.path().to_owned()));
    for copy in ["filter-backup.wasm", "filter-of-yesterday.wasm"] {
        fs::write(directory.path().join(copy), guests::filter()).unwrap();
        assert_eq!(catalog.find("filter").unwrap().origin(), &Origin::BuiltIn, "{copy}");
    }
    // An alias means the same stage, wherever that comes from.
    let cases = [("filter", "probe", &["filter"][..]), ("sampler", "noop", &["sampler", "probabilistic_sampler"])];
    for (stem, guest, names) in cases {
        let file = directory.path().join(format!("{stem}.wasm"));
        fs::write(&file, guests::guest(guest)).unwrap();
        for name in names {
            assert_eq!(catalog.find(name).unwrap().origin(), &Origin::File(file.clone()), "{name}");
        }
    }
}

/// A link that leads nowhere, links that lead to each other, and a file where the directory should be.
#[test]
fn no_standard_stage_stands_in_for_a_file_that_can_not_be_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    symlink("nowhere", path("redaction.wasm")).unwrap();
    symlink("filter.wasm", path("filter.wasm")).unwrap();
    fs::write(path("file"), "x").unwrap();
    fs::create_dir(path("sampler.wasm")).unwrap();
    let refusal = |directory: PathBuf, name: &str| {
        Catalog::new(engine(), Some(directory)).find(name).expect_err("no standard stage").to_string()
    };
    let cases = [
        (path(""), "redaction", "redaction.wasm can't be used: it can't be read: No such file or directory"),
        (path(""), "filter", "filter.wasm can't be used: it can't be read: Too many levels of symbolic links"),
        (path("file"), "filter", "file/filter.wasm can't be used: it can't be read: Not a directory"),
        (path("none"), "filter", "none: No such file or directory"),
    ];
    for (directory, name, expected) in cases {
        let refusal = refusal(directory, name);
        assert!(refusal.contains(expected), "{refusal}\nexpected {expected}");
    }
    let sampler = Catalog::new(engine(), Some(path(""))).find("sampler").expect("a directory is no file");
    assert_eq!(sampler.origin(), &Origin::BuiltIn);
}

#[test]
fn reports_every_mistake_of_every_stage() {
    let second = StageSpec { id: "probe/second".into(), ..spec(json!({ "act": "nothing", "key": 5 })) };
    let third = StageSpec { id: "nope".into(), plugin: "nope".into(), ..spec(act("nothing")) };
    let fourth =
        StageSpec { capabilities: Some(vec!["log".into()]), id: "probe/fourth".into(), ..spec(act("nothing")) };
    let bad_pattern = spec(json!({ "act": "nothing", "pattern": "a(" }));
    let errors = try_chain(vec![spec(act("dance")), second, third, fourth, bad_pattern]).expect_err("five mistakes");
    let found: Vec<String> = errors.iter().map(ToString::to_string).collect();
    let expected = [
        "probe: act: unknown variant `dance`",
        "probe/second: key: invalid type: integer `5`, expected a string",
        "nope: there is no stage \"nope\"",
        "probe/fourth: capabilities: the plugin uses \"counter\"",
        "probe: pattern: unclosed group at character 2",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}\nexpected {expected}");
    }
}

#[test]
fn describes_a_plugin_with_the_schema_of_its_configuration() {
    let (catalog, _directory) = catalog();
    let plugin = catalog.find("probe").unwrap();
    let schema = &plugin.descriptor().config_schema;
    assert_eq!(schema["properties"]["value"]["description"], "What `act` writes.");
    assert_eq!(plugin.descriptor().signals, [Signal::Traces, Signal::Metrics, Signal::Logs]);
}

fn cached(directory: &Path) -> Result<Chain, Vec<sluice::stage::StageConfigError>> {
    let cache_directory = Some(directory.join("code"));
    let engine = Engine::new(EngineConfig { cache_directory, max_instances: 10, ..Default::default() }).unwrap();
    let catalog = Catalog::new(engine, Some(directory.to_owned()));
    Chain::new(&catalog, Signal::Logs, vec![StageSpec { plugin: "noop".into(), ..spec(json!({})) }])
}

fn entries(directory: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(directory.join("code")).map(|entries| entries.flatten().map(|entry| entry.path()));
    entries.map(Iterator::collect).unwrap_or_default()
}

#[test]
fn compiles_once_and_again_after_damage() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("noop.wasm"), guests::guest("noop")).unwrap();
    cached(directory.path()).expect("compiled");
    let [entry] = &entries(directory.path())[..] else { panic!("one entry") };
    let code = fs::read(entry).unwrap();
    let written = fs::metadata(entry).unwrap().modified().unwrap();
    cached(directory.path()).expect("from the cache");
    assert_eq!(fs::metadata(entry).unwrap().modified().unwrap(), written, "not written again");
    for damage in [Vec::new(), code[..code.len() - 1].to_vec(), code.iter().map(|byte| byte ^ 1).collect()] {
        fs::write(entry, damage).unwrap();
        cached(directory.path()).expect("compiled again");
        assert_eq!(fs::read(entry).unwrap(), code, "the entry is repaired");
    }
    assert_eq!(entries(directory.path()).len(), 1, "nothing temporary is left");
}

#[test]
fn keeps_48_entries_of_this_engine_and_none_of_others() {
    let directory = tempfile::tempdir().unwrap();
    let plugin = directory.path().join("noop.wasm");
    fs::write(&plugin, guests::guest("noop")).unwrap();
    cached(directory.path()).expect("compiled");
    let [first] = &entries(directory.path())[..] else { panic!("one entry") };
    let (_, engine) = first.to_str().unwrap().rsplit_once('-').unwrap();
    let put = |name: String, age: u64| {
        let file = fs::File::create(directory.path().join("code").join(name)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
    };
    (0..60).for_each(|i| put(format!("{i:064x}-{engine}"), 1_000 + i));
    put(format!("{:064x}-0123456789abcdef.cwasm", 7), 0);
    put("notes.txt".to_owned(), 0);
    fs::write(&plugin, [guests::guest("noop"), vec![0, 3, 1, b'v', 9]].concat()).unwrap();
    cached(directory.path()).expect("compiled");
    let left = entries(directory.path());
    assert_eq!(left.iter().filter(|entry| entry.to_str().unwrap().ends_with(engine)).count(), 48);
    assert!(left.contains(first) && left.iter().any(|entry| entry.ends_with("notes.txt")), "{left:?}");
    assert!(left.iter().any(|entry| entry.ends_with(format!("{:064x}-{engine}", 45))), "{left:?}");
    assert_eq!(left.len(), 49, "{left:?}");
}

/// In a container every process has the same number, so what one left behind must not be in the way of the next.
#[test]
fn removes_what_was_never_finished_once_nobody_can_be_writing_it() {
    let directory = tempfile::tempdir().unwrap();
    let (plugin, code) = (directory.path().join("noop.wasm"), directory.path().join("code"));
    fs::write(&plugin, guests::guest("noop")).unwrap();
    cached(directory.path()).expect("compiled");
    let [entry] = &entries(directory.path())[..] else { panic!("one entry") };
    let name = entry.file_name().unwrap().to_str().unwrap().to_owned();
    fs::remove_file(entry).unwrap();
    let put = |name: &str, age: u64| {
        let file = fs::File::create(code.join(name)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
    };
    let [new, old] = [0, 3_600].map(|age| {
        let names: Vec<_> = (0..100).map(|i| format!("{name}.{}-{}.tmp", std::process::id(), i + age)).collect();
        names.iter().for_each(|name| put(name, age));
        names
    });
    put("notes.tmp", 3_600);
    cached(directory.path()).expect("compiled");
    assert!(entry.is_file(), "it is cached");
    let is_left = |name: &String| code.join(name).exists();
    assert!(new.iter().all(is_left) && is_left(&"notes.tmp".to_owned()));
    assert!(!old.iter().any(is_left));
}

#[test]
fn files_with_the_same_content_are_each_where_they_are() {
    let (catalog, directory) = catalog();
    for name in ["a", "b", "a"] {
        let file = directory.path().join(format!("{name}.wasm"));
        fs::write(&file, guests::guest("probe")).unwrap();
        assert_eq!(catalog.find(name).unwrap().origin(), &Origin::File(file));
    }
}

/// What happens to telemetry that a broken stage has not seen: what must be hidden or parted is not let through.
#[test]
fn the_standard_stages_have_their_own_policies() {
    let catalog = Catalog::new(engine(), None);
    let cases = [
        ("filter", OnError::Pass),
        ("sampler", OnError::Pass),
        ("redaction", OnError::Reject),
        ("tenant_label", OnError::Reject),
    ];
    for (name, on_error) in cases {
        assert_eq!(catalog.find(name).unwrap().descriptor().on_error, on_error, "{name}");
    }
}

#[test]
fn a_plugins_own_policy_holds_unless_the_configuration_has_another() {
    let (catalog, directory) = catalog();
    fs::write(directory.path().join("noop.wasm"), guests::guest("noop")).unwrap();
    for (on_error, is_refused) in [(None, true), (Some(OnError::Reject), true), (Some(OnError::Pass), false)] {
        let stage = StageSpec { plugin: "noop".into(), on_error, ..spec(act("fail")) };
        let chain = Chain::new(&catalog, Signal::Logs, vec![stage]).expect("a chain");
        let result = chain.run(super::kit::batch(&[&["a"]])).result;
        assert_eq!(matches!(result, Err(Refusal::Failed { .. })), is_refused, "{on_error:?}: {result:?}");
    }
}

#[test]
fn does_not_trust_a_cache_that_others_can_write_to() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("noop.wasm"), guests::guest("noop")).unwrap();
    fs::create_dir(directory.path().join("code")).unwrap();
    fs::set_permissions(directory.path().join("code"), fs::Permissions::from_mode(0o777)).unwrap();
    cached(directory.path()).expect("compiled without a cache");
    assert!(entries(directory.path()).is_empty());
}

#[test]
fn does_not_trust_an_entry_that_others_may_have_written() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("noop.wasm"), guests::guest("noop")).unwrap();
    cached(directory.path()).expect("compiled");
    let [entry] = &entries(directory.path())[..] else { panic!("one entry") };
    let elsewhere = directory.path().join("elsewhere");
    let plants: [&dyn Fn(); 3] = [
        &|| fs::set_permissions(entry, fs::Permissions::from_mode(0o620)).unwrap(),
        &|| fs::set_permissions(entry, fs::Permissions::from_mode(0o602)).unwrap(),
        &|| {
            fs::rename(entry, &elsewhere).unwrap();
            std::os::unix::fs::symlink(&elsewhere, entry).unwrap();
        },
    ];
    for plant in plants {
        plant();
        cached(directory.path()).expect("compiled again");
        let renewed = fs::symlink_metadata(entry).unwrap();
        assert!(renewed.is_file() && renewed.permissions().mode() & 0o777 == 0o600, "{renewed:?}");
    }
}

/// A text in the section that the code does not know shows who was asked.
#[test]
fn reads_a_packed_descriptor_without_running_code_and_refuses_one_that_lies() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("probe.wasm");
    fs::write(&file, guests::guest("probe")).unwrap();
    let catalog = Catalog::new(engine(), Some(directory.path().to_owned()));
    let bare = catalog.inspect(&file).expect("a plugin");
    assert!(!bare.is_read);

    let packed = catalog.pack(&file).expect("a plugin");
    fs::write(&file, &packed).unwrap();
    let read = catalog.inspect(&file).expect("a plugin");
    assert!(read.is_read);
    assert_eq!((&read.descriptor, &read.capabilities), (&bare.descriptor, &bare.capabilities));
    assert_eq!(catalog.find("probe").expect("a plugin").descriptor(), &bare.descriptor);

    let (says, lies) = (b"Does what its configuration says.", b"Does what its configuration lies.");
    let at = packed.windows(says.len()).rposition(|window| window == says).expect("in the section");
    let mut lying = packed.clone();
    lying[at..at + lies.len()].copy_from_slice(lies);
    fs::write(&file, &lying).unwrap();
    assert!(catalog.inspect(&file).expect("a plugin").descriptor.description.ends_with("lies."));
    let refused = catalog.find("probe").expect_err("it lies").to_string();
    assert!(refused.contains("its section sluice:descriptor says otherwise than the plugin"), "{refused}");
    // Packing asks the code again.
    assert_eq!(catalog.pack(&file).expect("a plugin"), packed);
}
