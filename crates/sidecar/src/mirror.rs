//! The sealed copy of the store: owns bringing it up to what was verified. It copies bytes that
//! stay sealed, and checks that each has the hash it is listed under.

use std::path::{Path, PathBuf};

use strongroom_core::commit::{Checkpoint, referenced_objects};
use strongroom_core::id::{Hash, Revision};
use strongroom_core::store::{AppendError, SqliteStore, Store, StoreError, StoredCommit, StoredObject};
use strongroom_core::vault::Trust;

/// Commits read at a time.
const BATCH: usize = 64;

/// Why the copy was not brought up to date; what it holds stays good.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    /// One of the two stores failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What was verified last did not come to the copy before the store went away.
    #[error("the store went away before its newest revision was copied")]
    Away,
    /// Somebody else writes to the copy.
    #[error("the copy was changed by another process")]
    Contended,
    /// The store does not hold what was verified.
    #[error("revision {0} of the store is not what was verified: it was not copied")]
    Foreign(Revision),
    /// The copy's old file cannot be removed.
    #[error("the old copy could not be removed: {0}")]
    Remove(std::io::Error),
}

impl From<AppendError> for MirrorError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Conflict { .. } => Self::Contended,
            AppendError::Store(error) => Self::Store(error),
        }
    }
}

/// The copy.
#[derive(Debug)]
pub struct Mirror {
    path: PathBuf,
    copy: Option<SqliteStore>,
}

impl Mirror {
    /// A copy in the file `path`, which is made when it is first brought up to date.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, copy: None }
    }

    /// The revision of the copy; 0 when there is none that opens.
    #[must_use]
    pub fn revision(&self) -> u64 {
        let head = |copy: &SqliteStore| copy.head().ok().flatten().map_or(0, |head| head.revision.0);
        match &self.copy {
            Some(copy) => head(copy),
            None => SqliteStore::open(&self.path, false).map_or(0, |copy| head(&copy)),
        }
    }

    /// Copies what is missing up to `verified`, and nothing beyond it.
    ///
    /// # Errors
    /// [`MirrorError`]; commits copied so far stay.
    pub fn bring_up_to(&mut self, source: &dyn Store, verified: &Trust) -> Result<(), MirrorError> {
        // the storage may have been exchanged since: then the copy is the last good one
        if commit_at(source, verified.revision)?.head.hash != verified.hash {
            return Err(MirrorError::Foreign(verified.revision));
        }
        if self.copy.is_none() {
            self.copy = Some(self.open_or_create(source)?);
        }
        let Some(copy) = &self.copy else { return Ok(()) };
        let mut head = copy.head()?;
        while head.is_none_or(|head| head.revision < verified.revision) {
            let next = head.map_or(Revision(1), |head| head.revision.next());
            let commits = source.commits(next, BATCH)?;
            if commits.is_empty() {
                return Err(MirrorError::Foreign(next));
            }
            for commit in commits
                .into_iter()
                .take_while(|commit| commit.head.revision <= verified.revision)
            {
                let objects = objects(source, &commit)?;
                copy.append(head, &commit, &objects)?;
                head = Some(commit.head);
            }
        }
        copy_checkpoint(source, copy, verified)
    }

    fn open_or_create(&self, source: &dyn Store) -> Result<SqliteStore, MirrorError> {
        if self.path.exists() {
            match SqliteStore::open(&self.path, true) {
                Ok(copy) if is_of(&copy, source)? => return Ok(copy),
                Ok(_) | Err(StoreError::Damaged { .. } | StoreError::Missing { .. }) => remove(&self.path)?,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(SqliteStore::create(&self.path)?)
    }
}

/// Takes the source's checkpoint over if the copy can be opened with it: one of a commit that was
/// copied. Whether its signer may make one is for the reader of the copy to find out.
fn copy_checkpoint(source: &dyn Store, copy: &SqliteStore, verified: &Trust) -> Result<(), MirrorError> {
    let link = |bytes: &[u8]| Checkpoint::decode(bytes).ok().flatten().map(|one| one.link());
    let Some(bytes) = source.checkpoint()? else {
        return Ok(());
    };
    let Some(new) = link(&bytes).filter(|link| link.revision <= verified.revision) else {
        return Ok(());
    };
    let old = copy.checkpoint()?.as_deref().and_then(link);
    if old == Some(new) || commit_at(copy, new.revision)?.head.hash != new.hash {
        return Ok(());
    }
    Ok(copy.put_checkpoint(new.revision, &bytes)?)
}

/// True when the copy's newest commit is one of the source's.
fn is_of(copy: &SqliteStore, source: &dyn Store) -> Result<bool, MirrorError> {
    let Some(head) = copy.head()? else { return Ok(true) };
    match commit_at(source, head.revision) {
        Ok(commit) => Ok(commit.head.hash == head.hash),
        Err(MirrorError::Foreign(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

fn commit_at(store: &dyn Store, revision: Revision) -> Result<StoredCommit, MirrorError> {
    let found = store.commits(revision, 1)?.into_iter().next();
    found
        .filter(|commit| commit.head.revision == revision && Hash::of(&commit.bytes) == commit.head.hash)
        .ok_or(MirrorError::Foreign(revision))
}

/// Everything a commit refers to. What the storage exchanged or withholds is not copied: whether
/// it matters is for the reader of the copy to find out.
fn objects(source: &dyn Store, commit: &StoredCommit) -> Result<Vec<StoredObject>, MirrorError> {
    let foreign = MirrorError::Foreign(commit.head.revision);
    if Hash::of(&commit.bytes) != commit.head.hash {
        return Err(foreign);
    }
    let wanted = referenced_objects(&commit.bytes).map_err(|_| foreign)?;
    let mut objects = Vec::with_capacity(wanted.len());
    source.objects(&wanted, &mut |hash, bytes| {
        if Hash::of(bytes) == hash {
            objects.push(StoredObject {
                hash,
                bytes: bytes.to_vec(),
            });
        }
        true
    })?;
    Ok(objects)
}

/// Removes a database and what SQLite keeps beside it.
fn remove(path: &Path) -> Result<(), MirrorError> {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        match std::fs::remove_file(&name) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(MirrorError::Remove(error));
            }
            _ => {}
        }
    }
    Ok(())
}
