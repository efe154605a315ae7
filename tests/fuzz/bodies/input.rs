//! What the targets make of their input: a signal, some choices, and the bytes of a request.

use sluice_wire::Signal;

/// How many choices the target `splice` takes.
#[allow(dead_code, reason = "not every target chooses")]
pub(crate) const CHOICES: usize = 48;

/// The parts of an input.
pub(crate) struct Input<'a> {
    pub(crate) signal: Signal,
    choices: &'a [u8],
    pub(crate) request: &'a [u8],
}

impl<'a> Input<'a> {
    /// Takes an input apart; `choices` bytes of it stand before the request.
    pub(crate) fn new(data: &'a [u8], choices: usize) -> Option<Self> {
        let (&first, rest) = data.split_first()?;
        let (choices, request) = rest.split_at_checked(choices)?;
        let signal = match first % 3 {
            0 => Signal::Traces,
            1 => Signal::Metrics,
            _ => Signal::Logs,
        };
        Some(Self { signal, choices, request })
    }

    /// The next choice below `limit`.
    #[allow(dead_code, reason = "not every target chooses")]
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        let Some((&first, rest)) = self.choices.split_first() else {
            return 0;
        };
        self.choices = rest;
        usize::from(first) % limit.max(1)
    }
}
