//! A start on a revision of which the settings' templates and documents cannot be made: owns serving the
//! sealed copy of the last good one instead. It must not know what follows.

use std::sync::Arc;

use crate::error::StartError;
use crate::source::{Opened, Source, Unusable};
use crate::state::State;
use crate::unserved;

/// Serves the sealed copy when what `opened` has cannot be made and the copy's can. Without one the store's
/// revision is served, and those for whom it cannot be made get nothing.
///
/// # Errors
/// [`StartError`].
pub fn on_copy(state: &Arc<State>, source: &Source, opened: &mut Opened) -> Result<(), StartError> {
    if opened.instead_of.is_some() {
        return Ok(());
    }
    let current = Arc::clone(&state.current());
    let Err(error) = unserved::check_made(state, &current) else {
        return Ok(());
    };
    let reason: Arc<str> = error.to_string().into();
    let good = source.copy()?.and_then(|copy| {
        let next = current.next(&copy.snapshot(), None, None, Some(reason)).ok()?;
        unserved::check_made(state, &next).is_ok().then_some((copy, next))
    });
    match good {
        Some((copy, next)) => {
            state.replace_vault(Arc::clone(&copy));
            state.serve(next);
            opened.vault = copy;
            opened.instead_of = Some(Unusable::Unserved(error));
        }
        None => state.makings().lose(),
    }
    Ok(())
}
