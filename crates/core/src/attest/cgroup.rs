//! Names of control groups: owns what the text of `/proc/PID/cgroup` tells of a container and of
//! systemd's units. Pure; every runtime has a fixture in `tests/cgroup.rs`.
//!
//! Groups are read from the root: who owns a group may name those below it as it likes, so that
//! the first container on the way is the one that was named by somebody further up.

use crate::workload::{Container, Runtime};

/// What a process's control groups tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The path that told the most.
    pub path: Option<String>,
    /// The container.
    pub container: Option<Container>,
    /// The unit of the system's manager.
    pub unit: Option<String>,
    /// The unit of a user's manager.
    pub user_unit: Option<String>,
}

/// One line: a hierarchy and the place in it.
#[derive(Clone, Copy)]
struct Line<'a> {
    /// Unified first, then systemd's own, then the others.
    rank: u8,
    path: &'a str,
}

impl<'a> Line<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(3, ':');
        let (number, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let rank = match (number, controllers) {
            ("0", "") => 0,
            (_, "name=systemd") => 1,
            _ => 2,
        };
        path.starts_with('/').then_some(Self { rank, path })
    }
}

/// Reads the text of `/proc/PID/cgroup`, of either version or both.
#[must_use]
pub fn place(text: &str) -> Place {
    let mut lines: Vec<Line<'_>> = text.lines().filter_map(Line::of).collect();
    lines.sort_by_key(|line| line.rank);
    let mut found = lines
        .iter()
        .filter_map(|line| container(line.path).map(|container| (line.path, container)));
    let first = found.next();
    // hierarchies that contradict each other tell nothing
    let agreed = first.filter(|(_, first)| found.all(|(_, other)| other.id == first.id));
    let by_systemd = lines.iter().filter(|line| line.rank < 2);
    let units = by_systemd.filter_map(|line| units(line.path)).next();
    let (unit, user_unit) = units.unzip();
    let path = match &agreed {
        Some((path, _)) => Some(*path),
        None => {
            let paths = || lines.iter().map(|line| line.path);
            paths().find(|path| *path != "/").or_else(|| paths().next())
        }
    };
    Place {
        path: path.map(str::to_owned),
        container: agreed.map(|(_, container)| container),
        unit,
        user_unit: user_unit.flatten(),
    }
}

/// The part of `path` down to the group of the container `id`.
#[must_use]
pub fn down_to<'a>(path: &'a str, id: &str) -> Option<&'a str> {
    let mut end = 0_usize;
    for segment in path.split('/') {
        end = end.saturating_add(segment.len());
        if named(segment).is_some_and(|(_, found)| found == id) {
            return path.get(..end);
        }
        end = end.saturating_add(1);
    }
    None
}

/// The names on the way, without those above the root of this process's namespace.
fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|segment| !matches!(*segment, "" | ".."))
}

fn container(path: &str) -> Option<Container> {
    let mut user = None;
    let mut pod = None;
    let mut below_unit = false;
    let mut above = "";
    for segment in segments(path) {
        if let Some((runtime, id)) = named(segment) {
            let runtime = match (runtime, above) {
                (Some(runtime), _) => runtime,
                (None, "docker") => Runtime::Docker,
                // the namespaces of containerd itself
                (None, "default" | "k8s.io") => Runtime::Containerd,
                (None, _) => Runtime::Unknown,
            };
            return Some(Container {
                runtime,
                id: id.to_owned(),
                pod,
                user,
            });
        }
        if let Some(uid) = manager(segment) {
            user = Some(uid);
        }
        // a service names the groups below it, and must not name a pod
        below_unit |= is_unit(segment);
        if !below_unit {
            pod = pod.or_else(|| pod_of(segment));
        }
        above = segment;
    }
    None
}

/// The container a group is named after, and by whom when the name tells.
fn named(segment: &str) -> Option<(Option<Runtime>, &str)> {
    if is_id(segment) {
        return Some((None, segment));
    }
    const PREFIXES: &[(&str, Runtime)] = &[
        ("docker-", Runtime::Docker),
        ("libpod-payload-", Runtime::Podman),
        ("libpod-", Runtime::Podman),
        ("cri-containerd-", Runtime::Containerd),
        ("cri-containerd:", Runtime::Containerd),
        ("nerdctl-", Runtime::Containerd),
        ("crio-", Runtime::CriO),
    ];
    // where runtime and kubelet disagree about systemd: `SLICE:RUNTIME:ID`
    let name = match segment.split_once(".slice:") {
        Some((_, name)) => name,
        None => segment.strip_suffix(".scope").unwrap_or(segment),
    };
    PREFIXES.iter().find_map(|(prefix, runtime)| {
        let id = name.strip_prefix(prefix)?;
        is_id(id).then_some((Some(*runtime), id))
    })
}

/// An id is 64 lower-case hexadecimal digits.
fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(is_hex)
}

fn is_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

/// The uid of a pod: a UUID with dashes or underscores, or the 32 digits of a static pod.
fn pod_of(segment: &str) -> Option<String> {
    let name = segment.strip_suffix(".slice").unwrap_or(segment);
    let (before, uid) = name.rsplit_once("pod")?;
    if !(before.is_empty() || before.ends_with('-')) {
        return None;
    }
    if uid.len() == 32 && uid.bytes().all(is_hex) {
        return Some(uid.to_owned());
    }
    let uid = uid.replace('_', "-");
    let mut groups = uid.split('-');
    let fits = [8, 4, 4, 4, 12].iter().all(|length| {
        groups
            .next()
            .is_some_and(|group| group.len() == *length && group.bytes().all(is_hex))
    });
    (fits && groups.next().is_none()).then_some(uid)
}

/// The user whose service manager this group is of: `user@1000.service`.
fn manager(segment: &str) -> Option<u32> {
    let uid = segment.strip_prefix("user@")?.strip_suffix(".service")?;
    uid.parse().ok()
}

fn is_unit(segment: &str) -> bool {
    const SUFFIXES: &[&str] = &[".service", ".scope", ".socket", ".mount", ".swap"];
    SUFFIXES.iter().any(|suffix| {
        let name = segment.strip_suffix(suffix);
        name.is_some_and(|name| !name.is_empty())
    })
}

/// The system's unit, and the unit of a user's manager: as systemd reads it, the first group that
/// is no slice. What a unit makes below its own group is no unit.
fn units(path: &str) -> Option<(String, Option<String>)> {
    // from a namespace of groups the root is not seen, and any group could be the first
    if path.split('/').any(|segment| segment == "..") {
        return None;
    }
    let mut rest = segments(path);
    let unit = unit(&mut rest)?;
    let of_user = manager(&unit).and_then(|_| self::unit(&mut rest));
    Some((unit, of_user))
}

fn unit<'a>(mut segments: impl Iterator<Item = &'a str>) -> Option<String> {
    let found = segments.find(|segment| !segment.ends_with(".slice"))?;
    // systemd marks names that could be files of the kernel
    let name = found.strip_prefix('_').unwrap_or(found);
    is_unit(name).then(|| name.to_owned())
}
