//! The memory that the process's control group may have, and those above it (cgroup v1 and v2).

use std::path::{Component, Path};

/// The smallest limit of all groups that the process is in, as far as they can be seen. Without a limit cgroup v1 has a
/// number larger than any machine. Paths are below `root`, which is `/`.
pub(super) fn limit_bytes(root: &Path) -> Option<u64> {
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap_or_default();
    let (groups, mounts) = (read("proc/self/cgroup"), read("proc/self/mountinfo"));
    let limits = mounts.lines().filter_map(Mount::parse).filter_map(|mount| {
        let group = groups.lines().find_map(|line| mount.group(line))?;
        mount.limit_bytes(root, group)
    });
    limits.min()
}

/// Where a hierarchy of groups with limits of memory is to be seen.
struct Mount<'a> {
    /// The group that stands at its top.
    top: &'a str,
    point: &'a str,
    version: Version,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    V1,
    V2,
}

impl<'a> Mount<'a> {
    /// Reads a line of `/proc/self/mountinfo` (proc_pid_mountinfo(5)).
    fn parse(line: &'a str) -> Option<Self> {
        let (mount, kind) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(3);
        let mut kind = kind.split(' ');
        let version = match (kind.next()?, kind.nth(1)?) {
            ("cgroup2", _) => Version::V2,
            ("cgroup", options) if options.split(',').any(|option| option == "memory") => Version::V1,
            _ => return None,
        };
        Some(Self { top: mount.next()?, point: mount.next()?, version })
    }

    /// The process's group in this hierarchy, if a line of `/proc/self/cgroup` is about it (cgroups(7)).
    fn group<'b>(&self, line: &'b str) -> Option<&'b str> {
        let (controllers, group) = line.split_once(':')?.1.split_once(':')?;
        let is_about_it = match self.version {
            Version::V1 => controllers.split(',').any(|controller| controller == "memory"),
            Version::V2 => controllers.is_empty(),
        };
        is_about_it.then_some(group)
    }

    /// The smallest limit from a group up to the top.
    fn limit_bytes(&self, root: &Path, group: &str) -> Option<u64> {
        let file = if self.version == Version::V1 { "memory.limit_in_bytes" } else { "memory.max" };
        let top = root.join(self.point.trim_start_matches('/'));
        // A group that is not below the top can't be seen; the top is the nearest to it, as in a container.
        let below = Path::new(group).strip_prefix(self.top).unwrap_or(Path::new(""));
        let is_plain = below.components().all(|part| matches!(part, Component::Normal(_)));
        let below = if is_plain { below } else { Path::new("") };
        let limit = |group: &Path| std::fs::read_to_string(top.join(group).join(file)).ok()?.trim().parse().ok();
        below.ancestors().filter_map(limit).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V2: &str = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
    const V1: &str = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n\
                      32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
                      35 31 0:32 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n\
                      41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";

    #[test]
    fn finds_the_smallest_limit_from_the_process_up() {
        let bound = V1.replace("0:32 /", "0:32 /docker/a");
        // Lines of mountinfo and cgroup, files below /sys/fs/cgroup, the limit.
        type Case<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], Option<u64>);
        let cases: [Case<'_>; 9] = [
            // A container with a namespace of groups.
            (V2, "0::/\n", &[("memory.max", "1000\n")], Some(1000)),
            (V2, "0::/\n", &[("memory.max", "max\n")], None),
            // A service of systemd, limited itself or by its slice.
            (V2, "0::/s.slice/a.service\n", &[("s.slice/a.service/memory.max", "500\n")], Some(500)),
            (
                V2,
                "0::/s.slice/a.service\n",
                &[("s.slice/memory.max", "400\n"), ("s.slice/a.service/memory.max", "500\n")],
                Some(400),
            ),
            (V2, "0::/../b\n", &[("memory.max", "7"), ("b/memory.max", "5")], Some(7)),
            (V2, "4:memory:/a\n", &[("a/memory.max", "5")], None),
            (
                V1,
                "5:cpu:/b\n4:memory,x:/a\n0::/b\n",
                &[("memory/memory.limit_in_bytes", "9223372036854771712"), ("memory/a/memory.limit_in_bytes", "300")],
                Some(300),
            ),
            // A container of v1 sees its own group at the top, and its path from the machine.
            (&bound, "4:memory:/docker/a\n", &[("memory/memory.limit_in_bytes", "200")], Some(200)),
            ("", "", &[("memory.max", "1")], None),
        ];
        for (mounts, groups, files, expected) in cases {
            let root = tempfile::tempdir().expect("a directory");
            let write = |path: &str, text: &str| {
                let path = root.path().join(path);
                std::fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
                std::fs::write(path, text).expect("a file");
            };
            write("proc/self/mountinfo", mounts);
            write("proc/self/cgroup", groups);
            files.iter().for_each(|(path, text)| write(&format!("sys/fs/cgroup/{path}"), text));
            assert_eq!(limit_bytes(root.path()), expected, "{groups} {files:?}");
        }
    }
}
