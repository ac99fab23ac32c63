//! What a new revision changed for one environment: owns comparing two snapshots as that
//! environment sees them, inherited layers included, and secrets that documents refer to. It must not
//! open values.

use std::collections::BTreeMap;
use std::sync::Arc;

use strongroom_core::config::{Format, Key};
use strongroom_core::kind::Kind;
use strongroom_core::name::{EntryPath, EnvironmentName};
use strongroom_core::snapshot::{Action, Changed, Entry, Local, Snapshot, governed_by};

/// One changed entry, as an environment sees it.
#[derive(Clone, Debug)]
pub struct Change {
    /// Its path.
    pub path: EntryPath,
    /// Its kind.
    pub kind: Kind,
    /// What happened.
    pub action: Action,
    /// The version that is seen now, or was last.
    pub version: u32,
    /// The entry, as it is now or was last.
    pub entry: Arc<Entry>,
    /// What was seen there before, whatever its kind.
    pub before: Option<Arc<Entry>>,
    /// The keys of a document that deliver something else; `None` where that is not known.
    pub keys: Option<Vec<Key>>,
    /// The secrets that the document referred to before or refers to now, where its keys are named: those
    /// who may read all of it are told of them.
    pub secrets: Vec<Arc<Entry>>,
}

impl Change {
    /// Whether it is of `kind`, or what was seen before is.
    #[must_use]
    pub fn concerns(&self, kind: Kind) -> bool {
        self.kind == kind || self.before.as_ref().is_some_and(|before| before.kind == kind)
    }
}

/// Most documents of one step whose keys are named: each is read twice for it.
const MOST_NAMED: usize = 16;

/// Names the keys of documents that changed.
pub fn name_keys(changes: &mut [Change], old: &Snapshot, new: &Snapshot, environment: &EnvironmentName) {
    let documents = changes
        .iter_mut()
        .filter(|change| change.kind == Kind::Config && change.action == Action::Updated);
    for change in documents.take(MOST_NAMED) {
        let secrets = |snapshot: &Snapshot| {
            let entry = snapshot.entry(environment, &change.path).ok()?;
            snapshot.secrets_in(environment, &entry).ok()
        };
        let (Some(before), Some(mut secrets)) = (secrets(old), secrets(new)) else {
            continue;
        };
        secrets.extend(before);
        secrets.sort_by_key(|secret| (secret.id, secret.revision));
        secrets.dedup_by_key(|secret| (secret.id, secret.revision));
        change.keys = new.changed_keys(old, environment, &change.path);
        change.secrets = secrets;
    }
}

/// What `environment` sees differently in `new`, given what changed between the two anywhere.
#[must_use]
pub fn of_changes(
    old: &Snapshot,
    new: &Snapshot,
    environment: &EnvironmentName,
    changed: &[Changed],
) -> Vec<Change> {
    let layers = layers(old, new, environment);
    let mut changes = BTreeMap::new();
    for item in changed.iter().filter(|item| layers.contains(&item.environment)) {
        if let Some(change) = by_schema(old, new, environment, item) {
            changes.insert(change.path.clone(), change);
        }
        let before = old.entry(environment, &item.path).ok();
        let after = new.entry(environment, &item.path).ok();
        let merges = |entry: &Option<Arc<Entry>>| entry.as_ref().is_some_and(merges);
        let layer_counts = merges(&before) && merges(&after);
        if let Some(change) = compare(before.as_ref(), after.as_ref(), layer_counts) {
            changes.insert(item.path.clone(), change);
        }
        if item.kind != Kind::Secret || item.environment != *environment {
            continue;
        }
        for path in new.referring_to(environment, &item.path) {
            let (before, after) = (
                old.entry(environment, path).ok(),
                new.entry(environment, path).ok(),
            );
            if let Some(change) = compare(before.as_ref(), after.as_ref(), true) {
                changes.insert(path.clone(), change);
            }
        }
    }
    changes.into_values().collect()
}

