//! Evaluating the flags of an environment in this process: owns the compiled flags of one revision, which those of
//! the next one share as far as they did not change. It must not know sockets.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{Vault, lock};
use crate::ambient::Ambient;
use crate::flag::{Code, Context, Details, Evaluation, Failure, Flag, Set};
use crate::id::{EntryId, Revision};
use crate::name::{EntryPath, EnvironmentName};
use crate::snapshot::{FlagEntry, ReadError, Snapshot};

/// Why a flag is not there to evaluate: the reason as text.
type Broken = String;

/// A flag, compiled when it is first asked for.
#[derive(Debug)]
struct Slot {
    entry: FlagEntry,
    flag: Arc<OnceLock<Result<Flag, Broken>>>,
}

/// A set, compiled when a flag of it is.
type Shared = Arc<OnceLock<Result<Set, Broken>>>;

/// The flags that one environment sees at one revision.
#[derive(Debug)]
struct Table {
    snapshot: Arc<Snapshot>,
    slots: HashMap<EntryPath, Slot, RandomState>,
    sets: BTreeMap<EntryId, Shared>,
}

impl Table {
    fn new(
        snapshot: Arc<Snapshot>,
        environment: &EnvironmentName,
        before: Option<&Self>,
    ) -> Result<Self, ReadError> {
        let entries = snapshot.flag_entries(environment)?;
        let mut slots = HashMap::with_capacity_and_hasher(entries.len(), RandomState::default());
        let mut sets = BTreeMap::new();
        for entry in entries {
            let known = before.and_then(|before| before.slots.get(&entry.flag.path));
            let known = known.filter(|known| known.entry.is_as(&entry));
            let flag = known.map(|known| Arc::clone(&known.flag)).unwrap_or_default();
            if let Some(set) = &entry.set {
                sets.entry(set.id).or_insert_with(Shared::default);
            }
            slots.insert(entry.flag.path.clone(), Slot { entry, flag });
        }
        Ok(Self {
            snapshot,
            slots,
            sets,
        })
    }

    fn flag(&self, key: &str) -> Option<&Result<Flag, Broken>> {
        let slot = self.slots.get(key)?;
        Some(slot.flag.get_or_init(|| self.compile(&slot.entry)))
    }

    fn compile(&self, entry: &FlagEntry) -> Result<Flag, Broken> {
        let none = Set::default();
        let set = match &entry.set {
            None => &none,
            Some(set) => {
                let open = || match self.snapshot.open_flag_set(Some(set)) {
                    Ok(parsed) => parsed.map_err(|error| error.to_string()),
                    Err(error) => Err(error.to_string()),
                };
                match self.sets.get(&set.id).map(|shared| shared.get_or_init(open)) {
                    Some(Ok(set)) => set,
                    Some(Err(broken)) => return Err(broken.clone()),
                    None => &none,
                }
            }
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
        if let Some(table) = before.filter(|table| table.snapshot.hash() == snapshot.hash()) {
            return Ok(Arc::clone(table));
        }
        let table = Table::new(Arc::clone(snapshot), environment, before.map(|table| &**table))?;
        let table = Arc::new(table);
        tables.insert(environment.clone(), Arc::clone(&table));
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
    /// The revision they are of.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.table.snapshot.revision()
    }

    /// The keys of all flags, in no order.
    pub fn keys(&self) -> impl Iterator<Item = &EntryPath> {
        self.table.slots.keys()
    }

    /// The compiled flag of a key.
    ///
    /// # Errors
    /// [`Failure`]: [`Code::FlagNotFound`], or [`Code::Parse`] for one that does not open or is none.
    pub fn get(&self, key: &str) -> Result<&Flag, Failure<'_>> {
        match self.table.flag(key) {
            Some(Ok(flag)) => Ok(flag),
            Some(Err(broken)) => Err(Failure {
                code: Code::Parse,
                detail: broken,
                metadata: nothing(),
            }),
            None => Err(Failure {
                code: Code::FlagNotFound,
                detail: "there is no such flag",
                metadata: nothing(),
            }),
        }
    }

    /// What a flag is for a context, whatever its type.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn evaluate<'a>(&'a self, key: &str, context: &'a Context) -> Result<Evaluation<'a>, Failure<'a>> {
        let flag = self.get(key)?;
        let now = if flag.tells_time() {
            self.ambient.now().0 / 1000
        } else {
            0
        };
        flag.evaluate(context, now)
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

/// The metadata of a flag that is not there.
fn nothing() -> &'static Map<String, Value> {
    static NOTHING: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    &NOTHING
}
