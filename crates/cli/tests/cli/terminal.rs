//! At a terminal: questions are asked, hidden text stays hidden, secrets are not splashed about.

use crate::desk::{BINARY, CANARY, Desk};
use crate::pty::Pty;

#[test]
fn a_value_is_asked_for_without_echo_and_the_plan_is_confirmed() {
    let desk = Desk::new();
    let mut pty = Pty::start(&desk, "put prod web/a");
    pty.answer_hidden("Value of prod web/a: ", CANARY);
    pty.expect("+ ");
    pty.answer("Commit this? [y/N]", "y");
    let (code, screen) = pty.end();
    assert_eq!(code, 0, "{screen}");
    assert!(!screen.contains(CANARY), "the value was echoed: {screen}");
    assert!(screen.contains("prod web/a  (secret) new, version 1"), "{screen}");
    assert_eq!(
        desk.ok(["get", "prod", "web/a"]),
        CANARY,
        "typed text has no newline"
    );
}

#[test]
fn no_is_the_default_answer() {
    let desk = Desk::new();
    desk.put("prod", "a", "1");
    let mut pty = Pty::start(&desk, "delete prod a");
    pty.answer("Commit this? [y/N]", "");
    let (code, screen) = pty.end();
    assert_eq!(code, 1, "{screen}");
    assert!(screen.contains("nothing was changed"));
    assert_eq!(desk.ok(["get", "prod", "a"]), "1");
    let (code, screen) = Pty::start(&desk, "delete prod a --yes").end();
    assert_eq!(code, 0, "{screen}");
    desk.run(["get", "prod", "a"]).refused(1, "there is no entry");
}

#[test]
fn a_terminal_gets_a_newline_and_colours_and_no_control_characters() {
    let desk = Desk::new();
    desk.put("prod", "a", "value");
    desk.put("prod", "bell", "x\u{1b}]0;title\u{7}");
    let (code, screen) = Pty::start(&desk, "get prod a").end();
    assert_eq!((code, screen.as_str()), (0, "value\r\n"));
    let (code, screen) = Pty::start(&desk, "get prod bell").end();
    assert_eq!(code, 1, "{screen}");
    assert!(
        screen.contains("control characters") && !screen.contains('\u{7}'),
        "{screen}"
    );
    let (_, screen) = Pty::start_with(&desk, "history", |command| {
        command.env("TERM", "xterm");
    })
    .end();
    assert!(screen.contains("\u{1b}[1mrevision"), "{screen:?}");
    let (_, screen) = Pty::start_with(&desk, "history", |command| {
        command.env("TERM", "xterm").env("NO_COLOR", "1");
    })
    .end();
    assert!(!screen.contains('\u{1b}'), "{screen:?}");
}

#[test]
fn secrets_are_not_exported_to_a_terminal() {
    let desk = Desk::new();
    desk.put("prod", "a", CANARY);
    let (code, screen) = Pty::start(&desk, "export prod").end();
    assert_eq!(code, 1, "{screen}");
    assert!(!screen.contains(CANARY) && screen.contains("--yes"), "{screen}");
    let (code, screen) = Pty::start(&desk, "export prod --yes").end();
    assert_eq!((code, screen.as_str()), (0, format!("A={CANARY}\r\n").as_str()));
    desk.feed(
        ["put", "prod", "b", "--kind", "config", "--format", "text"],
        "plain",
    )
    .ok();
    let (code, _) = Pty::start(&desk, "export prod --kind config").end();
    assert_eq!(code, 0);
}

#[test]
fn a_passphrase_is_chosen_twice_and_asked_for_on_use() {
    let desk = Desk::bare();
    let mut pty = Pty::start(&desk, "init --admin alice");
    pty.answer_hidden("New passphrase", CANARY);
    pty.answer_hidden("The same again", CANARY);
    let (code, screen) = pty.end();
    assert_eq!(code, 0, "{screen}");
    assert!(!screen.contains(CANARY));
    let mut pty = Pty::start(&desk, "member list");
    pty.answer_hidden("Passphrase of", CANARY);
    let (code, screen) = pty.end();
    assert_eq!(code, 0, "{screen}");
    assert!(screen.contains("alice") && !screen.contains(CANARY));
    let mut pty = Pty::start(&desk, "member list");
    pty.answer_hidden("Passphrase of", "something else");
    let (code, screen) = pty.end();
    assert_eq!(code, 3, "{screen}");
    assert!(screen.contains("does not open identity file"));
}

