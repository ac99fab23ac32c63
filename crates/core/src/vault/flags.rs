//! Evaluating the flags of an environment in this process: owns the compiled flags of one revision, which those of
//! the next one share as far as they did not change. It must not know sockets.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Vault, lock};
use crate::ambient::Ambient;
use crate::flag::{Code, Context, Details, Evaluation, Failure, Flag, MAX_WORK, Set};
use crate::id::{EntryId, Revision};
use crate::name::{EntryPath, EnvironmentName};
use crate::snapshot::{Entry, FlagEntry, ReadError, Snapshot};

/// Why a flag is not there to evaluate: the reason as text.
type Broken = String;

/// A flag, compiled when it is first asked for.
type Compiled = Arc<OnceLock<Result<Flag, Broken>>>;

/// A set, compiled when a flag of it is.
type Shared = Arc<OnceLock<Result<Set, Broken>>>;

/// The flags that one environment sees at one revision.
#[derive(Debug)]
struct Table {
    snapshot: Arc<Snapshot>,
    /// By path.
    entries: Arc<[FlagEntry]>,
    /// In the same order.
    flags: Vec<Compiled>,
    places: HashMap<EntryPath, usize, RandomState>,
    sets: BTreeMap<EntryId, Shared>,
}

impl Table {
    fn new(
        snapshot: Arc<Snapshot>,
        environment: &EnvironmentName,
        before: Option<&Self>,
    ) -> Result<Self, ReadError> {
        let entries = snapshot.flag_entries(environment)?;
        let mut flags = Vec::with_capacity(entries.len());
        let mut places = HashMap::with_capacity_and_hasher(entries.len(), RandomState::default());
        let mut sets = BTreeMap::new();
        for entry in &entries {
            let known = before.and_then(|before| before.slot(entry.flag.path.as_str()));
            let known = known.filter(|(known, _)| known.is_as(entry));
            let flag = known.map(|(_, flag)| Arc::clone(flag)).unwrap_or_default();
            if let Some(set) = &entry.set {
                sets.entry(set.id).or_insert_with(Shared::default);
            }
            places.insert(entry.flag.path.clone(), flags.len());
            flags.push(flag);
        }
        let is_same = |before: &&Self| {
            let mut both = before.entries.iter().zip(&entries);
            before.entries.len() == entries.len() && both.all(|(was, is)| was.is(is))
        };
        let entries = match before.filter(is_same) {
            Some(before) => Arc::clone(&before.entries),
            None => entries.into(),
        };
        Ok(Self {
            snapshot,
            entries,
            flags,
            places,
            sets,
        })
    }

    fn is_of(&self, snapshot: &Snapshot) -> bool {
        self.snapshot.hash() == snapshot.hash()
    }

    /// The table of `snapshot`, which may be the one `before`.
    fn after(
        before: Option<&Arc<Self>>,
        snapshot: &Arc<Snapshot>,
        environment: &EnvironmentName,
    ) -> Result<Arc<Self>, ReadError> {
        if let Some(same) = before.filter(|before| before.is_of(snapshot)) {
            return Ok(Arc::clone(same));
        }
        let before = before.map(|before| &**before);
        Ok(Arc::new(Self::new(Arc::clone(snapshot), environment, before)?))
    }

    fn slot(&self, key: &str) -> Option<(&FlagEntry, &Compiled)> {
        let place = *self.places.get(key)?;
        self.entries.get(place).zip(self.flags.get(place))
    }

    fn flag(&self, key: &str) -> Option<&Result<Flag, Broken>> {
        let (entry, flag) = self.slot(key)?;
        Some(flag.get_or_init(|| self.compile(entry)))
    }

