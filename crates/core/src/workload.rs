//! Who is at the other end of a socket: owns the attributes of a workload, told apart by who
//! vouches for them. It must not know how they are found out, nor what they allow.

use std::collections::BTreeMap;
use std::fmt;

/// An attested process. What is not known is absent, never guessed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// What the kernel says; the process cannot choose it.
    pub kernel: Kernel,
    /// What a container engine says about the container the kernel named; absent when no engine is
    /// asked, or when it does not know the container.
    pub engine: Option<Engine>,
}

/// What the kernel says about a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// Its effective user when it connected.
    pub uid: u32,
    /// Its effective group when it connected.
    pub gid: u32,
    /// Its supplementary groups.
    pub groups: Vec<u32>,
    /// Its process id as the sidecar's namespace sees it; absent when it does not see it.
    pub pid: Option<i32>,
    /// The program it runs.
    pub executable: Option<Executable>,
    /// Its control group, as `/proc/PID/cgroup` has it: `/system.slice/web.service`.
    pub cgroup: Option<String>,
    /// The container its control group names.
    pub container: Option<Container>,
    /// The unit of the system's service manager that its control group names: `web.service`. What a
    /// user's own manager runs is `user@1000.service` here.
    pub unit: Option<String>,
    /// The unit of a user's own service manager. The user chose its name.
    pub user_unit: Option<String>,
}

impl Kernel {
    /// A process of which nothing is known but what a Unix socket tells when it connects: its user, group and id.
    #[must_use]
    pub fn at_socket(uid: u32, gid: u32, pid: i32) -> Self {
        Self {
            uid,
            gid,
            groups: Vec::new(),
            pid: Some(pid),
            executable: None,
            cgroup: None,
            container: None,
            unit: None,
            user_unit: None,
        }
    }
}

/// A running program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executable {
    /// Its path in the process's own mount namespace: only a hint where containers are.
    pub path: String,
    /// The SHA-256 of its bytes in lower-case hexadecimal; absent when it is too large to hash.
    pub sha256: Option<String>,
}

/// A container as a control group names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// Who made it.
    pub runtime: Runtime,
    /// Its id: 64 lower-case hexadecimal digits.
    pub id: String,
    /// The uid of the Kubernetes pod it is in.
    pub pod: Option<String>,
    /// The user whose control groups it lies among, of a rootless engine: that user could have
    /// named it after any container. Only an engine's answer tells.
    pub user: Option<u32>,
}

/// Who made a container, by the name of its control group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runtime {
    /// Docker.
    Docker,
    /// Podman, of root or of a user.
    Podman,
    /// containerd, outside of Docker.
    Containerd,
    /// CRI-O.
    CriO,
    /// The name of the control group is the bare id.
    Unknown,
}

impl Runtime {
    /// The word used in policies, messages and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Containerd => "containerd",
            Self::CriO => "cri-o",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a container engine says about a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Engine {
    /// The container's name.
    pub name: Option<String>,
    /// The image it was made from, as its maker named it.
    pub image: Option<String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The Compose project it belongs to, from its labels.
    pub compose_project: Option<String>,
    /// The Compose service it is of, from its labels.
    pub compose_service: Option<String>,
}
