//! Seccomp: owns the system calls that the threads behind the fence make. The list is what the
//! test suites were seen to make (`strace -f`), with what other versions of the C library make in
//! their place. No program is started, no process is looked into, no network is reached, and no
//! memory becomes executable.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

/// Calls that are made with any arguments.
#[rustfmt::skip]
const CALLS: &[libc::c_long] = &[
    // open descriptors
    libc::SYS_read, libc::SYS_write, libc::SYS_readv, libc::SYS_writev, libc::SYS_pread64,
    libc::SYS_pwrite64, libc::SYS_preadv, libc::SYS_pwritev, libc::SYS_lseek, libc::SYS_close,
    libc::SYS_dup, libc::SYS_dup3, libc::SYS_pipe2, libc::SYS_fcntl, libc::SYS_flock, libc::SYS_fsync,
    libc::SYS_fdatasync, libc::SYS_ftruncate, libc::SYS_fallocate, libc::SYS_fadvise64,
    libc::SYS_copy_file_range, libc::SYS_fstat, libc::SYS_fstatfs, libc::SYS_fchmod, libc::SYS_fchown,
    libc::SYS_getdents64,
    // paths; which ones is Landlock's matter
    libc::SYS_openat, libc::SYS_openat2, libc::SYS_newfstatat, libc::SYS_statx, libc::SYS_statfs,
    libc::SYS_faccessat, libc::SYS_faccessat2, libc::SYS_readlinkat, libc::SYS_renameat, libc::SYS_renameat2,
    libc::SYS_unlinkat, libc::SYS_mkdirat, libc::SYS_symlinkat, libc::SYS_fchmodat, libc::SYS_fchmodat2,
    libc::SYS_fchownat, libc::SYS_utimensat, libc::SYS_getcwd, libc::SYS_umask,
    // sockets that exist
    libc::SYS_bind, libc::SYS_listen, libc::SYS_connect, libc::SYS_accept, libc::SYS_accept4,
    libc::SYS_sendto, libc::SYS_recvfrom, libc::SYS_sendmsg, libc::SYS_recvmsg, libc::SYS_shutdown,
    libc::SYS_getsockopt, libc::SYS_setsockopt, libc::SYS_getsockname, libc::SYS_getpeername,
    // waiting
    libc::SYS_ppoll, libc::SYS_pselect6, libc::SYS_epoll_create1, libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait, libc::SYS_epoll_pwait2, libc::SYS_eventfd2, libc::SYS_inotify_init1,
    libc::SYS_inotify_add_watch, libc::SYS_inotify_rm_watch, libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep, libc::SYS_restart_syscall,
    // memory
    libc::SYS_munmap, libc::SYS_mremap, libc::SYS_madvise, libc::SYS_brk,
    // threads and signals of this process
    libc::SYS_futex, libc::SYS_set_robust_list, libc::SYS_rseq, libc::SYS_gettid,
    libc::SYS_exit, libc::SYS_exit_group, libc::SYS_sched_yield, libc::SYS_sched_getaffinity,
    libc::SYS_membarrier, libc::SYS_rt_sigaction, libc::SYS_rt_sigprocmask, libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    // who, when, and how much
    libc::SYS_getpid, libc::SYS_getppid, libc::SYS_getuid, libc::SYS_geteuid, libc::SYS_getgid,
    libc::SYS_getegid, libc::SYS_getrandom, libc::SYS_uname, libc::SYS_sysinfo, libc::SYS_getrusage,
    libc::SYS_getrlimit, libc::SYS_clock_gettime, libc::SYS_clock_getres, libc::SYS_gettimeofday,
];

/// What this architecture has besides.
#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
const OLD_CALLS: &[libc::c_long] = &[
    libc::SYS_open, libc::SYS_stat, libc::SYS_lstat, libc::SYS_access, libc::SYS_readlink, libc::SYS_rename,
    libc::SYS_unlink, libc::SYS_mkdir, libc::SYS_rmdir, libc::SYS_symlink, libc::SYS_chmod, libc::SYS_chown,
    libc::SYS_lchown, libc::SYS_getdents, libc::SYS_dup2, libc::SYS_pipe, libc::SYS_poll, libc::SYS_select,
    libc::SYS_epoll_wait, libc::SYS_epoll_create, libc::SYS_eventfd, libc::SYS_inotify_init, libc::SYS_time,
];
#[cfg(not(target_arch = "x86_64"))]
const OLD_CALLS: &[libc::c_long] = &[];

