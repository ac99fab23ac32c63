//! The JSON of a workload: owns the body of `whoami`. What is not known is null.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::workload as domain;

/// The body of `whoami`: the process at the other end, told apart by who vouches for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Workload {
    /// What the kernel says.
    pub kernel: Kernel,
    /// What the container engine says about the container that the kernel names; null when none is
    /// asked, or when it does not know the container.
    pub engine: Option<Engine>,
}

/// What the kernel says about a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Kernel {
    /// Its effective user when it connected.
    pub uid: u32,
    /// Its effective group when it connected.
    pub gid: u32,
    /// Its supplementary groups.
    pub groups: Vec<u32>,
    /// Its process id as the sidecar sees it.
    pub pid: Option<i32>,
    /// The program it runs.
    pub executable: Option<Executable>,
    /// Its control group.
    pub cgroup: Option<String>,
    /// The container its control group names.
    pub container: Option<Container>,
    /// The unit of the system's service manager that its control group names.
    pub unit: Option<String>,
    /// The unit of a user's own service manager.
    pub user_unit: Option<String>,
}

/// A running program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Executable {
    /// Its path in the process's own mount namespace.
    pub path: String,
    /// The SHA-256 of its bytes, 64 hexadecimal digits; null when it is too large or may not be read.
    pub sha256: Option<String>,
}

/// A container as a control group names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Container {
    /// Who made it.
    pub runtime: Runtime,
    /// Its id, 64 hexadecimal digits.
    pub id: String,
    /// The uid of the Kubernetes pod it is in.
    pub pod: Option<String>,
    /// The user among whose control groups it lies.
    pub user: Option<u32>,
}

/// Who made a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Runtime {
    /// Docker.
    Docker,
    /// Podman.
    Podman,
    /// containerd, outside of Docker.
    Containerd,
    /// CRI-O.
    CriO,
    /// The control group's name does not tell, or this client does not know it.
    #[serde(other)]
    Unknown,
}

/// What a container engine says about a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Engine {
    /// The container's name.
    pub name: Option<String>,
    /// The image it was made from.
    pub image: Option<String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The Compose project it belongs to.
    pub compose_project: Option<String>,
    /// The Compose service it is of.
    pub compose_service: Option<String>,
}

impl From<&domain::Workload> for Workload {
    fn from(workload: &domain::Workload) -> Self {
        let domain::Workload { kernel, engine } = workload;
        Self {
            kernel: kernel.into(),
            engine: engine.as_ref().map(Into::into),
        }
    }
}

impl From<&domain::Kernel> for Kernel {
    fn from(kernel: &domain::Kernel) -> Self {
        let domain::Kernel {
            uid,
            gid,
            groups,
            pid,
            executable,
            cgroup,
            container,
            unit,
            user_unit,
        } = kernel;
        Self {
            uid: *uid,
            gid: *gid,
            groups: groups.clone(),
            pid: *pid,
            executable: executable.as_ref().map(Into::into),
            cgroup: cgroup.clone(),
            container: container.as_ref().map(Into::into),
            unit: unit.clone(),
            user_unit: user_unit.clone(),
        }
    }
}

impl From<&domain::Executable> for Executable {
    fn from(executable: &domain::Executable) -> Self {
        let domain::Executable { path, sha256 } = executable;
        Self {
            path: path.clone(),
            sha256: sha256.clone(),
        }
    }
}

impl From<&domain::Container> for Container {
    fn from(container: &domain::Container) -> Self {
        let domain::Container {
            runtime,
            id,
            pod,
            user,
        } = container;
        Self {
            runtime: (*runtime).into(),
            id: id.clone(),
            pod: pod.clone(),
            user: *user,
        }
    }
}

impl From<domain::Runtime> for Runtime {
    fn from(runtime: domain::Runtime) -> Self {
        use domain::Runtime as Domain;
        match runtime {
            Domain::Docker => Self::Docker,
            Domain::Podman => Self::Podman,
            Domain::Containerd => Self::Containerd,
            Domain::CriO => Self::CriO,
            Domain::Unknown => Self::Unknown,
        }
    }
}

impl From<Runtime> for domain::Runtime {
    fn from(runtime: Runtime) -> Self {
        match runtime {
            Runtime::Docker => Self::Docker,
            Runtime::Podman => Self::Podman,
            Runtime::Containerd => Self::Containerd,
            Runtime::CriO => Self::CriO,
            Runtime::Unknown => Self::Unknown,
        }
    }
}

impl From<&domain::Engine> for Engine {
    fn from(engine: &domain::Engine) -> Self {
        let domain::Engine {
            name,
            image,
            labels,
            compose_project,
            compose_service,
        } = engine;
        Self {
            name: name.clone(),
            image: image.clone(),
            labels: labels.clone(),
            compose_project: compose_project.clone(),
            compose_service: compose_service.clone(),
        }
    }
}
