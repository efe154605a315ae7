//! What `cargo xtask demo` shows: two tenants, three signals, four stages, a plugin replaced while data flows, and sums
//! that add up or end the demo with an error.

mod books;
mod editions;
mod files;
mod load;
mod running;
mod stores;
mod table;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Parser;

use books::Books;
use load::Load;
use running::Running;
use stores::Stores;

/// Records of each tenant and signal in the first act.
const ITEMS: u64 = 2000;
/// The same in the second act, which takes about ten seconds.
const FLOWING_ITEMS: u64 = 4000;
const FLOWING_ITEMS_PER_SECOND: u64 = 400;

/// Starts the real binary with the quickstart and shows what becomes of telemetry.
#[derive(Parser)]
struct Args {
    /// The binary.
    #[arg(long)]
    sluice: PathBuf,
    /// The generator.
    #[arg(long)]
    load: PathBuf,
    /// The first edition of the example plugin, and the second.
    #[arg(long, num_args = 2)]
    plugin: Vec<PathBuf>,
    /// Where to work; it is emptied.
    #[arg(long)]
    dir: PathBuf,
    /// Real stores to send to as well.
    #[arg(long, value_delimiter = ',')]
    with: Vec<stores::Store>,
    /// Keep running until Ctrl-C.
    #[arg(long)]
    stay: bool,
}

fn main() -> Result<()> {
    let args = Args::parse();
    if args.dir.exists() {
        std::fs::remove_dir_all(&args.dir)?;
    }
    std::fs::create_dir_all(args.dir.join("data/plugins"))?;
    let plugin = args.dir.join("data/plugins/status_class.wasm");
    std::fs::copy(&args.plugin[0], &plugin)?;

    let stores = Stores::start(&args.with)?;
    title("Start");
    let sluice = Running::start(&args.sluice, &args.dir, &stores)?;
    first_act(&args, &sluice)?;
    second_act(&args, &sluice, &plugin)?;
    stores.show(&sluice)?;
    if args.stay {
        sluice.stay()?;
    }
    title("Stop");
    sluice.stop()?;
    what_next(&args);
    Ok(())
}

/// Telemetry of two tenants comes in, and every item is accounted for.
fn first_act(args: &Args, sluice: &Running) -> Result<()> {
    title("Two tenants send traces, metrics and logs");
    let loads = load::start_all(&args.load, sluice, ITEMS, None)?;
    loads.into_iter().try_for_each(Load::finish)?;
    say("acme over gRPC, globex over HTTP with gzip: 2,000 spans, 2,000 data points, 2,000 log records each");
    say("all requests are answered; now Sluice's ledger (its metrics page) and the files it wrote:");
    say("");
    let books = sluice.settled()?;
    check_and_show(&books, sluice, ITEMS)
}

/// The ledger against the files, and against what was sent.
fn check_and_show(books: &Books, sluice: &Running, sent: u64) -> Result<()> {
    let contents = files::read_all(&sluice.out(), books)?;
    print!("{}", table::render(books, &contents));
    let mistakes = table::mistakes(books, &contents, sent);
    mistakes.iter().for_each(|mistake| println!("  WRONG: {mistake}"));
    ensure!(mistakes.is_empty(), "the sums do not add up");
    say("");
    say("It adds up. Nothing is lost: received is what was sent = filtered + sampled out + in the files.");
    match books.has_copies() {
        false => say("The files, counted without Sluice, hold what its ledger calls exported."),
        true => say("Exported counts each delivery: what goes to a store goes to a file as well."),
    }
    say("No card number and no e-mail address is left in them.");
    Ok(())
}

/// One file of the plugin directory is replaced while data flows.
fn second_act(args: &Args, sluice: &Running, plugin: &Path) -> Result<()> {
    title("A plugin is replaced while data flows");
    let loads = load::start_all(&args.load, sluice, FLOWING_ITEMS, Some(FLOWING_ITEMS_PER_SECOND))?;
    let seconds = FLOWING_ITEMS / FLOWING_ITEMS_PER_SECOND;
    let senders = loads.len();
    say(&format!(
        "{senders} senders, {FLOWING_ITEMS_PER_SECOND} items per second each, for {seconds} s, on top of the first act"
    ));
    say("examples/first-plugin is a stage of each pipeline; its first edition marks records 2xx or 5xx");
    std::thread::sleep(Duration::from_secs(seconds / 2));
    say(&format!("copying the second edition over {}", shown(plugin)));
    let replaced = std::time::Instant::now();
    std::fs::copy(&args.plugin[1], plugin)?;
    sluice.wait_for_reload()?;
    say(&format!("checked, compiled and swapped in by all pipelines within {} ms", replaced.elapsed().as_millis()));
    loads.into_iter().try_for_each(Load::finish)?;
    let books = sluice.settled()?;
    let counts = editions::count(&sluice.out(), &books)?;
    print!("{}", editions::render(&counts));
    editions::check(&counts)?;
    say("every record bears the mark of exactly one edition; no request was divided between the two");
    say("");
    check_and_show(&books, sluice, ITEMS + FLOWING_ITEMS)
}

fn what_next(args: &Args) {
    title("What to look at");
    let dir = shown(&args.dir);
    say(&format!("{dir}/data/out/<tenant>/*.jsonl  what came out, OTLP/JSON"));
    say(&format!("{dir}/sluice.log                 what the process said"));
    say("examples/quickstart/config.yaml        what ran; `sluice` without --config runs it, too");
    say("examples/first-plugin/src/lib.rs       the plugin that was replaced; README.md: how to write one");
    say("tests/src/bin/otlp-load.rs             who made up the telemetry");
    title("How to go on");
    say("cargo xtask demo --stay                         keeps it running for telemetry and plugins of yours");
    say("cargo xtask demo --with prometheus,opensearch   sends to the real stores as well (fetched once)");
    say("cargo xtask test                                runs every test");
}

/// A path as people want to see it: from where they are.
fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(here).unwrap_or(path).display().to_string()
}

/// One line of progress.
fn say(what: &str) {
    println!("{}", format!("  {what}").trim_end());
}

/// A heading.
fn title(what: &str) {
    println!("\n\x1b[1m{what}\x1b[0m");
}