#[test]
fn a_weak_or_mistyped_passphrase_is_refused_and_an_empty_one_is_made_up() {
    let desk = Desk::bare();
    let mut pty = Pty::start(&desk, "identity new id");
    pty.answer_hidden("New passphrase", "short");
    let (code, screen) = pty.end();
    assert_eq!(code, 1, "{screen}");
    assert!(screen.contains("shorter than 12"));
    // Six characters in twelve bytes.
    let mut pty = Pty::start(&desk, "identity new id");
    pty.answer_hidden("New passphrase", "éééééé");
    let (code, screen) = pty.end();
    assert_eq!(code, 1, "{screen}");
    assert!(screen.contains("shorter than 12"));
    let mut pty = Pty::start(&desk, "identity new id");
    pty.answer_hidden("New passphrase", "long enough, surely");
    pty.answer_hidden("The same again", "long enough, surly");
    let (code, screen) = pty.end();
    assert_eq!(code, 1, "{screen}");
    assert!(screen.contains("differ") && !desk.file("id").exists());
    let mut pty = Pty::start(&desk, "identity new id");
    pty.answer_hidden("New passphrase", "");
    let (code, screen) = pty.end();
    assert_eq!(code, 0, "{screen}");
    let made = screen
        .split("The passphrase is  ")
        .nth(1)
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap()
        .to_owned();
    assert_eq!(made.len(), 29, "{made}");
    let mut pty = Pty::start(&desk, "identity show id");
    pty.answer_hidden("Passphrase of", &made);
    let (code, screen) = pty.end();
    assert!(code == 0 && screen.contains("age1"), "{screen}");
}

#[test]
fn a_passphrase_is_not_made_up_into_a_file() {
    let desk = Desk::bare();
    let mut pty = Pty::start(&desk, "identity new id 2>said");
    pty.answer_hidden("New passphrase", "");
    let (code, screen) = pty.end();
    assert_eq!(code, 2, "{screen}");
    let said = std::fs::read_to_string(desk.file("said")).unwrap();
    assert!(
        said.contains("no terminal") && !said.contains("The passphrase is"),
        "{said}"
    );
    assert!(!desk.file("id").exists());
}

#[test]
fn an_interrupted_question_leaves_the_terminal_as_it_was() {
    let desk = Desk::bare();
    let mut pty = Pty::shell(
        &desk,
        &format!("{BINARY} identity new id; echo ended $?; stty -a"),
        |_| {},
    );
    pty.press_hidden("New passphrase", "\u{3}");
    let (_, screen) = pty.end();
    assert!(screen.contains("ended 130"), "{screen}");
    assert!(
        screen.contains(" echo ") && !screen.contains("-echo "),
        "{screen}"
    );
    assert!(!desk.file("id").exists());
}

#[test]
fn ctrl_c_still_ends_a_command_that_asked_for_a_passphrase() {
    let desk = Desk::bare();
    let mut pty = Pty::start(&desk, "init --admin alice");
    pty.answer_hidden("New passphrase", CANARY);
    pty.answer_hidden("The same again", CANARY);
    assert_eq!(pty.end().0, 0);
    let mut pty = Pty::start(&desk, "watch");
    pty.answer_hidden("Passphrase of", CANARY);
    pty.press("watching sqlite:", "\u{3}");
    assert_eq!(pty.end().0, 130);
    let mut pty = Pty::start(&desk, "environment add prod --yes");
    pty.answer_hidden("Passphrase of", CANARY);
    assert_eq!(pty.end().0, 0);
    // A command of its own decides: it hears Ctrl-C and ends with a code of its choice.
    let mut pty = Pty::start(
        &desk,
        "run prod -- sh -c 'trap \"exit 9\" INT; echo waiting; while :; do sleep 0.1; done'",
    );
    pty.answer_hidden("Passphrase of", CANARY);
    pty.press("waiting", "\u{3}");
    let (code, screen) = pty.end();
    assert_eq!(code, 9, "{screen}");
}

#[test]
fn ctrl_c_at_the_question_of_edit_wipes_the_text() {
    let desk = Desk::new();
    desk.put("prod", "a", CANARY);
    let seen = desk.file("seen");
    let file = desk.write(
        "ed.sh",
        format!(
            "#!/bin/sh\nprintf '%s' \"$1\" > {}; echo more >> \"$1\"\n",
            seen.display()
        ),
    );
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut pty = Pty::start_with(&desk, "edit prod a", |command| {
        command.env("EDITOR", &file);
    });
    pty.press("Commit this?", "\u{3}");
    assert_eq!(pty.end().0, 130);
    let edited = std::fs::read_to_string(&seen).unwrap();
    assert!(!std::path::Path::new(&edited).parent().unwrap().exists());
    assert_eq!(desk.json(["show", "prod", "a"])["version"], 1);
}

#[test]
fn a_question_that_nobody_sees_is_not_taken_for_a_yes() {
    let desk = Desk::new();
    desk.put("prod", "a", "1");
    let (code, _) = Pty::start(&desk, "delete prod a 2>said").end();
    assert_eq!(code, 2);
    assert!(
        std::fs::read_to_string(desk.file("said"))
            .unwrap()
            .contains("--yes")
    );
    assert_eq!(desk.ok(["get", "prod", "a"]), "1");
}
