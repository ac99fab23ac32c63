//! Names in a template's text: owns telling what the text itself says from what was computed.

/// The line, from 1, of the first expression or statement that has the word `name`.
pub(super) fn line_of(text: &str, name: &str) -> usize {
    let mut from = 0;
    while let Some(begin) = find(text, from, "{{")
        .into_iter()
        .chain(find(text, from, "{%"))
        .min()
    {
        let end = find(text, begin, "}}")
            .into_iter()
            .chain(find(text, begin, "%}"))
            .min();
        let end = end.unwrap_or(text.len());
        let inside = text.get(begin..end).unwrap_or_default();
        if let Some(at) = word(inside, name) {
            return line_at(text, begin.saturating_add(at));
        }
        from = end.max(begin.saturating_add(2));
    }
    1
}

fn find(text: &str, from: usize, mark: &str) -> Option<usize> {
    let at = text.get(from..)?.find(mark)?;
    Some(from.saturating_add(at))
}

fn word(text: &str, name: &str) -> Option<usize> {
    let is_letter = |letter: char| letter.is_alphanumeric() || letter == '_';
    let hit = text.match_indices(name).find(|(at, _)| {
        let before = text.get(..*at).and_then(|before| before.chars().next_back());
        let after = text.get(at.saturating_add(name.len())..);
        let after = after.and_then(|after| after.chars().next());
        !before.is_some_and(is_letter) && !after.is_some_and(is_letter)
    });
    hit.map(|(at, _)| at)
}

fn line_at(text: &str, at: usize) -> usize {
    let before = text.get(..at).unwrap_or_default();
    before.matches('\n').count().saturating_add(1)
}

/// Whether the text has `name` as a literal: in quotes, or after a point.
pub(super) fn is_written(text: &str, name: &str) -> bool {
    let follows_point = |at: usize| text.get(..at).is_some_and(|before| before.ends_with('.'));
    text.contains(&format!("\"{name}\""))
        || text.contains(&format!("'{name}'"))
        || text.match_indices(name).any(|(at, _)| follows_point(at))
}

/// The word of an engine's message that stands in the text after a `|`, an `is` or a point.
pub(super) fn named_in(text: &str, message: &str) -> Option<String> {
    let is_letter = |letter: char| letter.is_alphanumeric() || letter == '_';
    let mut words = message
        .split(|letter| !is_letter(letter))
        .filter(|word| !word.is_empty());
    words
        .find(|word| {
            text.match_indices(*word).any(|(at, _)| {
                let before = text.get(..at).unwrap_or_default().trim_end();
                before.ends_with(['|', '.']) || before.ends_with(" is") || before.ends_with(" not")
            })
        })
        .map(str::to_owned)
}
