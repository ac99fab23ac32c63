//! Feature flags in flagd's format: owns reading definitions and sets, compiling them once, and evaluating them
//! for a context, exactly as flagd does. It must not know stores, environments or clocks.
//!
//! ```
//! use strongroom_core::flag::{Context, Flag, Set};
//!
//! let set = Set::default();
//! let flag = br#"{"state":"ENABLED","variants":{"on":true,"off":false},"defaultVariant":"off",
//!     "targeting":{"if":[{"ends_with":[{"var":"email"},"@example.org"]},"on"]}}"#;
//! let flag = Flag::parse("new-checkout", flag, &set)?;
//! let context: Context = [("email".to_owned(), "ada@example.org".into())].into_iter().collect();
//! let now = 1_700_000_000;
//! let on = flag.evaluate(&context, now).and_then(|evaluation| evaluation.bool());
//! assert_eq!(on.ok().and_then(|details| details.value), Some(true));
//! # Ok::<(), strongroom_core::flag::FlagError>(())
//! ```

mod cbor;
mod compiled;
mod definition;
mod document;
mod error;
mod evaluation;
mod explain;
mod joined;
mod json;
mod lint;
mod murmur;
mod rollout;
mod rule;
mod set;

pub use compiled::{Context, Flag};
pub use definition::{Definition, default_text};
pub use document::Document;
pub use error::{Code, Failure, FlagError};
pub use evaluation::{Chosen, Details, Evaluation, Reason};
pub use explain::{Explained, explain};
pub use joined::Joined;
pub use lint::{Finding, lint};
pub use rollout::{Rollout, RolloutError, Step};
pub use rule::MAX_WORK;
pub use set::{Bucketing, Set};
