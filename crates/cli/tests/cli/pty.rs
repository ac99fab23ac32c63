//! A real terminal, made by script(1): owns typing when a question is there and reading all that
//! a person would see. It must not know what a test asserts.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::desk::{BINARY, Desk};

const PATIENCE: Duration = Duration::from_secs(30);

/// A program on a terminal.
pub(crate) struct Pty {
    child: Child,
    /// The file that the terminal's name was written into.
    terminal: PathBuf,
    keyboard: ChildStdin,
    screen: Arc<Mutex<Vec<u8>>>,
    reader: Option<std::thread::JoinHandle<()>>,
}

impl Pty {
    /// Starts `strongroom LINE` on a terminal of its own.
    pub(crate) fn start(desk: &Desk, line: &str) -> Self {
        Self::start_with(desk, line, |_| {})
    }

    pub(crate) fn start_with(desk: &Desk, line: &str, prepare: impl FnOnce(&mut Command)) -> Self {
        // No shell stays in between: Ctrl-C would end it too.
        Self::shell(desk, &format!("exec {BINARY} {line}"), prepare)
    }

    /// Starts a shell on a terminal of its own.
    pub(crate) fn shell(desk: &Desk, script: &str, prepare: impl FnOnce(&mut Command)) -> Self {
        let terminal = desk.file("home/terminal");
        let script = format!("tty > {}; {script}", terminal.display());
        let mut command = desk.other("script");
        command
            .args([
                "--quiet",
                "--return",
                "--flush",
                "--command",
                &script,
                "/dev/null",
            ])
            .env("TERM", "dumb")
            .env("SHELL", "/bin/sh")
            .stdin(Stdio::piped());
        prepare(&mut command);
        let mut child = command.spawn().expect("script(1) of util-linux is installed");
        let keyboard = child.stdin.take().unwrap();
        let mut out = child.stdout.take().unwrap();
        let screen = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&screen);
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count) = out.read(&mut buffer) {
                if count == 0 {
                    break;
                }
                seen.lock().unwrap().extend_from_slice(&buffer[..count]);
            }
        });
        Self {
            child,
            terminal,
            keyboard,
            screen,
            reader: Some(reader),
        }
    }

    /// All that was shown so far.
    pub(crate) fn screen(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock().unwrap()).into_owned()
    }

    /// Waits until `words` were shown.
    pub(crate) fn expect(&mut self, words: &str) {
        self.wait(words, |pty| pty.screen().contains(words));
    }

    /// Waits for a question, then types an answer and Enter.
    pub(crate) fn answer(&mut self, question: &str, text: &str) {
        self.press(question, &format!("{text}\r"));
    }

    /// The same for a question that hides what is typed: waits until the echo is off, too.
    pub(crate) fn answer_hidden(&mut self, question: &str, text: &str) {
        self.press_hidden(question, &format!("{text}\r"));
    }

    pub(crate) fn press_hidden(&mut self, question: &str, keys: &str) {
        self.expect(question);
        self.wait("the echo to be off", |pty| pty.stty().contains("-echo "));
        self.press(question, keys);
    }

    /// The settings of the terminal.
    fn stty(&self) -> String {
        let terminal = std::fs::read_to_string(&self.terminal).unwrap_or_default();
        let settings = Command::new("stty")
            .args(["-a", "-F", terminal.trim()])
            .output()
            .unwrap();
        String::from_utf8_lossy(&settings.stdout).into_owned()
    }

    fn wait(&self, what: &str, is: impl Fn(&Self) -> bool) {
        let begin = Instant::now();
        while !is(self) {
            assert!(begin.elapsed() < PATIENCE, "waited for {what}: {}", self.screen());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits for words, then presses keys.
    pub(crate) fn press(&mut self, words: &str, keys: &str) {
        self.expect(words);
        self.keyboard.write_all(keys.as_bytes()).unwrap();
        self.keyboard.flush().unwrap();
    }

    /// Waits for the end: the exit code and all that was shown.
    pub(crate) fn end(mut self) -> (i32, String) {
        let begin = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(begin.elapsed() < PATIENCE, "it does not end: {}", self.screen());
            std::thread::sleep(Duration::from_millis(20));
        };
        self.reader.take().unwrap().join().unwrap();
        (status.code().unwrap_or(-1), self.screen())
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
