//! A workload on the terminal: owns its rows, and which of the kernel's files or whose word each
//! is from. It must not find anything out.

use strongroom_core::api::wire::{Kernel, Workload};
use strongroom_core::workload::Runtime;

use crate::output::{Table, harmless};

/// Where an attribute comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The user and group.
    Owner,
    /// The process's status.
    Status,
    /// The running program.
    Program,
    /// The control groups.
    Groups,
    /// The container engine.
    Engine,
}

/// One attribute.
#[derive(Debug)]
pub(crate) struct Row {
    /// What scripts call it.
    pub(crate) key: &'static str,
    /// What people call it.
    name: &'static str,
    /// `None` when it is not known.
    value: Option<String>,
    pub(crate) from: Source,
}

/// Every attribute, known or not; those of the engine only when it said something.
pub(crate) fn rows(workload: &Workload) -> Vec<Row> {
    let Workload { kernel, engine } = workload;
    let mut rows = kernel_rows(kernel);
    if let Some(engine) = engine {
        let mut row = |key, name, value| {
            rows.push(Row {
                key,
                name,
                value,
                from: Source::Engine,
            });
        };
        row("name", "name", engine.name.clone());
        row("image", "image", engine.image.clone());
        let (project, service) = (&engine.compose_project, &engine.compose_service);
        row("compose_project", "compose project", project.clone());
        row("compose_service", "compose service", service.clone());
        for (label, value) in &engine.labels {
            row("labels", "label", Some(format!("{label}={value}")));
        }
    }
    rows
}

fn kernel_rows(kernel: &Kernel) -> Vec<Row> {
    let Kernel {
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
    let groups: Vec<String> = groups.iter().map(u32::to_string).collect();
    let container = container.as_ref();
    let rows = [
        ("uid", Some(uid.to_string()), Source::Owner),
        ("gid", Some(gid.to_string()), Source::Owner),
        ("groups", Some(groups.join(" ")), Source::Status),
        ("pid", pid.map(|pid| pid.to_string()), Source::Owner),
        (
            "executable",
            executable.as_ref().map(|program| program.path.clone()),
            Source::Program,
        ),
        (
            "sha256",
            executable.as_ref().and_then(|program| program.sha256.clone()),
            Source::Program,
        ),
        ("cgroup", cgroup.clone(), Source::Groups),
        (
            "runtime",
            container.map(|container| Runtime::from(container.runtime).as_str().to_owned()),
            Source::Groups,
        ),
        (
            "container",
            container.map(|container| container.id.clone()),
            Source::Groups,
        ),
        (
            "container's user",
            container
                .and_then(|container| container.user)
                .map(|user| user.to_string()),
            Source::Groups,
        ),
        (
            "pod",
            container.and_then(|container| container.pod.clone()),
            Source::Groups,
        ),
        ("unit", unit.clone(), Source::Groups),
        ("user unit", user_unit.clone(), Source::Groups),
    ];
    rows.into_iter()
        .map(|(name, value, from)| Row {
            key: match name {
                "sha256" => "executable_sha256",
                "container's user" => "container_user",
                "user unit" => "user_unit",
                same => same,
            },
            name,
            value,
            from,
        })
        .collect()
}

/// The rows as a table; `from` has the words for where one comes from.
pub(crate) fn table(rows: &[Row], from: impl Fn(Source) -> String) -> String {
    let mut table = Table::new(&["ATTRIBUTE", "VALUE", "FROM"]);
    for row in rows {
        let value = row.value.as_deref().filter(|value| !value.is_empty());
        let value = value.map_or_else(|| "-".to_owned(), harmless);
        table.row(vec![row.name.to_owned(), value, from(row.from)]);
    }
    table.render()
}