/// As on a kernel that does not have it.
const MISSING: SeccompAction = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());

/// What the kernel told the process about itself, for libraries that ask late.
const PR_GET_AUXV: u64 = 0x4155_5856;

/// Refuses every other call of this thread and those it starts, as if the kernel did not have
/// it, so that the C library falls back on what it used before; or ends the process.
pub(super) fn restrict(kill: bool) -> Result<(), seccompiler::Error> {
    let mut rules = rules()?;
    if !kill {
        return apply(rules, MISSING, SeccompAction::Allow);
    }
    // the C library tries it before `clone`: it is refused by a filter of its own, and no reason to end
    let clone3 = Rules::from([(libc::SYS_clone3, Vec::new())]);
    rules.extend(clone3.clone());
    apply(clone3, SeccompAction::Allow, MISSING)?;
    apply(rules, SeccompAction::KillProcess, SeccompAction::Allow)
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn apply(rules: Rules, otherwise: SeccompAction, matched: SeccompAction) -> Result<(), seccompiler::Error> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
    let filter = SeccompFilter::new(rules, otherwise, matched, architecture)?;
    seccompiler::apply_filter(&BpfProgram::try_from(filter)?)
}

fn rules() -> Result<Rules, BackendError> {
    let mut rules: Rules = CALLS
        .iter()
        .chain(OLD_CALLS)
        .map(|call| (*call, Vec::new()))
        .collect();
    let number = |number: libc::c_int| u64::from(number.unsigned_abs());
    let executable = SeccompCmpOp::MaskedEq(number(libc::PROT_EXEC));
    let threads = SeccompCmpOp::MaskedEq(number(libc::CLONE_THREAD));
    let own = u64::from(std::process::id());
    let some: [(libc::c_long, u8, SeccompCmpOp, u64); 14] = [
        // sockets of this machine only
        (libc::SYS_socket, 0, SeccompCmpOp::Eq, number(libc::AF_UNIX)),
        (libc::SYS_socketpair, 0, SeccompCmpOp::Eq, number(libc::AF_UNIX)),
        // whether a descriptor blocks, closes itself, is a terminal
        (libc::SYS_ioctl, 1, SeccompCmpOp::Eq, libc::FIONBIO),
        (libc::SYS_ioctl, 1, SeccompCmpOp::Eq, libc::FIOCLEX),
        (libc::SYS_ioctl, 1, SeccompCmpOp::Eq, libc::TCGETS),
        (libc::SYS_prctl, 0, SeccompCmpOp::Eq, number(libc::PR_SET_NAME)),
        (libc::SYS_prctl, 0, SeccompCmpOp::Eq, number(libc::PR_SET_VMA)),
        (libc::SYS_prctl, 0, SeccompCmpOp::Eq, PR_GET_AUXV),
        // this process's limits, and those are only read
        (libc::SYS_prlimit64, 2, SeccompCmpOp::Eq, 0),
        (libc::SYS_mmap, 2, executable.clone(), 0),
        (libc::SYS_mprotect, 2, executable, 0),
        // threads, no processes; the C library takes it for `clone3`, whose flags cannot be seen
        (libc::SYS_clone, 0, threads, number(libc::CLONE_THREAD)),
        // signals to threads of this process
        (libc::SYS_tgkill, 0, SeccompCmpOp::Eq, own),
        // signal 0 asks whether a process is there
        (libc::SYS_kill, 1, SeccompCmpOp::Eq, 0),
    ];
    for (call, argument, compare, value) in some {
        let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Qword, compare, value)?;
        rules
            .entry(call)
            .or_default()
            .push(SeccompRule::new(vec![condition])?);
    }
    Ok(rules)
}
