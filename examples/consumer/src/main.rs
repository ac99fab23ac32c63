//! An application that follows one secret, by socket and by file, or one flag, with no library of ours: HTTP
//! on a Unix socket and inotify are all it takes, in any language.
//!
//! `consumer SOCKET PATH DIRECTORY FILE` prints a line for each new value: how it came, the time in
//! nanoseconds since 1970, and the value. An application would hand the value to its connection
//! pool instead; a secret does not belong into a log. `consumer SOCKET --flag KEY` prints what a flag is here, whenever
//! it is something else.
#![allow(clippy::print_stdout, reason = "the example's purpose")]

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::mem::MaybeUninit;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::inotify;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [socket, option, key] = arguments.as_slice()
        && option == "--flag"
    {
        flag(Path::new(socket), key)
    }
    let [socket, path, directory, file] = arguments.as_slice() else {
        return Err("usage: consumer SOCKET PATH DIRECTORY FILE, or consumer SOCKET --flag KEY".into());
    };
    thread::scope(|scope| {
        scope.spawn(|| by_socket(Path::new(socket), path));
        scope.spawn(|| by_file(Path::new(directory), file));
    });
    Ok(())
}

/// Says that `value` is here now, if it is another one than before.
fn got(way: &str, value: Vec<u8>, before: &mut Vec<u8>) {
    if value != *before {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        println!("{way} {} {}", now.as_nanos(), String::from_utf8_lossy(&value));
        *before = value;
    }
}

/// The event stream says that there is a new revision; the value is then asked for. A stream that
/// ends is opened again: the first event of a stream comes at once, so nothing is missed.
fn by_socket(socket: &Path, path: &str) {
    let mut before = Vec::new();
    loop {
        let events = get(socket, "/api/v1/watch");
        for line in events
            .into_iter()
            .flat_map(|(_, body)| body.lines())
            .map_while(Result::ok)
        {
            if !line.starts_with("data:") {
                continue;
            }
            let mut value = Vec::new();
            let answer = get(socket, &format!("/api/v1/secrets/{path}"));
            if let Ok((version, mut body)) = answer
                && body.read_to_end(&mut value).is_ok()
            {
                got("socket", value, &mut before);
                // it is in use from here on: a rotation need not wait for this one any more; who is not
                // allowed to say so goes on without
                let _ = confirm(socket, path, &version);
            }
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// What a flag is here, by the OpenFeature Remote Evaluation Protocol. Its stream says when to ask again, but not
/// what was missed before it was opened: so it is asked once it is.
fn flag(socket: &Path, key: &str) -> ! {
    let mut before = Vec::new();
    loop {
        if let Ok((_, events)) = get(socket, "/ofrep/v1/events") {
            let mut ask = || {
                if let Ok(value) = evaluate(socket, key) {
                    got("flag", value, &mut before);
                }
            };
            ask();
            for line in events.lines().map_while(Result::ok) {
                if line.starts_with("data:") {
                    ask();
                }
            }
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// The answer to one evaluation, as JSON. Who asks is known: an empty context is enough for rules about that.
fn evaluate(socket: &Path, key: &str) -> std::io::Result<Vec<u8>> {
    let mut stream = UnixStream::connect(socket)?;
    write!(
        stream,
        "POST /ofrep/v1/evaluate/flags/{key} HTTP/1.0\r\nhost: localhost\r\ncontent-length: 2\r\n\r\n{{}}"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.split(' ').nth(1) == Some("200") => Ok(body.into()),
        _ => Err(std::io::Error::other("the sidecar did not evaluate the flag")),
    }
}

/// Says that `version` is in use.
fn confirm(socket: &Path, path: &str, version: &str) -> std::io::Result<()> {
    let body = format!("{{\"path\":\"{path}\",\"version\":{version}}}");
    let mut stream = UnixStream::connect(socket)?;
    let length = body.len();
    write!(
        stream,
        "POST /api/v1/confirm HTTP/1.0\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n{body}"
    )?;
    stream.read_to_end(&mut Vec::new())?;
    Ok(())
}

/// Version and body of an answer. HTTP/1.0: the body ends with the connection, there are no chunks to
/// undo.
fn get(socket: &Path, target: &str) -> std::io::Result<(String, impl BufRead + use<>)> {
    let mut stream = UnixStream::connect(socket)?;
    write!(
        stream,
        "GET {target} HTTP/1.0\r\nhost: localhost\r\naccept: application/octet-stream, text/event-stream\r\n\r\n"
    )?;
    let mut answer = BufReader::new(stream);
    let mut line = String::new();
    answer.read_line(&mut line)?;
    if line.split(' ').nth(1) != Some("200") {
        return Err(std::io::Error::other("the sidecar did not answer with a value"));
    }
    let mut version = String::new();
    while line.trim_end() != "" {
        line.clear();
        answer.read_line(&mut line)?;
        if let Some(found) = line.strip_prefix("strongroom-version:") {
            found.trim().clone_into(&mut version);
        }
    }
    Ok((version, answer))
}

/// All files of a revision switch at once, by a rename inside the directory: so the directory is
/// watched, never the file.
fn by_file(directory: &Path, file: &str) {
    let mut before = Vec::new();
    let mut buffer = [MaybeUninit::uninit(); 4096];
    loop {
        let watch = inotify::init(inotify::CreateFlags::CLOEXEC).and_then(|watch| {
            inotify::add_watch(&watch, directory, inotify::WatchFlags::MOVED_TO)?;
            Ok(watch)
        });
        // watching already: what changes from here on is not missed
        let mut read = || {
            if let Ok(value) = std::fs::read(directory.join(file)) {
                got("file", value, &mut before);
            }
        };
        read();
        if let Ok(watch) = &watch {
            let mut events = inotify::Reader::new(watch, &mut buffer);
            while events.next().is_ok() {
                read();
            }
        }
        thread::sleep(Duration::from_millis(50));
    }
}
