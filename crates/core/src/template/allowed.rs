//! What a template may use of the engine: owns the one list of filters, tests and functions, and which care each takes
//! of what it is given. What the engine brings beside them does not exist, so that a newer one adds nothing.

use minijinja::functions::Function;
use minijinja::value::{FunctionArgs, FunctionResult, Kwargs, Rest, Value};
use minijinja::{Environment, Error, State, filters, functions, tests};

use super::care::{self, Care, Charged, careful};
use super::table::Notes;
use super::{filter, list, subscript, text};

/// One filter or test.
struct Word {
    /// All of its names.
    names: &'static [&'static str],
    care: Care,
    function: Value,
}

fn word<F, R, A>(names: &'static [&'static str], care: Care, function: F) -> Word
where
    F: Function<R, A>,
    R: FunctionResult,
    A: for<'a> FunctionArgs<'a>,
{
    Word {
        names,
        care,
        function: Value::from_function(function),
    }
}

/// Gives `environment` all that a template may use beside what it asks a source for.
pub(super) fn add(environment: &mut Environment<'_>, notes: &Notes) {
    care::add(environment, notes);
    subscript::add(environment, notes);
    for word in all_filters(notes) {
        for name in word.names {
            let function = word.function.clone();
            environment.add_filter(*name, careful(function, word.care, Charged::First, notes));
        }
    }
    for word in all_tests(notes) {
        for name in word.names {
            let function = word.function.clone();
            environment.add_test(*name, careful(function, word.care, Charged::Nothing, notes));
        }
    }
    environment.add_function("range", range);
}

fn all_filters(notes: &Notes) -> Vec<Word> {
    let [to, string, join, sum] = std::array::from_fn(|_| notes.clone());
    let mut words = vec![
        word(&["abs"], Care::THERE, filters::abs),
        word(&["attr"], Care::THERE, filters::attr),
        word(&["batch"], Care::THERE, filters::batch),
        word(&["bool"], Care::THERE, filters::bool),
        word(&["capitalize"], Care::WRITTEN, filters::capitalize),
        word(&["chain"], Care::THERE, list::chain),
        // a value that may be missing is not what a later error is about
        word(
            &["default", "d"],
            Care::ANY,
            move |state: &State<'_, '_>, value: &Value, rest: Rest<Value>| {
                to.forget_missed();
                filters::default(state, value, rest)
            },
        ),
        word(&["dictsort"], Care::SORTED_FIRST, filters::dictsort),
        word(&["first"], Care::THERE, filters::first),
        word(&["float"], Care::THERE, filters::float),
        word(&["groupby"], Care::SORTED_FIRST.with_path(), filters::groupby),
        word(&["indent"], Care::WRITTEN_FIRST, text::indent),
        word(&["int"], Care::THERE, filters::int),
        word(&["items"], Care::THERE, filters::items),
        word(
            &["join"],
            Care::THERE,
            move |state: &State<'_, '_>, items: &Value, between: Option<&str>, named: Kwargs| {
                text::join(state, items, between, &named, &join)
            },
        ),
        word(&["last"], Care::WALKED_FIRST, filters::last),
        word(&["length", "count"], Care::THERE, filters::length),
        word(&["lines"], Care::WRITTEN_FIRST, filters::lines),
        word(&["list"], Care::THERE, filters::list),
        word(&["lower"], Care::WRITTEN, filters::lower),
        word(&["map"], Care::THERE, filters::map),
        word(&["max"], Care::COMPARED_FIRST, filters::max),
        word(&["min"], Care::COMPARED_FIRST, filters::min),
        word(&["reject"], Care::THERE, filters::reject),
        word(&["rejectattr"], Care::THERE.with_path(), filters::rejectattr),
        word(&["replace"], Care::WRITTEN, text::replace),
        word(&["reverse"], Care::WALKED_FIRST, filters::reverse),
        word(&["round"], Care::THERE, filters::round),
        word(&["select"], Care::THERE, filters::select),
        word(&["selectattr"], Care::THERE.with_path(), filters::selectattr),
        word(&["slice"], Care::THERE, filters::slice),
        word(&["sort"], Care::COMPARED_FIRST, filters::sort),
        word(&["split"], Care::WRITTEN_FIRST, filters::split),
        word(&["string"], Care::THERE, move |value: &Value| {
            text::of(value, &string)
        }),
        word(
            &["sum"],
            Care::THERE.with_path(),
            move |state: &State<'_, '_>,
                  items: Value,
                  attribute: Option<&str>,
                  start: Option<Value>,
                  named: Kwargs| { list::sum(state, items, attribute, start, named, &sum) },
        ),
        word(&["title"], Care::WRITTEN, filters::title),
        word(&["trim"], Care::WRITTEN, text::trim),
        word(&["unique"], Care::COMPARED_FIRST, filters::unique),
        word(&["upper"], Care::WRITTEN, filters::upper),
        word(&["zip"], Care::THERE, list::zip),
    ];
    words.extend(filter::FORMATS.iter().map(|format| Word {
        names: std::slice::from_ref(&format.name),
        care: Care::THERE,
        function: format.filter(notes),
    }));
    words
}