/// What `environment` sees differently in `new`, by looking at every entry: for when nobody knows
/// what changed. Documents that merge count as changed when any layer did.
#[must_use]
pub fn of_everything(old: &Snapshot, new: &Snapshot, environment: &EnvironmentName) -> Vec<Change> {
    let before = seen(old, environment);
    let after = seen(new, environment);
    let paths = before
        .keys()
        .chain(after.keys().filter(|path| !before.contains_key(*path)));
    let mut changes: Vec<Change> = paths
        .filter_map(|path| {
            let (before, after) = (before.get(path), after.get(path));
            let is_merged = after.is_some_and(merges);
            let parts = |snapshot| parts(snapshot, environment, path);
            let layer_changed = is_merged && parts(old) != parts(new);
            compare(before, after, layer_changed)
        })
        .collect();
    changes.sort_by(|a, b| a.path.cmp(&b.path));
    changes
}

/// A document whose schema changed may have other defaults.
fn by_schema(
    old: &Snapshot,
    new: &Snapshot,
    environment: &EnvironmentName,
    item: &Changed,
) -> Option<Change> {
    let path = governed_by(item.kind, &item.path).filter(|_| item.kind == Kind::Schema)?;
    let (before, after) = (
        old.entry(environment, &path).ok(),
        new.entry(environment, &path).ok(),
    );
    let governed = before.as_ref().is_some_and(merges) && after.as_ref().is_some_and(merges);
    compare(before.as_ref(), after.as_ref(), governed)
}

fn seen(snapshot: &Snapshot, environment: &EnvironmentName) -> BTreeMap<EntryPath, Arc<Entry>> {
    let entries = snapshot.entries(environment, None).unwrap_or_default();
    entries
        .into_iter()
        .map(|entry| (entry.path.clone(), entry))
        .collect()
}

/// What a document is made of: the revisions of its layers, nearest first, and of its schema, a number
/// for what this machine says, and the revisions of the secrets that it refers to.
#[must_use]
pub fn parts(snapshot: &Snapshot, environment: &EnvironmentName, path: &EntryPath) -> Vec<u64> {
    let layers = snapshot.layers(environment).unwrap_or_default();
    let own = layers.iter().filter_map(|layer| {
        let entry = snapshot.entry(layer, path).ok()?;
        (entry.environment == *layer).then_some(entry.revision.0)
    });
    // A schema changes what is delivered, by its defaults.
    let schema = snapshot.schema_entry(environment, path);
    let local = snapshot.local(environment, path);
    let document = snapshot.find(environment, path.as_str()).ok().flatten();
    let secrets = document.and_then(|entry| snapshot.secrets_in(environment, entry).ok());
    own.chain(schema.map(|entry| entry.revision.0))
        .chain(local.map(Local::mark))
        .chain(secrets.into_iter().flatten().map(|secret| secret.revision.0))
        .collect()
}

/// The environments either snapshot reads from.
fn layers(old: &Snapshot, new: &Snapshot, environment: &EnvironmentName) -> Vec<EnvironmentName> {
    let mut layers = new.layers(environment).unwrap_or_default();
    layers.extend(old.layers(environment).unwrap_or_default());
    layers
}

/// True when a change of a farther layer can show through this entry.
fn merges(entry: &Arc<Entry>) -> bool {
    entry.kind == Kind::Config && entry.format != Format::Text
}

fn compare(before: Option<&Arc<Entry>>, after: Option<&Arc<Entry>>, layer_changed: bool) -> Option<Change> {
    let (entry, action) = match (before, after) {
        (None, None) => return None,
        (None, Some(after)) => (after, Action::Created),
        (Some(before), None) => (before, Action::Deleted),
        (Some(before), Some(after)) => {
            // not the version: it begins again when an entry is deleted and put again
            let same = before.id == after.id && before.revision == after.revision;
            if same && !layer_changed {
                return None;
            }
            (after, Action::Updated)
        }
    };
    Some(Change {
        path: entry.path.clone(),
        kind: entry.kind,
        action,
        version: entry.version.0,
        entry: Arc::clone(entry),
        before: before.cloned(),
        keys: None,
        secrets: Vec::new(),
    })
}
