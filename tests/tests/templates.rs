//! Templates with real servers as consumers: nginx is reloaded under load and drops no request, Redis and
//! PostgreSQL take new settings while they run.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use strongroom_tests::postgres::Postgres;
use strongroom_tests::scene::Scene;
use strongroom_tests::server::{self, Server};
use strongroom_tests::sidecar::{Settings, Sidecar};
use strongroom_tests::{component, nginx, wait};

/// A store with the document `web`, and the template `template/t`.
fn scene(document: &str, template: &str) -> (Scene, PathBuf) {
    let scene = Scene::with(&["prod"]);
    scene.put("prod", "web/password", "pass\"word 1");
    configure(&scene, document);
    scene.ok_with(
        &["put", "prod", "template/t", "--kind", "config"],
        template.as_bytes(),
    );
    let reader = scene.reader("web", "prod");
    (scene, reader)
}

fn configure(scene: &Scene, document: &str) {
    let put = ["put", "prod", "web", "--kind", "config", "--format", "toml"];
    scene.ok_with(&put, document.as_bytes());
}

fn start(scene: &Scene, reader: &std::path::Path, files: &str) -> Sidecar {
    let settings = Settings::new(scene, "web", reader, "prod");
    Sidecar::start(
        scene,
        &settings.tables(&format!("[[files]]\nderive = false\n{files}")),
    )
}

/// Asks once, on a connection of its own.
fn ask(port: u16) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(wait::PATIENCE))?;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Says that it is done when it goes, also by a panic: who asks until then would go on for ever.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn nginx_is_reloaded_under_load_and_drops_no_request() {
    if !nginx::present("a rendered nginx.conf") {
        return;
    }
    let user = if server::is_root() { "user root;" } else { "" };
    let port = server::free_port();
    let template = format!(
        "{user}\npid {{{{ config('web').run }}}}/nginx.pid;\nerror_log {{{{ config('web').run }}}}/error.log;\n\
         worker_processes {{{{ config('web').workers }}}};\nevents {{}}\nhttp {{\naccess_log off;\n\
         {{% for name in ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'] %}}\n\
         {{{{ name }}}}_temp_path {{{{ config('web').run }}}}/{{{{ name }}}};\n{{% endfor %}}\n\
         server {{\nlisten 127.0.0.1:{port};\nlocation / {{ return 200 {{{{ config('web').answer | json }}}}; }}\n}}\n}}\n"
    );
    let run = tempfile::tempdir().unwrap();
    let document = |number: u32| {
        let (run, workers) = (run.path().display(), 1 + number % 3);
        format!("run = \"{run}\"\nworkers = {workers}\nanswer = \"answer {number}\"\n")
    };
    let (scene, reader) = scene(&document(0), &template);
    let files = format!(
        "directory = \"web/files\"\nnames.\"nginx.conf\" = {{ template = \"template/t\" }}\n\
         on_change = {{ signal = \"HUP\", pidfile = \"{}/nginx.pid\" }}",
        run.path().display()
    );
    let sidecar = start(&scene, &reader, &files);
    let nginx = nginx::start(&scene.file("web/files/nginx.conf"), run.path());
    wait::until("nginx answers", || ask(port).ok());

    let (done, failures) = (AtomicBool::new(false), AtomicU32::new(0));
    let answered = AtomicU32::new(0);
    std::thread::scope(|scope| {
        let _done = Done(&done);
        for _ in 0..3 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let answer = ask(port).unwrap_or_default();
                    let whole = answer.starts_with("HTTP/1.1 200") && answer.contains("\r\n\r\nanswer ");
                    let count = if whole { &answered } else { &failures };
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for number in 1..=8 {
            let before = answered.load(Ordering::Relaxed);
            configure(&scene, &document(number));
            wait::until("nginx answers by the new document", || {
                ask(port)
                    .ok()?
                    .ends_with(&format!("\r\n\r\nanswer {number}"))
                    .then_some(())
            });
            wait::until("requests are answered meanwhile", || {
                (answered.load(Ordering::Relaxed) > before + 20).then_some(())
            });
        }
    });
    assert_eq!(failures.load(Ordering::Relaxed), 0, "of {answered:?}");
    nginx.end(rustix::process::Signal::QUIT);
    assert_eq!(sidecar.terminate(), Some(0));
}