fn all_tests(notes: &Notes) -> Vec<Word> {
    let [defined, undefined] = std::array::from_fn(|_| notes.clone());
    vec![
        word(&["boolean"], Care::ANY, tests::is_boolean),
        word(&["defined"], Care::ANY, move |value: &Value| {
            defined.forget_missed();
            tests::is_defined(value)
        }),
        word(&["divisibleby"], Care::ANY, list::is_divisible),
        word(&["endingwith"], Care::WRITTEN, tests::is_endingwith),
        word(&["eq", "equalto", "=="], Care::WEIGHED, tests::is_eq),
        word(&["even"], Care::ANY, tests::is_even),
        word(&["false"], Care::ANY, tests::is_false),
        word(&["filter"], Care::ANY, tests::is_filter),
        word(&["float"], Care::ANY, tests::is_float),
        word(&["ge", ">="], Care::WEIGHED, tests::is_ge),
        word(&["gt", "greaterthan", ">"], Care::WEIGHED, tests::is_gt),
        word(&["in"], Care::WEIGHED, tests::is_in),
        word(&["integer", "int"], Care::ANY, tests::is_integer),
        word(&["iterable"], Care::ANY, tests::is_iterable),
        word(&["le", "<="], Care::WEIGHED, tests::is_le),
        word(&["lower"], Care::ANY, tests::is_lower),
        word(&["lt", "lessthan", "<"], Care::WEIGHED, tests::is_lt),
        word(&["mapping"], Care::ANY, tests::is_mapping),
        word(&["ne", "!="], Care::WEIGHED, tests::is_ne),
        word(&["none"], Care::ANY, tests::is_none),
        word(&["number"], Care::ANY, tests::is_number),
        word(&["odd"], Care::ANY, tests::is_odd),
        word(&["sameas"], Care::ANY, tests::is_sameas),
        word(&["sequence"], Care::ANY, tests::is_sequence),
        word(&["startingwith"], Care::WRITTEN, tests::is_startingwith),
        word(&["string"], Care::ANY, tests::is_string),
        word(&["test"], Care::ANY, tests::is_test),
        word(&["true"], Care::ANY, tests::is_true),
        word(&["undefined"], Care::ANY, move |value: &Value| {
            undefined.forget_missed();
            tests::is_undefined(value)
        }),
        word(&["upper"], Care::ANY, tests::is_upper),
    ]
}

/// As the engine has it; its items are charged here, since whoever walks them need not charge for them.
fn range(
    state: &State<'_, '_>,
    lower: isize,
    upper: Option<isize>,
    step: Option<isize>,
) -> Result<Value, Error> {
    let range = functions::range(lower, upper, step)?;
    let items = range.len().unwrap_or_default();
    state.consume_fuel(u64::try_from(items).unwrap_or(u64::MAX))?;
    Ok(range)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod book {
    use std::collections::BTreeSet;

    use super::*;

    /// The names in the row of the book's table that begins with `of`.
    fn documented(of: &str) -> BTreeSet<&'static str> {
        let book = include_str!("../../../../docs/templates.md");
        let begin = format!("| {of} | ");
        let row = book.lines().find_map(|line| line.strip_prefix(&begin)).unwrap();
        row.split('`').skip(1).step_by(2).collect()
    }

    #[test]
    fn the_book_has_every_word_and_no_other() {
        let names = |words: Vec<Word>| -> BTreeSet<&str> {
            let names = words.iter().flat_map(|word| word.names);
            names.copied().collect()
        };
        let notes = Notes::default();
        assert_eq!(names(all_filters(&notes)), documented("filters"));
        assert_eq!(names(all_tests(&notes)), documented("tests"));
        let mut environment = Environment::empty();
        add(&mut environment, &notes);
        let functions: BTreeSet<_> = environment.globals().map(|(name, _)| name).collect();
        assert_eq!(functions, documented("functions"));
    }
}
