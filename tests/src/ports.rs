//! Ports that nobody uses.

use std::collections::HashSet;
use std::net::TcpListener;
use std::sync::Mutex;

static GIVEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);

/// A loopback port that is free now and was not given to another test of this process.
///
/// # Panics
/// When the system has no free port.
pub fn free_port() -> u16 {
    let mut given = GIVEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let given = given.get_or_insert_default();
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        if given.insert(port) {
            return port;
        }
    }
}

/// Puts free ports into a configuration: `{{name}}` becomes a port, the same one for the same name.
pub fn fill(text: &str) -> (String, std::collections::BTreeMap<String, u16>) {
    let mut ports = std::collections::BTreeMap::new();
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").unwrap_or((after, ""));
        let port = *ports.entry(name.trim().to_owned()).or_insert_with(free_port);
        filled.push_str(before);
        filled.push_str(&port.to_string());
        rest = after;
    }
    filled.push_str(rest);
    (filled, ports)
}