#[test]
fn redis_takes_another_maxmemory_while_it_runs() {
    if !component::present("redis-server", "a rendered redis.conf") {
        return;
    }
    // its own quotes have JSON's escapes
    let template = "port 0\nunixsocket {{ config('web').socket }}\nsave \"\"\nrequirepass {{ secret('web/password') | json }}\n\
                    maxmemory {{ config('web').memory }}\n";
    let run = tempfile::tempdir().unwrap();
    let socket = run.path().join("redis.sock");
    let document = |memory: u64| format!("socket = \"{}\"\nmemory = {memory}\n", socket.display());
    let (scene, reader) = scene(&document(4_000_000), template);
    let set = format!(
        "REDISCLI_AUTH=$(cat web/files/password) redis-cli -e -s {} config set maxmemory $(sed -n \"s/^maxmemory //p\" web/files/redis.conf)",
        socket.display()
    );
    let files = format!(
        "directory = \"web/files\"\nnames.\"redis.conf\" = {{ template = \"template/t\" }}\n\
         names.password = \"web/password\"\non_change = {{ command = [\"sh\", \"-c\", '''{set}'''] }}"
    );
    let sidecar = start(&scene, &reader, &files);
    let mut command = Command::new("redis-server");
    command
        .arg(scene.file("web/files/redis.conf"))
        .current_dir(run.path());
    let redis = Server::start(&mut command, &run.path().join("log"));
    let told = |words: &[&str]| {
        let output = Command::new("redis-cli")
            .args(["-e", "-s", &socket.display().to_string()])
            .args(words)
            .env("REDISCLI_AUTH", "pass\"word 1")
            .output()
            .unwrap();
        output
            .status
            .success()
            .then(|| String::from_utf8(output.stdout).unwrap())
    };
    let has = |memory: &str| {
        wait::until("Redis has that maxmemory", || {
            told(&["config", "get", "maxmemory"])?
                .ends_with(&format!("\n{memory}\n"))
                .then_some(())
        });
    };
    has("4000000");
    let id = |text: String| {
        text.lines()
            .find(|line| line.starts_with("process_id"))
            .unwrap()
            .to_owned()
    };
    let first = id(told(&["info", "server"]).unwrap());
    for memory in [5_000_000, 6_000_000] {
        configure(&scene, &document(memory));
        has(&memory.to_string());
    }
    assert_eq!(
        id(told(&["info", "server"]).unwrap()),
        first,
        "it was not started again"
    );
    redis.end(rustix::process::Signal::TERM);
    assert_eq!(sidecar.terminate(), Some(0));
}

#[test]
fn postgresql_takes_another_setting_by_a_signal() {
    let Some(postgres) = Postgres::start("a rendered PostgreSQL setting") else {
        return;
    };
    let template = "work_mem = '{{ config('web').work_mem }}'\n";
    let (scene, reader) = scene("work_mem = \"5MB\"\n", template);
    let directory = format!("{}/conf", postgres.socket());
    let owner = if server::is_root() {
        "owner = \"postgres\"\ngroup = \"postgres\"\n"
    } else {
        ""
    };
    let files = format!(
        "directory = \"{directory}\"\n{owner}names.\"app.conf\" = {{ template = \"template/t\" }}\n\
         on_change = {{ signal = \"HUP\", pidfile = \"{}/postmaster.pid\" }}",
        postgres.data().display()
    );
    let mut settings = std::fs::File::options()
        .append(true)
        .open(postgres.data().join("postgresql.conf"))
        .unwrap();
    writeln!(settings, "include_if_exists '{directory}/app.conf'").unwrap();
    let started = postgres.ask("SELECT pg_postmaster_start_time()").unwrap();
    let sidecar = start(&scene, &reader, &files);
    for memory in ["5MB", "6MB", "7MB"] {
        configure(&scene, &format!("work_mem = \"{memory}\"\n"));
        wait::until("PostgreSQL has that work_mem", || {
            (postgres.ask("SHOW work_mem").ok()? == memory).then_some(())
        });
    }
    assert_eq!(
        postgres.ask("SELECT pg_postmaster_start_time()").unwrap(),
        started
    );
    assert_eq!(sidecar.terminate(), Some(0));
}
