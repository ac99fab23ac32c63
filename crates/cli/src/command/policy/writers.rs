//! Who may still change entries once policies are applied: owns the warning for those who take that
//! away from everyone, or from themselves. It must not refuse anything.

use strongroom_core::ambient::Ambient;
use strongroom_core::kind::Kind;
use strongroom_core::name::EnvironmentName;
use strongroom_core::policy::{Action, Policies, Prepared, Principal, Resource, Source};
use strongroom_core::snapshot::Snapshot;

use super::files::Directory;
use crate::error::CliError;
use crate::output;

const MEMBERS: &str = "let a policy permit it: `strongroom policy apply --help` shows one for all members";

/// Warns when what would govern `environment` permits no change of an entry to any member, or none
/// of those it has to who applies it.
pub(super) fn warn(
    snapshot: &Snapshot,
    environment: &EnvironmentName,
    found: &Directory,
    prune: bool,
) -> Result<(), CliError> {
    let policies = becoming(snapshot, environment, found, prune)?;
    if policies.about(Action::Commit).iter().all(|(_, forbids)| *forbids) {
        output::warn(&format!(
            "with these policies no member may change an entry of {environment}, admins neither; {MEMBERS}"
        ));
        return Ok(());
    }
    let Some(author) = snapshot.members().into_iter().find(|member| member.is_self) else {
        return Ok(());
    };
    let author = Prepared::new(Principal::Member {
        name: &author.name,
        role: author.role,
    })?;
    let now = Ambient::system().now();
    let entries = snapshot.entries(environment, None)?;
    let mut changeable = entries
        .iter()
        .filter(|entry| entry.environment == *environment && entry.kind != Kind::Policy)
        .peekable();
    if changeable.peek().is_some()
        && !changeable.any(|entry| {
            policies
                .decide(&author, Action::Commit, Resource::from(&**entry), now)
                .allowed
        })
    {
        output::warn(&format!(
            "with these policies you may change no entry that {environment} has; {MEMBERS}"
        ));
    }
    Ok(())
}

/// The policies as they will be.
fn becoming(
    snapshot: &Snapshot,
    environment: &EnvironmentName,
    found: &Directory,
    prune: bool,
) -> Result<Policies, CliError> {
    let layers = snapshot.layers(environment)?;
    let mut stay = Vec::new();
    for layer in &layers {
        for entry in snapshot.entries(layer, None)? {
            let is_own = layer == environment;
            let goes = is_own && (prune || found.policies.iter().any(|file| file.path == entry.path));
            if entry.kind == Kind::Policy && entry.environment == *layer && !goes {
                let text = snapshot.expose(&entry, |bytes| String::from_utf8_lossy(bytes).into_owned())?;
                stay.push((entry, text));
            }
        }
    }
    let stay = stay.iter().map(|(entry, text)| Source {
        environment: &entry.environment,
        path: &entry.path,
        text,
    });
    let come = found.policies.iter().map(|file| Source {
        environment,
        path: &file.path,
        text: &file.text,
    });
    Ok(Policies::from_texts(layers.clone(), stay.chain(come))?)
}
