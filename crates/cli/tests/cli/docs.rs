//! The reference `docs/cli.md` names every command and every option that `--help` has, and under a
//! command no option that this very command has not.

use std::collections::BTreeSet;

use crate::desk::Desk;

/// The commands listed in a help text.
fn commands(help: &str) -> Vec<String> {
    let listed = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty());
    listed
        .filter(|line| line.starts_with("  ") && !line.starts_with("    "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

/// The long options defined in a help text.
fn options(help: &str) -> BTreeSet<String> {
    help.lines()
        .take_while(|line| !line.starts_with("Example"))
        .map(str::trim_start)
        .filter(|line| line.starts_with('-') || line.starts_with("[alias"))
        .flat_map(|line| line.split([' ', ',', '=']))
        .filter(|word| word.starts_with("--") && !word.starts_with("---") && word.len() > 2)
        .map(|word| word.trim_end_matches(['.', ',', ']']).to_owned())
        .collect()
}

fn walk(desk: &Desk, path: &[String], found: &mut Vec<(String, BTreeSet<String>)>) {
    let mut arguments = path.to_vec();
    arguments.push("--help".to_owned());
    let help = desk.ok(&arguments);
    found.push((path.join(" "), options(&help)));
    for command in commands(&help) {
        walk(desk, &[path, &[command]].concat(), found);
    }
}

/// The long options that a text names.
fn named(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'))
        .filter(|word| word.starts_with("--") && !word.starts_with("---") && word.len() > 2)
}

/// Options that the section of a command names and that it has not. Code that begins with the name
/// of another command is about that one.
fn invented(section: &str, command: &str, found: &[(String, BTreeSet<String>)]) -> Vec<String> {
    let of = |command: &str| &found.iter().find(|(name, _)| name == command).unwrap().1;
    let mut invented = Vec::new();
    for (index, piece) in section.split('`').enumerate() {
        let code = piece.strip_prefix("strongroom ").unwrap_or(piece);
        let meant = found
            .iter()
            .map(|(name, _)| name.as_str())
            .filter(|name| index % 2 == 1 && !name.is_empty())
            .filter(|name| code.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')))
            .max_by_key(|name| name.len())
            .unwrap_or(command);
        let unknown = named(piece).filter(|option| !of(meant).contains(*option));
        invented.extend(unknown.map(|option| format!("{meant} {option}")));
    }
    invented
}

#[test]
fn the_reference_is_complete_and_true() {
    let desk = Desk::bare();
    let mut found = Vec::new();
    walk(&desk, &[], &mut found);
    assert!(found.len() > 25, "only {} commands were found", found.len());
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/cli.md")).unwrap();
    let global = found[0].1.clone();
    let (mut missing, mut untrue) = (Vec::new(), Vec::new());
    for (command, options) in &found {
        let heading = if command.is_empty() {
            "## Options of every command".to_owned()
        } else {
            format!("### `{command}`")
        };
        let Some((_, rest)) = page.split_once(&format!("{heading}\n")) else {
            missing.push(heading);
            continue;
        };
        // The options of every command are spread over the page, before the commands.
        let section = match command.as_str() {
            "" => page.as_str(),
            _ => rest.split("\n##").next().unwrap_or_default(),
        };
        for option in options
            .iter()
            .filter(|option| command.is_empty() || !global.contains(*option))
        {
            if !section.contains(&format!("`{option}`"))
                && !section.contains(&format!("`{option} "))
                && !section.contains(&format!(" {option}`"))
            {
                missing.push(format!("{command} {option}"));
            }
        }
        if !command.is_empty() {
            untrue.extend(invented(section, command, &found));
        }
    }
    assert!(missing.is_empty(), "docs/cli.md lacks {missing:#?}");
    assert!(
        untrue.is_empty(),
        "docs/cli.md names what is not there: {untrue:#?}"
    );
    let preface = page.split("\n### ").next().unwrap_or_default();
    let all: BTreeSet<&str> = found
        .iter()
        .flat_map(|(_, options)| options)
        .map(String::as_str)
        .collect();
    let unknown: Vec<&str> = named(preface).filter(|option| !all.contains(option)).collect();
    assert!(
        unknown.is_empty(),
        "docs/cli.md names options that are not there: {unknown:?}"
    );
}
