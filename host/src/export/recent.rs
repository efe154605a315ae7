//! What was made for one record and mostly fits the next: records come from few places in a program.

/// Values that are kept.
const CAPACITY: usize = 4;

/// The last values that were used; the very last at the end.
#[derive(Debug)]
pub(crate) struct Recent<T>(Vec<T>);

impl<T> Recent<T> {
    /// The value that fits, if it is still there.
    pub(crate) fn find(&mut self, fits: impl FnMut(&T) -> bool) -> Option<&T> {
        let position = self.0.iter().rposition(fits)?;
        let last = self.0.len() - 1;
        self.0.swap(position, last);
        self.0.last()
    }

    /// The value that fits, or a new one.
    pub(crate) fn find_or_keep(&mut self, fits: impl FnMut(&T) -> bool, new: impl FnOnce() -> T) -> &T {
        if self.find(fits).is_none() {
            self.keep(new());
        }
        &self.0[self.0.len() - 1]
    }

    /// Keeps a value, if need be in the place of an old one.
    pub(crate) fn keep(&mut self, value: T) {
        if self.0.len() == CAPACITY {
            self.0.remove(0);
        }
        self.0.push(value);
    }
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_a_few_and_forgets_what_was_used_long_ago() {
        let mut recent = Recent::default();
        (0..CAPACITY).for_each(|value| recent.keep(value));
        assert_eq!(recent.find(|value| *value == 0), Some(&0));
        assert_eq!(recent.find_or_keep(|value| *value == 9, || 9), &9);
        assert_eq!(recent.find(|value| *value == 0), Some(&0), "it was used last");
        assert_eq!((0..10).filter(|wanted| recent.find(|value| value == wanted).is_some()).count(), CAPACITY);
    }
}
