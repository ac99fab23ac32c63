//! The settings file: everything wrong at once, never a value, and documentation that is true.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use strongroom_sidecar::reload::Beside;
use strongroom_sidecar::settings::{OnChange, OnFiles, Settings, Surroundings, keys};

const LEAST: &str = "store = \"sqlite:s.db\"\nidentity = \"i\"\nenvironment = \"prod\"\n";
const SOCKET: &str = "[socket]\npath = \"s\"\n";

fn problems(text: &str) -> Vec<(String, String)> {
    let problems = Settings::parse(text).unwrap_err().0;
    problems
        .into_iter()
        .map(|problem| (problem.key, problem.problem))
        .collect()
}

fn keys_of(text: &str) -> Vec<String> {
    problems(text).into_iter().map(|(key, _)| key).collect()
}

#[test]
fn the_least_settings_have_documented_defaults() {
    let around = Surroundings {
        file: "/etc/x/web.toml".into(),
        ..Surroundings::default()
    };
    let settings = Settings::parse_in(&format!("{LEAST}{SOCKET}"), &around).unwrap();
    assert_eq!(settings.store, "sqlite:/etc/x/s.db");
    assert_eq!(settings.identity, Path::new("/etc/x/i"));
    assert_eq!(settings.state, Path::new("/etc/x/web.state"));
    assert_eq!(settings.socket.path, Path::new("/etc/x/s"));
    assert_eq!((settings.socket.mode, settings.socket.group), (0o660, None));
    assert!(settings.offline_copy && settings.files.is_empty() && settings.process.is_none());
    let by_systemd = Surroundings {
        state: Some(PathBuf::from("/var/lib/strongroom/web")),
        ..around
    };
    let settings = Settings::parse_in(&format!("{LEAST}{SOCKET}"), &by_systemd).unwrap();
    assert_eq!(settings.state, Path::new("/var/lib/strongroom/web"));
}

#[test]
fn every_problem_is_told_at_once_and_by_key() {
    let text = "store = 5\nfingerprint = \"xyz\"\nenvironment = \"Prod\"\nnope = 1\n\
        [socket]\nmode = \"0888\"\nallow_uids = [-1]\n\
        [limits]\nworkers = 0\nidle_timeout = \"soon\"\nconnections = \"many\"\n\
        [log]\nlevel = \"loud\"\n[attestation]\nengine = \"tcp://1.2.3.4:2375\"\n\
        [audit]\nnames = \"shouted\"\nkeep = 1\nhead_every_records = 5000\n\
        [[files]]\nprefix = \"/x\"\nowner = \"nobody-of-this-name\"\non_change = \"dance\"\n\
        [[files]]\ndirectory = \"d\"\nnames = { \"a/../b\" = \"x\" }\nsurprise = 1\n\
        [process]\ncommand = []\nenv = { \"1X\" = \"a\", Y = \"//\" }\non_change = { signal = \"NOPE\" }\n";
    let keys = keys_of(text);
    for key in [
        "store",
        "fingerprint",
        "identity",
        "environment",
        "nope",
        "socket.path",
        "socket.mode",
        "socket.allow_uids",
        "limits.workers",
        "limits.idle_timeout",
        "limits.connections",
        "log.level",
        "audit.directory",
        "audit.names",
        "audit.keep",
        "audit.head_every_records",
        "attestation.engine",
        "files[0].directory",
        "files[0].prefix",
        "files[0].owner",
        "files[0].on_change",
        "files[1].surprise",
        "files[1].names, item 1",
        "process.command",
        "process.env, item 1",
        "process.env, item 2",
        "process.on_change",
    ] {
        assert!(
            keys.iter().any(|found| found == key),
            "{key} is missing in {keys:?}"
        );
    }
}

#[test]
fn an_engine_that_is_required_is_given() {
    let text = format!("{LEAST}{SOCKET}[attestation]\nengine_required = true\n");
    assert_eq!(keys_of(&text), ["attestation.engine_required"]);
    let settings = Settings::parse(&format!("{text}engine = \"unix:/e\"\n")).unwrap();
    assert!(settings.attestation.engine_required);
}

