//! A command on a terminal, made by script(1): keys reach it once, and stopping it stops the job.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Stdio};

use strongroom_tests::wait;

use crate::stage::{Stage, reads};

/// A terminal of its own with `strongroom-run` on it; no shell stays in between.
fn on_terminal(stage: &Stage, arguments: &str) -> Child {
    let run = env!("CARGO_BIN_EXE_strongroom-run");
    terminal(
        stage,
        &format!("exec {run} --socket web/sidecar.sock {arguments}"),
    )
}

/// A terminal of its own, with a shell that runs `line`.
fn terminal(stage: &Stage, line: &str) -> Child {
    let mut command = stage.scene.command("script");
    command
        .args(["--quiet", "--return", "--flush", "--command", line, "/dev/null"])
        .env("SHELL", "/bin/sh")
        .stdin(Stdio::piped())
        .stdout(Stdio::null());
    command.spawn().expect("script(1) of util-linux is installed")
}

fn press(terminal: &mut Child, keys: &str) {
    let keyboard = terminal.stdin.as_mut().unwrap();
    keyboard.write_all(keys.as_bytes()).unwrap();
    keyboard.flush().unwrap();
}

fn code(mut terminal: Child) -> Option<i32> {
    wait::until("the terminal's end", || terminal.try_wait().unwrap()).code()
}

/// What a shell writes as `$$` when it is up.
fn pid(file: &Path) -> String {
    wait::until("the command is up", || {
        let text = fs::read_to_string(file).ok()?;
        text.ends_with('\n').then(|| text.trim().to_owned())
    })
}

fn field(pid: &str, name: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_default().trim().to_owned()
}

#[test]
fn ctrl_c_reaches_the_command_once_and_its_exit_is_passed_on() {
    let stage = Stage::new();
    let _sidecar = stage.sidecar();
    let script = "trap 'echo int >> log' INT; echo $$ > pid; n=0; while [ $n -lt 40 ]; do sleep 0.05; n=$((n+1)); done; exit 6";
    let mut terminal = on_terminal(&stage, &format!("-- sh -c \"{}\"", script.replace('$', "\\$")));
    pid(&stage.file("pid"));
    press(&mut terminal, "\x03");
    reads(&stage.file("log"), "int\n");
    assert_eq!(code(terminal), Some(6));
    // a second one would have come by now
    reads(&stage.file("log"), "int\n");
}

#[test]
fn the_command_reads_the_terminal_and_ends_with_it() {
    let stage = Stage::new();
    let _sidecar = stage.sidecar();
    let mut asked = on_terminal(&stage, "-- sh -c 'echo up > up; read line; echo got $line > got'");
    reads(&stage.file("up"), "up\n");
    press(&mut asked, "words\r");
    reads(&stage.file("got"), "got words\n");
    assert_eq!(code(asked), Some(0));

    let mut interrupted = on_terminal(&stage, "-- sh -c 'echo $$ > pid; exec sleep 600'");
    let inner = pid(&stage.file("pid"));
    wait::until("it is the program itself", || {
        (field(&inner, "Name:") == "sleep").then_some(())
    });
    press(&mut interrupted, "\x03");
    assert_eq!(code(interrupted), Some(130));
}

#[test]
fn ctrl_z_stops_the_whole_job_and_the_shell_takes_it_up_again() {
    let stage = Stage::new();
    let _sidecar = stage.sidecar();
    let mut shell = terminal(&stage, "exec bash --norc --noprofile -i");
    let run = env!("CARGO_BIN_EXE_strongroom-run");
    let line = format!("{run} --socket web/sidecar.sock -- sh -c 'echo $$ > pid; exec sleep 600'\r");
    press(&mut shell, &line);
    let inner = pid(&stage.file("pid"));
    let outer = field(&inner, "PPid:");
    press(&mut shell, "\x1a");
    for pid in [&inner, &outer] {
        wait::until("it is stopped", || {
            field(pid, "State:").starts_with('T').then_some(())
        });
    }
    press(&mut shell, "echo back > back\r");
    reads(&stage.file("back"), "back\n");
    press(&mut shell, "fg\r");
    for pid in [&inner, &outer] {
        wait::until("it goes on", || {
            field(pid, "State:").starts_with('S').then_some(())
        });
    }
    press(&mut shell, "\x03");
    wait::until("Ctrl-C ends it", || {
        field(&inner, "State:").is_empty().then_some(())
    });
    press(&mut shell, "echo $? > code; exit 0\r");
    assert_eq!(code(shell), Some(0));
    reads(&stage.file("code"), "130\n");
}
