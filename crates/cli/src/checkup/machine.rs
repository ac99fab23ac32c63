//! What the kernel and this session offer: owns trying each protection that a sidecar uses, in a
//! thread of its own where trying cannot be undone.

use std::path::Path;

use landlock::{
    Access as _, AccessFs, CompatLevel, Compatible as _, LandlockStatus, Ruleset, RulesetAttr as _,
    RulesetError,
};
use rustix::fs::inotify;
use rustix::process::{DumpableBehavior, PidfdFlags, Resource};

use super::Finding;

/// `f_type` of a tmpfs.
const TMPFS: u64 = 0x0102_1994;
/// A time before there was this program.
const PAST: u64 = 1_767_225_600;

/// Every check of the machine.
pub(crate) fn findings() -> Vec<Finding> {
    vec![
        core_dumps(),
        no_new_privileges(),
        landlock_rules(),
        seccomp(),
        swap(),
        debuggers(),
        peers(),
        notification(),
        descriptors(),
        volatile_files(),
        clock(),
    ]
}

/// The first line of a file of the kernel.
fn line(path: impl AsRef<Path>) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    text.lines().next().map(|line| line.trim().to_owned())
}

fn core_dumps() -> Finding {
    const CHECK: &str = "core dumps";
    // main() asked for it at the start
    match rustix::process::dumpable_behavior() {
        Ok(DumpableBehavior::NotDumpable) => Finding::ok(
            CHECK,
            "none are written, and no debugger of the same user attaches",
        ),
        _ => Finding::problem(
            CHECK,
            "this system lets processes be dumped",
            "a sidecar does not start here: allow prctl(PR_SET_DUMPABLE)",
        ),
    }
}

/// What cannot be undone is tried in a thread that then ends.
fn tried<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    std::thread::spawn(work).join().ok()
}

fn no_new_privileges() -> Finding {
    const CHECK: &str = "no new privileges";
    match tried(|| rustix::thread::set_no_new_privs(true)) {
        Some(Ok(())) => Finding::ok(CHECK, "can be given up"),
        _ => Finding::warning(
            CHECK,
            "cannot be given up: the sandbox does not hold without",
            "allow prctl(PR_SET_NO_NEW_PRIVS)",
        ),
    }
}

fn landlock_rules() -> Finding {
    const CHECK: &str = "landlock";
    let restrict = || -> Result<LandlockStatus, RulesetError> {
        let rules = Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(landlock::ABI::V1))?
            .create()?;
        Ok(rules.restrict_self()?.landlock)
    };
    match tried(restrict) {
        Some(Ok(LandlockStatus::Available {
            effective_abi,
            kernel_abi,
        })) => {
            let abi = kernel_abi.unwrap_or(effective_abi as i32);
            if abi >= 4 {
                Finding::ok(CHECK, format!("ABI {abi}: files and TCP are put out of reach"))
            } else {
                Finding::warning(
                    CHECK,
                    format!("ABI {abi}: files are put out of reach, TCP is not"),
                    "use Linux 6.7 or newer",
                )
            }
        }
        Some(Ok(LandlockStatus::NotEnabled)) => Finding::warning(
            CHECK,
            "built into this kernel and turned off: files stay in a sidecar's reach",
            "add landlock to lsm= on the kernel's command line",
        ),
        _ => Finding::warning(
            CHECK,
            "not in this kernel, or not allowed: files stay in a sidecar's reach",
            "use Linux 5.13 or newer, and a container engine that allows landlock_restrict_self",
        ),
    }
}

fn seccomp() -> Finding {
    const CHECK: &str = "seccomp";
    let actions = line("/proc/sys/kernel/seccomp/actions_avail").unwrap_or_default();
    if actions.split(' ').any(|action| action == "errno") {
        Finding::ok(CHECK, "system calls that are not needed are refused")
    } else {
        Finding::warning(
            CHECK,
            "not in this kernel: a sidecar may make every system call",
            "use a kernel with CONFIG_SECCOMP_FILTER",
        )
    }
}

fn swap() -> Finding {
    const CHECK: &str = "swap";
    let swaps = std::fs::read_to_string("/proc/swaps").unwrap_or_default();
    if swaps.lines().count() < 2 {
        return Finding::ok(CHECK, "there is none");
    }
    match rustix::process::getrlimit(Resource::Memlock).maximum {
        None => Finding::ok(
            CHECK,
            "there is some; RLIMIT_MEMLOCK is unlimited, so a sidecar stays out of it",
        ),
        Some(limit) => Finding::warning(
            CHECK,
            format!(
                "there is some, and RLIMIT_MEMLOCK is {limit} bytes: a sidecar started like this may be swapped out"
            ),
            "raise it to unlimited (systemd: LimitMEMLOCK=infinity), set MemorySwapMax=0, or encrypt the swap",
        ),
    }
}

