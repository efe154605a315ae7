//! The limit of open files: as high as the process may set it, and shared out among the listeners.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What is not for the connections of receivers: pages, exporters and files. Where the limit is low, half of it.
const RESERVE: u64 = 256;

/// Raises the soft limit to the hard one, as Go's runtime does. It is low for the sake of programs that use `select`.
pub(super) fn raise() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(soft = limit.current, hard = limit.maximum, %error, "the limit of open files can't be raised");
    }
}

/// The connections that each of so many listeners may have, `most` at the most.
pub(super) fn connections(listeners: usize, most: usize) -> usize {
    let limit = getrlimit(Resource::Nofile).current;
    let share = limit.map_or(most, |limit| share(limit, listeners).min(most));
    if share < most {
        tracing::warn!(open_files = limit, connections = share, "the limit of open files leaves few to each listener");
    }
    share
}

fn share(limit: u64, listeners: usize) -> usize {
    let connections = usize::try_from(limit - RESERVE.min(limit / 2)).unwrap_or(usize::MAX);
    (connections / listeners.max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_share_what_the_rest_leaves() {
        let cases =
            [(0, 2, 1), (3, 2, 1), (128, 1, 64), (128, 2, 32), (512, 2, 128), (1_024, 2, 384), (20_000, 2, 9_872)];
        for (limit, listeners, expected) in cases {
            assert_eq!(share(limit, listeners), expected, "{limit} for {listeners}");
        }
        assert_eq!(connections(1, 1), 1);
    }

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let before = getrlimit(Resource::Nofile);
        let lower = Rlimit { current: before.maximum.map(|hard| hard - 1), ..before };
        setrlimit(Resource::Nofile, lower).expect("a lower limit");
        raise();
        assert_eq!(getrlimit(Resource::Nofile), Rlimit { current: before.maximum, ..before });
    }
}
