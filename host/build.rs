//! Builds the standard stages and embeds them.

fn main() {
    let target = std::env::var("TARGET").expect("cargo sets TARGET");
    println!("cargo:rustc-env=SLUICE_TARGET={target}");
}