fn debuggers() -> Finding {
    const CHECK: &str = "debuggers";
    match line("/proc/sys/kernel/yama/ptrace_scope").as_deref() {
        Some("0") | None => Finding::ok(
            CHECK,
            "the kernel lets a user debug their own processes; these programs opt out",
        ),
        Some(scope) => Finding::ok(
            CHECK,
            format!("ptrace_scope is {scope}; these programs opt out besides"),
        ),
    }
}

fn peers() -> Finding {
    const CHECK: &str = "peers";
    let pinned = rustix::process::pidfd_open(rustix::process::getpid(), PidfdFlags::empty()).is_ok();
    let release = line("/proc/sys/kernel/osrelease").unwrap_or_default();
    match (pinned, version(&release) >= Some((6, 5))) {
        (true, true) => Finding::ok(
            CHECK,
            format!("Linux {release}: who connects is pinned by the kernel"),
        ),
        (true, false) => Finding::warning(
            CHECK,
            format!("Linux {release}: no SO_PEERPIDFD, who connects is pinned a moment later"),
            "use Linux 6.5 or newer",
        ),
        (false, _) => Finding::warning(
            CHECK,
            "no pidfd: who connects is told by number and start time",
            "allow pidfd_open, use Linux 5.3 or newer",
        ),
    }
}

/// The first two numbers of a kernel's release.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

fn notification() -> Finding {
    const CHECK: &str = "inotify";
    let limit = line("/proc/sys/fs/inotify/max_user_instances").unwrap_or_default();
    match inotify::init(inotify::CreateFlags::CLOEXEC) {
        Err(error) => Finding::problem(
            CHECK,
            format!("a change of the store is not noticed: {error}; at most {limit} instances a user"),
            "raise fs.inotify.max_user_instances",
        ),
        Ok(_) if limit.parse::<u32>().is_ok_and(|limit| limit < 64) => Finding::warning(
            CHECK,
            format!("at most {limit} instances a user; a sidecar takes about three"),
            "raise fs.inotify.max_user_instances",
        ),
        Ok(_) => Finding::ok(
            CHECK,
            format!("changes of the store are noticed; at most {limit} instances a user"),
        ),
    }
}

fn descriptors() -> Finding {
    const CHECK: &str = "open files";
    match rustix::process::getrlimit(Resource::Nofile).maximum {
        Some(limit) if limit < 2 * 8192 + 256 => Finding::warning(
            CHECK,
            format!("at most {limit}: a connection takes two, and a sidecar serves 8192 by default"),
            "raise RLIMIT_NOFILE (systemd: LimitNOFILE=32768)",
        ),
        Some(limit) => Finding::ok(CHECK, format!("at most {limit}")),
        None => Finding::ok(CHECK, "no limit"),
    }
}

fn volatile_files() -> Finding {
    const CHECK: &str = "tmpfs";
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(std::path::PathBuf::from);
    let candidates = runtime.into_iter().chain(["/run".into(), "/dev/shm".into()]);
    let found: Vec<String> = candidates
        .filter(|path| {
            // the type is signed on some architectures; its 32 bits are what counts
            rustix::fs::statfs(path).is_ok_and(|fs| u64::try_from(fs.f_type).unwrap_or_default() == TMPFS)
        })
        .map(|path| path.display().to_string())
        .collect();
    if found.is_empty() {
        return Finding::warning(
            CHECK,
            "neither $XDG_RUNTIME_DIR nor /run nor /dev/shm is one: files with values would lie on a disk",
            "mount a tmpfs for [[files]] and `strongroom render`",
        );
    }
    Finding::ok(
        CHECK,
        format!("files with values can lie in {}", found.join(", ")),
    )
}

fn clock() -> Finding {
    const CHECK: &str = "clock";
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    match now {
        Ok(now) if now.as_secs() > PAST => Finding::ok(CHECK, "tells a time that can be"),
        _ => Finding::warning(
            CHECK,
            "tells a time before this program was made: commits would be dated wrong",
            "set the clock",
        ),
    }
}
