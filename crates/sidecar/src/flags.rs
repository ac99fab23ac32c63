//! What rules of flags know of who asks: owns saying it in the words of policies. It must not know HTTP, nor who may
//! ask.

use serde_json::{Map, Value, json};
use strongroom_core::workload::Workload;

/// What rules find as `$peer`: who asks, in the words of policies, and which of many equal ones it is, `instance`.
/// Absent is what is not known.
#[must_use]
pub fn peer(workload: &Workload, host: &str) -> Value {
    let kernel = &workload.kernel;
    let mut out = Map::new();
    let mut tell = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            out.insert(name.to_owned(), value);
        }
    };
    let text = |text: &Option<String>| text.as_deref().map(Value::from);
    let container = kernel.container.as_ref();
    let executable = kernel.executable.as_ref();
    tell("instance", Some(instance(workload, host).into()));
    tell("host", Some(host.into()));
    tell("uid", Some(kernel.uid.into()));
    tell("gid", Some(kernel.gid.into()));
    tell("groups", Some(json!(kernel.groups)));
    tell(
        "executable",
        executable.map(|program| program.path.as_str().into()),
    );
    tell(
        "executableSha256",
        executable.and_then(|program| text(&program.sha256)),
    );
    tell("cgroup", text(&kernel.cgroup));
    tell(
        "container",
        container.map(|container| container.id.as_str().into()),
    );
    tell(
        "runtime",
        container.map(|container| container.runtime.as_str().into()),
    );
    tell("pod", container.and_then(|container| text(&container.pod)));
    tell(
        "containerUser",
        container.and_then(|container| container.user.map(Value::from)),
    );
    tell("unit", text(&kernel.unit));
    tell("userUnit", text(&kernel.user_unit));
    if let Some(engine) = &workload.engine {
        tell("name", text(&engine.name));
        tell("image", text(&engine.image));
        tell("composeProject", text(&engine.compose_project));
        tell("composeService", text(&engine.compose_service));
        tell("labels", Some(json!(engine.labels)));
    }
    Value::Object(out)
}

/// The container, else the unit or the user on this machine.
fn instance(workload: &Workload, host: &str) -> String {
    let kernel = &workload.kernel;
    match (&kernel.container, &kernel.unit) {
        (Some(container), _) => container.id.clone(),
        (None, Some(unit)) => format!("{unit}@{host}"),
        (None, None) => format!("uid-{}@{host}", kernel.uid),
    }
}