    fn set(&self, entry: &Entry) -> Result<&Set, &str> {
        let open = || match self.snapshot.open_flag_set(Some(entry)) {
            Ok(parsed) => parsed.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        let shared = self.sets.get(&entry.id).map(|shared| shared.get_or_init(open));
        match shared {
            Some(set) => set.as_ref().map_err(|broken| &**broken),
            None => Err("its set is not there"),
        }
    }

    fn compile(&self, entry: &FlagEntry) -> Result<Flag, Broken> {
        let none = Set::default();
        let set = match &entry.set {
            None => &none,
            Some(set) => self.set(set)?,
        };
        let definition = self.snapshot.open_flag(&entry.flag);
        let definition = definition.map_err(|error| error.to_string())?;
        let definition = definition.map_err(|error| error.to_string())?;
        Ok(Flag::compile(entry.flag.path.as_str(), definition, set))
    }
}

/// The tables at hand, by environment.
#[derive(Default)]
pub(super) struct Tables(Mutex<BTreeMap<EnvironmentName, Arc<Table>>>);

impl Tables {
    fn of(&self, snapshot: &Arc<Snapshot>, environment: &EnvironmentName) -> Result<Arc<Table>, ReadError> {
        let mut tables = lock(&self.0);
        let before = tables.get(environment);
        let table = Table::after(before, snapshot, environment)?;
        if !before.is_some_and(|before| Arc::ptr_eq(before, &table)) {
            tables.insert(environment.clone(), Arc::clone(&table));
        }
        Ok(table)
    }
}

/// The flags of an environment at one revision. Evaluating takes no lock, and no memory for a flag without rule or
/// with a rule that makes no texts.
#[derive(Clone, Debug)]
pub struct Flags {
    table: Arc<Table>,
    ambient: Ambient,
}

impl Vault {
    /// The flags of an environment as the current snapshot has them: take them anew to see later revisions,
    /// which costs next to nothing while there is none.
    ///
    /// # Errors
    /// [`ReadError::NoEnvironment`].
    pub fn flags(&self, environment: &EnvironmentName) -> Result<Flags, ReadError> {
        Ok(Flags {
            table: self.tables.of(&self.snapshot(), environment)?,
            ambient: self.ambient.clone(),
        })
    }
}

/// One typed form of an evaluation.
macro_rules! typed {
    ($(#[$doc:meta])* $name:ident, $details:ident, $type:ty) => {
        $(#[$doc])*
        ///
        /// # Errors
        /// [`Failure`].
        pub fn $name<'a>(&'a self, key: &str, context: &'a Context) -> Result<Option<$type>, Failure<'a>> {
            Ok(self.evaluate(key, context)?.$name()?.value)
        }

        /// The same with its reason, variant and metadata.
        ///
        /// # Errors
        /// [`Failure`].
        pub fn $details<'a>(
            &'a self,
            key: &str,
            context: &'a Context,
        ) -> Result<Details<'a, $type>, Failure<'a>> {
            self.evaluate(key, context)?.$name()
        }
    };
}

impl Flags {
    /// The flags that `environment` sees in `snapshot`.
    ///
    /// # Errors
    /// [`ReadError::NoEnvironment`].
    pub fn of(
        snapshot: &Arc<Snapshot>,
        environment: &EnvironmentName,
        ambient: &Ambient,
    ) -> Result<Self, ReadError> {
        let table = Table::after(None, snapshot, environment)?;
        let ambient = ambient.clone();
        Ok(Self { table, ambient })
    }

    /// The same of another snapshot, which share with these what did not change. It costs next to nothing for the
    /// same one.
    ///
    /// # Errors
    /// [`ReadError::NoEnvironment`].
    pub fn renewed(
        &self,
        snapshot: &Arc<Snapshot>,
        environment: &EnvironmentName,
    ) -> Result<Self, ReadError> {
        let table = Table::after(Some(&self.table), snapshot, environment)?;
        let ambient = self.ambient.clone();
        Ok(Self { table, ambient })
    }

    /// The revision they are of.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.table.snapshot.revision()
    }

    /// The keys of all flags, in their order.
    pub fn keys(&self) -> impl Iterator<Item = &EntryPath> {
        self.entries().map(|entry| &entry.flag.path)
    }

    /// Where all flags lie, in the order of their keys.
    pub fn entries(&self) -> impl Iterator<Item = &FlagEntry> {
        self.table.entries.iter()
    }

    /// The same, to be kept: it holds no snapshot, and while no flag changes there is one of them.
    #[must_use]
    pub fn shared_entries(&self) -> &Arc<[FlagEntry]> {
        &self.table.entries
    }

    /// Where the flag of a key lies, with its set.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&FlagEntry> {
        self.table.slot(key).map(|(entry, _)| entry)
    }

