//! Keys and values of a stage, with an end to their time and a limit to their size.

use std::collections::{BTreeSet, HashMap};

/// What a key costs beside its bytes and its value's.
const OVERHEAD_BYTES: usize = 64;

/// Keys, values, and when their time ends.
#[derive(Debug)]
pub(in crate::stage) struct KeyValue {
    values: HashMap<String, Entry>,
    by_end: BTreeSet<(u64, String)>,
    used_bytes: usize,
    limit_bytes: usize,
}

#[derive(Debug)]
struct Entry {
    value: Vec<u8>,
    ends_unix_nano: u64,
}

impl KeyValue {
    pub(in crate::stage) fn new(limit_bytes: usize) -> Self {
        Self { values: HashMap::new(), by_end: BTreeSet::new(), used_bytes: 0, limit_bytes }
    }

    /// The value, unless its time is over.
    pub(in crate::stage) fn get(&self, key: &str, now_unix_nano: u64) -> Option<&[u8]> {
        self.values.get(key).filter(|entry| now_unix_nano < entry.ends_unix_nano).map(|entry| entry.value.as_slice())
    }

    /// Stores a value.
    ///
    /// # Errors
    /// If it does not fit, even after everything whose time is over is gone.
    pub(in crate::stage) fn set(
        &mut self,
        key: String,
        value: Vec<u8>,
        ttl_ms: u64,
        now_unix_nano: u64,
    ) -> Result<(), String> {
        self.expire(now_unix_nano);
        let cost = cost(&key, &value);
        let freed = self.values.get(&key).map_or(0, |entry| self::cost(&key, &entry.value));
        if self.used_bytes - freed + cost > self.limit_bytes {
            return Err(format!("{cost} bytes do not fit: {} of {} are taken", self.used_bytes, self.limit_bytes));
        }
        self.delete(&key);
        let ends_unix_nano = now_unix_nano.saturating_add(ttl_ms.saturating_mul(1_000_000));
        self.used_bytes += cost;
        self.by_end.insert((ends_unix_nano, key.clone()));
        self.values.insert(key, Entry { value, ends_unix_nano });
        Ok(())
    }

    /// Removes a value.
    pub(in crate::stage) fn delete(&mut self, key: &str) {
        if let Some((key, entry)) = self.values.remove_entry(key) {
            self.used_bytes -= cost(&key, &entry.value);
            self.by_end.remove(&(entry.ends_unix_nano, key));
        }
    }

    fn expire(&mut self, now_unix_nano: u64) {
        while let Some((_, key)) = self.by_end.first().filter(|(end, _)| *end <= now_unix_nano).cloned() {
            self.delete(&key);
        }
    }
}

fn cost(key: &str, value: &[u8]) -> usize {
    key.len() + value.len() + OVERHEAD_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgets_a_value_when_its_time_is_over() {
        let mut values = KeyValue::new(1_000);
        values.set("k".into(), b"v".to_vec(), 2, 10).expect("fits");
        assert_eq!(values.get("k", 2_000_009), Some(&b"v"[..]));
        assert_eq!(values.get("k", 2_000_010), None);
        values.delete("k");
        assert_eq!((values.get("k", 0), values.used_bytes, values.by_end.len()), (None, 0, 0));
    }

    #[test]
    fn holds_up_to_its_limit_and_not_a_byte_more() {
        let mut values = KeyValue::new(OVERHEAD_BYTES + 10);
        assert!(values.set("k".into(), vec![0; 10], 1, 0).is_err());
        assert!(values.set("k".into(), vec![0; 9], 1, 0).is_ok());
        assert!(values.set("k".into(), vec![1; 9], 1, 0).is_ok(), "replacing frees the old value");
        assert!(values.set("l".into(), Vec::new(), 1, 999_999).is_err());
        assert!(values.set("l".into(), Vec::new(), 1, 1_000_000).is_ok(), "what is over makes room");
        assert_eq!(values.used_bytes, OVERHEAD_BYTES + 1);
    }
}
