//! Reads the W3C tracestate header as a span carries it.
//!
//! Source: <https://www.w3.org/TR/trace-context-1/#tracestate-header>.

/// The value of the member with a key, empty if there is none. None if the whole is no valid tracestate.
pub(crate) fn member(state: &str, key: &str) -> Option<String> {
    let mut keys: Vec<&str> = Vec::new();
    let mut found = "";
    for member in state.split(',').filter(|member| !member.is_empty()) {
        let (name, value) = member.split_once('=')?;
        let (name, value) = (name.trim_start_matches([' ', '\t']), value.trim_end_matches([' ', '\t']));
        if !is_key(name) || !is_value(value) || keys.contains(&name) || keys.len() == MAX_MEMBERS {
            return None;
        }
        keys.push(name);
        if name == key {
            found = value;
        }
    }
    Some(found.to_owned())
}

const MAX_MEMBERS: usize = 32;

fn is_key(key: &str) -> bool {
    match key.split_once('@') {
        None => is_key_part(key, 256),
        Some((tenant, system)) => {
            tenant.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
                && tenant.len() <= 241
                && tenant.bytes().all(is_key_byte)
                && is_key_part(system, 14)
        }
    }
}

fn is_key_part(part: &str, limit: usize) -> bool {
    part.starts_with(|c: char| c.is_ascii_lowercase()) && part.len() <= limit && part.bytes().all(is_key_byte)
}

fn is_key_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-' | b'*' | b'/')
}

fn is_value(value: &str) -> bool {
    (1..=256).contains(&value.len())
        && !value.ends_with(' ')
        && value.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b',' && byte != b'=')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_member_of_a_valid_tracestate_only() {
        let many = |count: usize| (0..count).map(|i| format!("k{i}=v")).collect::<Vec<_>>().join(",");
        let long = "v".repeat(257);
        let cases = [
            ("ot=th:8,vendor=x".to_owned(), "ot", Some("th:8")),
            (" ot=th:8 ,, vendor=x\t".to_owned(), "vendor", Some("x")),
            ("vendor=x".to_owned(), "ot", Some("")),
            (String::new(), "ot", Some("")),
            ("tenant@ot=1".to_owned(), "tenant@ot", Some("1")),
            ("ot".to_owned(), "ot", None),
            ("OT=1".to_owned(), "OT", None),
            ("ot=1,ot=2".to_owned(), "ot", None),
            ("ot=a=b".to_owned(), "ot", None),
            ("ot=".to_owned(), "ot", None),
            (format!("ot={}", &long[1..]), "ot", Some(&long[1..])),
            (format!("ot={long}"), "ot", None),
            (many(32), "k31", Some("v")),
            (many(33), "k31", None),
        ];
        for (state, key, expected) in cases {
            assert_eq!(member(&state, key).as_deref(), expected, "{state}");
        }
    }
}