    /// The set that the flag of a key is of, with its path; `None` where it is of none.
    ///
    /// # Errors
    /// [`Failure`]: [`Code::FlagNotFound`], or [`Code::Parse`] for a set that does not open or is none.
    pub fn set(&self, key: &str) -> Result<Option<(&EntryPath, &Set)>, Failure<'_>> {
        let (entry, _) = self.table.slot(key).ok_or_else(Failure::not_found)?;
        let Some(entry) = &entry.set else {
            return Ok(None);
        };
        let set = self.table.set(entry);
        let set = set.map_err(|broken| Failure::bare(Code::Parse, broken))?;
        Ok(Some((&entry.path, set)))
    }

    /// The compiled flag of a key.
    ///
    /// # Errors
    /// [`Failure`]: [`Code::FlagNotFound`], or [`Code::Parse`] for one that does not open or is none.
    pub fn get(&self, key: &str) -> Result<&Flag, Failure<'_>> {
        match self.table.flag(key) {
            Some(Ok(flag)) => Ok(flag),
            Some(Err(broken)) => Err(Failure::bare(Code::Parse, broken)),
            None => Err(Failure::not_found()),
        }
    }

    /// What a flag is for a context, whatever its type.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn evaluate<'a>(&'a self, key: &str, context: &'a Context) -> Result<Evaluation<'a>, Failure<'a>> {
        self.evaluate_for(key, context, None)
    }

    /// The same for a caller of whom something is known, which rules find as `$peer`: see
    /// [`Flag::evaluate_for`].
    ///
    /// # Errors
    /// [`Failure`].
    pub fn evaluate_for<'a>(
        &'a self,
        key: &str,
        context: &'a Context,
        peer: Option<&'a Value>,
    ) -> Result<Evaluation<'a>, Failure<'a>> {
        let mut left = MAX_WORK;
        self.evaluate_within(key, context, peer, &mut left)
    }

    /// The same, taking what work it does from what is `left` of several evaluations: see
    /// [`Flag::evaluate_within`].
    ///
    /// # Errors
    /// [`Failure`].
    pub fn evaluate_within<'a>(
        &'a self,
        key: &str,
        context: &'a Context,
        peer: Option<&'a Value>,
        left: &mut u32,
    ) -> Result<Evaluation<'a>, Failure<'a>> {
        let flag = self.get(key)?;
        let now = if flag.tells_time() {
            self.ambient.now().0 / 1000
        } else {
            0
        };
        flag.evaluate_within(context, peer, now, left)
    }

    typed!(
        /// A boolean flag; `None` leaves it to the caller's own default.
        bool, bool_details, bool
    );
    typed!(
        /// A string flag; `None` leaves it to the caller's own default.
        string, string_details, &'a str
    );
    typed!(
        /// A flag that is a whole number; `None` leaves it to the caller's own default.
        int, int_details, i64
    );
    typed!(
        /// A flag that is a number; `None` leaves it to the caller's own default.
        float, float_details, f64
    );

    /// A flag that is an object, deserialised; `None` leaves it to the caller's own default.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn object<'a, T: DeserializeOwned>(
        &'a self,
        key: &str,
        context: &'a Context,
    ) -> Result<Option<T>, Failure<'a>> {
        Ok(self.object_details(key, context)?.value)
    }

    /// The same with its reason, variant and metadata.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn object_details<'a, T: DeserializeOwned>(
        &'a self,
        key: &str,
        context: &'a Context,
    ) -> Result<Details<'a, T>, Failure<'a>> {
        self.evaluate(key, context)?.object()
    }
}