#[test]
fn a_problem_never_repeats_what_was_given() {
    let canary = "canary";
    for text in [
        format!("store = \"{canary}:x\""),
        format!("fingerprint = \"{canary}\""),
        format!("environment = \"{canary} {canary}\""),
        format!("{canary} {canary}"),
        format!("store = \"{canary}"),
        format!("\"{canary}=X/{canary}\" = 1"),
        format!("[socket]\nmode = \"{canary}\"\ngroup = \"{canary}\"\nallow_uids = [\"{canary}\"]"),
        format!("[limits]\nidle_timeout = \"{canary}\"\nworkers = \"{canary}\""),
        format!("[[files]]\nprefix = \"{canary}//\"\nowner = \"{canary}\"\non_change = \"{canary}\""),
        format!("[process]\ncommand = \"{canary}\"\nenv = {{ \"{canary} \" = \"{canary}//\" }}"),
        format!("passphrase = \"credential:{canary}\""),
        format!("[audit]\nnames = \"{canary}\"\ndurability = \"{canary}\"\nkeep = \"{canary}\""),
    ] {
        let error = Settings::parse(&text).unwrap_err();
        assert!(!format!("{error}").contains(canary), "{error}");
    }
}

#[test]
fn a_socket_path_is_as_long_as_the_kernel_takes() {
    let with = |length: usize| format!("{LEAST}[socket]\npath = \"/{}\"\n", "x".repeat(length - 1));
    assert!(Settings::parse(&with(107)).is_ok());
    let (key, problem) = problems(&with(108)).remove(0);
    assert_eq!(key, "socket.path");
    assert!(problem.contains("108") && problem.contains("107"), "{problem}");
}

#[test]
fn injections_are_understood() {
    let text = format!(
        "{LEAST}{SOCKET}[[files]]\ndirectory = \"/run/f\"\nowner = \"0\"\ngroup = \"root\"\n\
        on_change = {{ signal = \"SIGUSR1\", pidfile = \"/run/p\" }}\n\
        [[files]]\ndirectory = \"/run/g\"\nderive = false\nnames = {{ \"a/b\" = \"web/a\" }}\non_change = {{ command = [\"x\", \"y\"] }}\n\
        [process]\ncommand = [\"/bin/web\"]\nenv = {{ A = \"web/a\" }}\non_change = {{ signal = \"HUP\" }}\nrestart = \"always\"\n"
    );
    let settings = Settings::parse(&text).unwrap();
    let [first, second] = &*settings.files else {
        panic!("two")
    };
    assert_eq!((first.uid, first.gid, first.mode), (Some(0), Some(0), 0o400));
    assert!(matches!(&first.on_change, OnFiles::Signal { pidfile, .. } if pidfile == Path::new("/run/p")));
    assert_eq!(second.on_change, OnFiles::Command(vec!["x".into(), "y".into()]));
    assert!(!second.selection.derive);
    let process = settings.process.unwrap();
    assert!(matches!(process.on_change, OnChange::Signal(_)));
    let twice = format!("{LEAST}{SOCKET}[[files]]\ndirectory = \"a\"\n[[files]]\ndirectory = \"a\"\n");
    assert_eq!(keys_of(&twice), ["files[1].directory"]);
}

/// The example with every comment that is a setting taken out of its comment.
fn complete_example() -> String {
    let is_setting = |line: &str| {
        let line = line.trim_start_matches("# ");
        line.starts_with('[') || keys::all().any(|key| line.starts_with(&format!("{} = ", key.name)))
    };
    let lines = keys::example();
    let lines = lines.lines().map(|line| {
        if is_setting(line) {
            line.trim_start_matches("# ")
        } else {
            line
        }
    });
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_example_is_valid_as_printed_and_with_every_comment_taken_away() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("web.local.toml"), "size = 1").unwrap();
    let around = Surroundings {
        file: directory.path().join("web.toml"),
        credentials: Some("/run/credentials".into()),
        ..Surroundings::default()
    };
    Settings::parse_in(&keys::example(), &around).unwrap();
    // no machine has the example's users
    let complete = complete_example()
        .replace("\"web\"\n", "\"0\"\n")
        .replace("prefix = \"0\"", "prefix = \"web\"");
    let settings = Settings::parse_in(&complete, &around).unwrap();
    assert!(settings.process.is_some() && settings.files.len() == 1);
    let table: toml::Table = complete.parse().unwrap();
    for key in keys::all() {
        let table = match table.get(key.table) {
            None => &table,
            Some(toml::Value::Array(array)) => array[0].as_table().unwrap(),
            Some(found) => found.as_table().unwrap(),
        };
        assert!(table.contains_key(key.name), "{}.{}", key.table, key.name);
    }
}

