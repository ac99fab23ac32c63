//! Processes that are measured: owns starting and ending them by id, and what the kernel says
//! about them.

use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit};

/// A child; killed when dropped.
pub struct Process(Child);

impl Process {
    pub fn start(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::piped()).spawn().unwrap())
    }

    pub fn id(&self) -> u32 {
        self.0.id()
    }

    pub fn stdin(&mut self) -> ChildStdin {
        self.0.stdin.take().unwrap()
    }

    pub fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }

    /// Processor time so far, user and system, in the kernel's ticks of 10 ms.
    pub fn cpu(&self) -> Duration {
        let stat = self.proc("stat");
        // the name before the last bracket may hold anything
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        Duration::from_millis(ticks * 10)
    }

    /// A line of `/proc/PID/status` that counts kilobytes, in bytes.
    pub fn memory(&self, name: &str) -> u64 {
        let status = self.proc("status");
        let mut lines = status.lines().filter_map(|line| line.split_once(':'));
        let (_, text) = lines.find(|(found, _)| *found == name).unwrap();
        text.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    fn proc(&self, file: &str) -> String {
        std::fs::read_to_string(Path::new("/proc").join(self.id().to_string()).join(file)).unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits for what must happen soon.
pub fn until(what: &str, mut happened: impl FnMut() -> bool) {
    let start = Instant::now();
    while !happened() {
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "waited in vain: {what}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// As many open files as this process may have; thousands of watchers need them.
pub fn raise_descriptors() {
    let maximum = rustix::process::getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit {
        current: maximum,
        maximum,
    };
    rustix::process::setrlimit(Resource::Nofile, limit).unwrap();
}
