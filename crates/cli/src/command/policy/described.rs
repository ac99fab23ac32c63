//! A workload as described by a person, in a case or by options: owns what may be said of one, and
//! under which name. The names are those of the schema.

use std::collections::BTreeMap;

use serde::Deserialize;
use strongroom_core::workload::{Container, Engine, Executable, Kernel, Runtime, Workload};

/// What is said of a workload; the rest is not known.
#[derive(Clone, Debug, Default, Deserialize, clap::Args)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(crate) struct Described {
    /// Its user; the kernel always knows it, so it has to be said
    #[arg(long, value_name = "UID")]
    uid: Option<u32>,
    /// Its group [default: the number of its user]
    #[arg(long, value_name = "GID")]
    gid: Option<u32>,
    /// A supplementary group; may be repeated
    #[arg(long = "group", value_name = "GID")]
    groups: Vec<u32>,
    /// The program it runs
    #[arg(long, value_name = "FILE")]
    executable: Option<String>,
    /// The SHA-256 of that program, hexadecimal
    #[arg(long, value_name = "HASH", requires = "executable")]
    executable_sha256: Option<String>,
    /// Its control group
    #[arg(long, value_name = "CGROUP")]
    cgroup: Option<String>,
    /// The id of its container
    #[arg(long, value_name = "ID")]
    container: Option<String>,
    /// Who made its container: docker, podman, containerd, cri-o or unknown
    #[arg(long, value_name = "RUNTIME", requires = "container")]
    runtime: Option<String>,
    /// The uid of its Kubernetes pod
    #[arg(long, value_name = "UID", requires = "container")]
    pod: Option<String>,
    /// The user of the rootless engine its container is of
    #[arg(long, value_name = "UID", requires = "container")]
    container_user: Option<u32>,
    /// Its systemd unit
    #[arg(long, value_name = "UNIT")]
    unit: Option<String>,
    /// Its unit of a user's own service manager
    #[arg(long, value_name = "UNIT")]
    user_unit: Option<String>,
    /// The name of its container, by the engine
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The image of its container, by the engine
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
    /// A label of its container, by the engine; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    #[serde(skip)]
    label: Vec<(String, String)>,
    #[arg(skip)]
    labels: BTreeMap<String, String>,
    /// Its Compose project, by the engine
    #[arg(long, value_name = "NAME")]
    compose_project: Option<String>,
    /// Its Compose service, by the engine
    #[arg(long, value_name = "NAME")]
    compose_service: Option<String>,
}

fn label(text: &str) -> Result<(String, String), &'static str> {
    let (key, value) = text.split_once('=').ok_or("a label is KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

impl Described {
    /// The workload, if what is said fits together.
    pub(crate) fn workload(&self) -> Result<Workload, &'static str> {
        let executable = match (&self.executable, &self.executable_sha256) {
            (None, None) => None,
            (None, Some(_)) => return Err("a SHA-256 without an executable"),
            (Some(path), sha256) => Some(Executable {
                path: path.clone(),
                sha256: sha256.clone(),
            }),
        };
        let container = match (&self.container, &self.runtime) {
            (None, None) if self.pod.is_none() && self.container_user.is_none() => None,
            (Some(id), Some(runtime)) => Some(Container {
                runtime: runtime_of(runtime)?,
                id: id.clone(),
                pod: self.pod.clone(),
                user: self.container_user,
            }),
            _ => {
                return Err("a container has an id and a runtime, and only a container has a pod and a user");
            }
        };
        // taking one for granted would answer for root
        let uid = self
            .uid
            .ok_or("a workload has a uid, and nothing says which: give it")?;
        let mut labels = self.labels.clone();
        labels.extend(self.label.iter().cloned());
        let engine = Engine {
            name: self.name.clone(),
            image: self.image.clone(),
            labels,
            compose_project: self.compose_project.clone(),
            compose_service: self.compose_service.clone(),
        };
        Ok(Workload {
            kernel: Kernel {
                uid,
                gid: self.gid.unwrap_or(uid),
                groups: self.groups.clone(),
                pid: None,
                executable,
                cgroup: self.cgroup.clone(),
                container,
                unit: self.unit.clone(),
                user_unit: self.user_unit.clone(),
            },
            engine: (engine != Engine::default()).then_some(engine),
        })
    }
}

fn runtime_of(word: &str) -> Result<Runtime, &'static str> {
    let known = [
        Runtime::Docker,
        Runtime::Podman,
        Runtime::Containerd,
        Runtime::CriO,
        Runtime::Unknown,
    ];
    known
        .into_iter()
        .find(|runtime| runtime.as_str() == word)
        .ok_or("a runtime is one of docker, podman, containerd, cri-o, unknown")
}