#[test]
fn a_documented_default_is_the_one_that_holds() {
    let text = format!(
        "{LEAST}{SOCKET}[[files]]\ndirectory = \"d\"\n[process]\ncommand = [\"c\"]\n[audit]\ndirectory = \"a\"\n\
         [listener]\naddress = \"127.0.0.1:1\"\nflags = [\"f\"]\n"
    );
    let implied = Settings::parse(&text).unwrap();
    let mut table: toml::Table = text.parse().unwrap();
    for key in keys::all() {
        let keys::Absent::Value(value) = key.default else {
            continue;
        };
        let value: toml::Table = format!("x = {value}").parse().unwrap();
        let inner = match key.table {
            "" => &mut table,
            "files" => table["files"].as_array_mut().unwrap()[0].as_table_mut().unwrap(),
            name => table
                .entry(name)
                .or_insert_with(|| toml::Table::new().into())
                .as_table_mut()
                .unwrap(),
        };
        inner.insert(key.name.into(), value["x"].clone());
    }
    assert_eq!(
        Settings::parse(&toml::to_string(&table).unwrap()).unwrap(),
        implied
    );
}

#[test]
fn the_keys_that_need_a_restart_are_those_that_are_documented_so() {
    let base = Settings::parse(&format!("{LEAST}{SOCKET}")).unwrap();
    let other = "store = \"sqlite:o\"\nidentity = \"o\"\nenvironment = \"other\"\npassphrase = \"p\"\nstate = \"o\"\n\
        offline_copy = false\nfingerprint = \"0000000000000000000000000000000000000000000000000000000000000000\"\n\
        [socket]\npath = \"o\"\nmode = \"0600\"\n[limits]\nworkers = 3\nconnections = 3\n\
        [attestation]\nengine = \"unix:/o\"\nengine_timeout = \"3s\"\nengine_required = true\n[log]\nformat = \"json\"\nlevel = \"warn\"\n\
        [audit]\ndirectory = \"o\"\nnames = \"hashed\"\ndurability = \"fsync\"\nrotate_bytes = 65536\n\
        rotate_every = \"1h\"\nkeep = 3\nhead_every_records = 1\nhead_every = \"1s\"\ntimeout = \"2s\"\n\
        syslog = \"o\"\nstdout = true\nevaluations = \"all\"\n\
        [sandbox]\nfiles = false\nsyscalls = \"off\"\n\
        [listener]\naddress = \"127.0.0.1:1\"\nflags = [\"o\"]\norigins = [\"https://o\"]\n";
    let other = Settings::parse(other).unwrap();
    let mut found = base.needs_restart(&other);
    let documented = keys::all().filter(|key| key.restart);
    let mut documented: Vec<String> = documented
        .map(|key| {
            if key.table.is_empty() {
                key.name.to_owned()
            } else {
                format!("{}.{}", key.table, key.name)
            }
        })
        .collect();
    found.sort_unstable();
    documented.sort_unstable();
    assert_eq!(found, documented);
    // what holds after the reload needs no restart
    assert!(base.needs_restart(&base.with_reloadable_of(other)).is_empty());
}

