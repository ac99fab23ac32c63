//! A running sidecar: owns reading in `/proc` what holds for it.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;

use super::Finding;

/// Threads that are outside the fence on purpose, by how their names begin.
const OUTSIDE: [&str; 3] = ["inject", "attest", "audit"];

/// What holds for process `pid`; `None` when there is none.
pub(crate) fn findings(pid: u32) -> Option<Vec<Finding>> {
    let directory = format!("/proc/{pid}");
    let status = std::fs::read_to_string(format!("{directory}/status")).ok()?;
    let limits = std::fs::read_to_string(format!("{directory}/limits")).unwrap_or_default();
    Some(vec![
        user(&status),
        core_dumps(&directory, &limits, &status),
        umask(&status),
        locked(&status),
        fence(&directory),
    ])
}

fn field<'a>(status: &'a str, name: &str) -> &'a str {
    let found = status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    found.unwrap_or_default().trim()
}

fn user(status: &str) -> Finding {
    const CHECK: &str = "user";
    match field(status, "Uid").split_whitespace().nth(1) {
        Some("0") => Finding::warning(
            CHECK,
            "it runs as root",
            "give it a user of its own, as the systemd unit does",
        ),
        uid => Finding::ok(CHECK, format!("uid {}", uid.unwrap_or("unknown"))),
    }
}

fn core_dumps(directory: &str, limits: &str, status: &str) -> Finding {
    const CHECK: &str = "core dumps";
    let limit = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max core file size"));
    let is_off = limit.is_some_and(|limit| limit.split_whitespace().take(2).all(|word| word == "0"));
    // what may not be dumped belongs to root in /proc, whoever runs it
    let owner = std::fs::metadata(format!("{directory}/environ")).map(|file| file.uid());
    let runs_as_root = field(status, "Uid").split_whitespace().nth(1) == Some("0");
    if is_off && (owner.is_ok_and(|uid| uid == 0) || runs_as_root) {
        return Finding::ok(CHECK, "none are written");
    }
    Finding::problem(
        CHECK,
        "a crash may write its memory to a disk",
        "is this a sidecar? stop it, and start it again",
    )
}

fn umask(status: &str) -> Finding {
    match field(status, "Umask") {
        "0077" => Finding::ok("umask", "0077"),
        umask => Finding::problem(
            "umask",
            format!("{umask}: its files are not its own alone"),
            "is this a sidecar?",
        ),
    }
}

fn locked(status: &str) -> Finding {
    const CHECK: &str = "swap";
    match field(status, "VmLck") {
        "0 kB" | "" => Finding::warning(
            CHECK,
            "its memory can be swapped out",
            "set RLIMIT_MEMLOCK to unlimited (systemd: LimitMEMLOCK=infinity)",
        ),
        size => Finding::ok(CHECK, format!("its memory is locked ({size} of room)")),
    }
}

fn fence(directory: &str) -> Finding {
    const CHECK: &str = "sandbox";
    let (mut inside, mut outside) = (0_usize, BTreeSet::new());
    let tasks = std::fs::read_dir(format!("{directory}/task"));
    for task in tasks.into_iter().flatten().flatten() {
        let Ok(status) = std::fs::read_to_string(task.path().join("status")) else {
            continue;
        };
        if field(&status, "Seccomp") == "2" && field(&status, "NoNewPrivs") == "1" {
            inside = inside.saturating_add(1);
        } else if !OUTSIDE
            .iter()
            .any(|name| field(&status, "Name").starts_with(name))
        {
            outside.insert(field(&status, "Name").to_owned());
        }
    }
    if inside > 0 && outside.is_empty() {
        return Finding::ok(
            CHECK,
            format!("{inside} threads are behind the fence; /proc does not show Landlock"),
        );
    }
    let names: Vec<String> = outside.into_iter().collect();
    Finding::warning(
        CHECK,
        format!("threads are not behind the fence: {}", names.join(", ")),
        "see [sandbox] in its settings, and its log",
    )
}