#[test]
fn every_key_that_takes_effect_at_once_is_named_when_it_changes() {
    let injected = "[[files]]\ndirectory = \"d\"\n[process]\ncommand = [\"c\"]\n";
    let base = Settings::parse(&format!("{LEAST}{SOCKET}{injected}")).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("o.json");
    std::fs::write(&file, "{}").unwrap();
    let other = format!(
        "{LEAST}overrides = {{ web = {file:?} }}\n{SOCKET}mode = \"0600\"\ngroup = \"4\"\nallow_uids = [4]\n\
        [limits]\nconnections = 4\nconnections_per_uid = 4\nheader_bytes = 4096\nbody_bytes = 4\n\
        header_timeout = \"4s\"\nidle_timeout = \"4s\"\nwrite_timeout = \"4s\"\ndrain_timeout = \"4s\"\n\
        [log]\nlevel = \"warn\"\n\
        [[files]]\ndirectory = \"d\"\nprefix = \"p\"\nderive = false\nnames = {{ \"n\" = \"web/n\" }}\nkeys = {{ \"k\" = \"web\" }}\n\
        required = [\"web/r\"]\nmode = \"0600\"\nowner = \"4\"\ngroup = \"4\"\non_change = {{ command = [\"o\"] }}\n\
        [process]\ncommand = [\"o\"]\nprefix = \"p\"\nderive = false\nenv = {{ N = \"web/n\" }}\nkeys = {{ K = \"web\" }}\nrequired = [\"web/r\"]\n\
        on_change = \"nothing\"\ncommand_limit = \"4s\"\nrestart = \"never\"\nclean_env = true\ngrace = \"4s\"\n"
    );
    let other = Settings::parse(&other).unwrap();
    let mut found = base.takes_effect(&other);
    // another directory is not the same one changed
    let documented =
        keys::all().filter(|key| !key.restart && (key.table, key.name) != ("files", "directory"));
    let mut documented: Vec<String> = documented
        .map(|key| match key.table {
            "" => key.name.to_owned(),
            "files" => format!("files[0].{}", key.name),
            table => format!("{table}.{}", key.name),
        })
        .collect();
    found.sort_unstable();
    documented.sort_unstable();
    assert_eq!(found, documented);
    assert!(other.takes_effect(&other).is_empty());
}

#[test]
fn the_documentation_has_the_reference() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/sidecar.md");
    let text = std::fs::read_to_string(&file).unwrap();
    let (begin, end) = (
        "<!-- settings: written by `cargo test` with UPDATE_DOCS=1 -->\n",
        "<!-- /settings -->",
    );
    let (before, rest) = text.split_once(begin).expect("docs/sidecar.md has the mark");
    let (found, after) = rest.split_once(end).expect("docs/sidecar.md has the second mark");
    let wanted = format!("\n{}", keys::reference());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, format!("{before}{begin}{wanted}{end}{after}")).unwrap();
        return;
    }
    assert_eq!(found, wanted, "run the test with UPDATE_DOCS=1");
}

proptest! {
    #[test]
    fn no_text_is_too_much(text in "\\PC*") {
        let _ = Settings::parse(&text);
    }

    #[test]
    fn no_value_is_too_much(at in 0..keys::all().count(), value in "[-\"\\[\\]{}=,.a-z0-9 ]{0,20}") {
        let key = keys::all().nth(at).unwrap();
        let table = match key.table { "" => String::new(), "files" => "[[files]]\n".into(), name => format!("[{name}]\n") };
        let _ = Settings::parse(&format!("{table}{} = {value}\n", key.name));
    }
}

/// A settings file says much that is a file's name, and is read again for its parts alone.
#[test]
fn only_parts_of_the_settings_are_watched() {
    let directory = tempfile::tempdir().unwrap();
    let around = Surroundings {
        file: directory.path().join("web.toml"),
        ..Surroundings::default()
    };
    let text = format!(
        "{LEAST}{SOCKET}[overrides]\nweb = \"web.local.toml\"\nother = \"elsewhere/other.toml\"\n\
         [[files]]\ndirectory = \"files\"\nnames.a = \"key\"\nnames.b = {{ template_file = \"b.j2\" }}\n\
         keys.template_file = \"doc\"\n[process]\ncommand = [\"run\"]\nenv.C = {{ template_file = \"./c.j2\" }}\n\
         env.template_file = \"token\"\n"
    );
    let beside = Beside::default();
    std::fs::write(&around.file, text).unwrap();
    beside.look(&around);
    for name in ["web.local.toml", "b.j2", "c.j2"] {
        assert!(beside.has(name.as_bytes()), "{name}");
    }
    for name in [
        "i",
        "s",
        "s.db",
        "files",
        "key",
        "doc",
        "run",
        "token",
        "other.toml",
        "prod",
    ] {
        assert!(!beside.has(name.as_bytes()), "{name}");
    }
    // text that is no TOML says nothing of them
    std::fs::write(&around.file, "=").unwrap();
    beside.look(&around);
    assert!(beside.has(b"b.j2"));
}
