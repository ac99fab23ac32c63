//! Every key of the settings file with its meaning and default: owns what is a known key. How they
//! are shown is `shown`'s. It must not interpret values.

pub use super::shown::{example, reference};

/// What happens when a key is not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// It must be given.
    Required,
    /// This TOML is used.
    Value(&'static str),
    /// Described in words.
    Words(&'static str),
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// The table it is in; empty at the top.
    pub table: &'static str,
    /// Its name.
    pub name: &'static str,
    /// What happens without it.
    pub default: Absent,
    /// TOML to show.
    pub example: &'static str,
    /// What it means.
    pub doc: &'static str,
    /// True when a change takes effect only at the next start.
    pub restart: bool,
}

const fn key(
    table: &'static str,
    name: &'static str,
    default: Absent,
    example: &'static str,
    doc: &'static str,
) -> Key {
    Key {
        table,
        name,
        default,
        example,
        doc,
        restart: false,
    }
}

const fn fixed(
    table: &'static str,
    name: &'static str,
    default: Absent,
    example: &'static str,
    doc: &'static str,
) -> Key {
    Key {
        restart: true,
        ..key(table, name, default, example, doc)
    }
}

use Absent::{Required, Value, Words};

/// The tables, in the order they are documented.
pub const TABLES: &[(&str, &str)] = &[
    (
        "",
        "Relative paths are resolved against the directory of the settings file. Durations are a whole number with `ms`, `s`, `m` or `h`.",
    ),
    (
        "socket",
        "The socket that containers talk to. Mount its directory into them, not the file.",
    ),
    ("limits", "What one sidecar puts up with."),
    (
        "attestation",
        "What is found out about processes that connect. What the kernel says needs no settings.",
    ),
    ("log", "What is written to standard error."),
    (
        "audit",
        "The audit log: a record is in it before anything is released. Without this table there is none, which the log says at each start.",
    ),
    (
        "sandbox",
        "What the threads that serve connections and follow the store may not do; see [hardening](hardening.md).",
    ),
    (
        "files",
        "A directory of files that always hold one revision; may be given many times, as `[[files]]`.",
    ),
    (
        "process",
        "A process that is started with the values in its environment.",
    ),
];

/// All keys, in the order they are documented.
pub const KEYS: &[Key] = &[
    fixed(
        "",
        "store",
        Required,
        "\"sqlite:/var/lib/strongroom/store.db\"",
        "Where the sealed store lies: `sqlite:PATH`.",
    ),
    fixed(
        "",
        "fingerprint",
        Words("what the first start finds is pinned in the state directory"),
        "\"0000000000000000000000000000000000000000000000000000000000000000\"",
        "The fingerprint the store must have, as `strongroom status` prints it: 64 hexadecimal digits.",
    ),
    fixed(
        "",
        "identity",
        Required,
        "\"/etc/strongroom/web.identity\"",
        "The identity file that opens the store, mode 0600; or `credential:NAME` for a credential that systemd passes.",
    ),
    fixed(
        "",
        "passphrase",
        Words("the identity file is not protected by one"),
        "\"credential:web-passphrase\"",
        "The file that holds the identity's passphrase, mode 0600, one trailing newline is ignored; or `credential:NAME`. It is never taken from the environment.",
    ),
    fixed(
        "",
        "environment",
        Required,
        "\"prod\"",
        "The environment that is served.",
    ),
    fixed(
        "",
        "state",
        Words(
            "`$STATE_DIRECTORY` when systemd sets it, else the settings file's name with `.state` in place of `.toml`",
        ),
        "\"/var/lib/strongroom/web\"",
        "A directory of this sidecar's own, mode 0700: the highest verified revision, and the sealed copy of the store.",
    ),
    fixed(
        "",
        "offline_copy",
        Value("true"),
        "true",
        "Keep a sealed copy of the store in the state directory, so that the sidecar can start while the store is out of reach.",
    ),
    fixed(
        "socket",
        "path",
        Required,
        "\"/run/strongroom/web/sidecar.sock\"",
        "The socket; at most 107 bytes. Its directory is made with mode 0750 when it is not there.",
    ),
    key(
        "socket",
        "mode",
        Value("\"0660\""),
        "\"0660\"",
        "The socket's permission bits, octal.",
    ),
    key(
        "socket",
        "group",
        Words("the sidecar's own group"),
        "\"web\"",
        "The group of the socket, and of its directory when the sidecar makes it: a name or a number.",
    ),
    key(
        "socket",
        "allow_uids",
        Words("the sidecar's own uid only"),
        "[1000]",
        "The uids that may connect, as the sidecar's user namespace sees them. Others get 403.",
    ),
    fixed(
        "limits",
        "workers",
        Words("the number of cores, at most 4"),
        "2",
        "Threads that serve connections, 1 to 64.",
    ),
    key(
        "limits",
        "connections",
        Value("8192"),
        "8192",
        "Connections at a time. Beyond it new ones wait to be accepted.",
    ),
    key(
        "limits",
        "connections_per_uid",
        Value("6144"),
        "6144",
        "Connections of one uid at a time. Beyond it new ones are closed at once.",
    ),
    key(
        "limits",
        "header_bytes",
        Value("16384"),
        "16384",
        "Bytes of one request's head, 1024 to 262144.",
    ),
    key(
        "limits",
        "body_bytes",
        Value("65536"),
        "65536",
        "Bytes of one request's body.",
    ),
    key(
        "limits",
        "header_timeout",
        Value("\"10s\""),
        "\"10s\"",
        "From a request's first byte to the end of its head, and from a connection to its first byte.",
    ),
    key(
        "limits",
        "idle_timeout",
        Value("\"5m\""),
        "\"5m\"",
        "How long a connection may rest between requests.",
    ),
    key(
        "limits",
        "write_timeout",
        Value("\"30s\""),
        "\"30s\"",
        "How long a client may not take what it was sent.",
    ),
    key(
        "limits",
        "drain_timeout",
        Value("\"10s\""),
        "\"10s\"",
        "How long running requests may take to end at SIGTERM.",
    ),
    fixed(
        "attestation",
        "engine",
        Words("no engine is asked, and labels and image are absent"),
        "\"unix:/run/podman/podman.sock\"",
        "The API socket of Podman or Docker, which is asked for labels, image and Compose names of a client's container: `unix:PATH`.",
    ),
    fixed(
        "attestation",
        "engine_timeout",
        Value("\"1s\""),
        "\"1s\"",
        "How long the engine may take to answer.",
    ),
    fixed(
        "attestation",
        "engine_required",
        Value("false"),
        "true",
        "While the engine does not answer, clients in containers are refused (503) instead of being known without labels: set it where a policy forbids something by them.",
    ),
    key(
        "log",
        "level",
        Value("\"info\""),
        "\"info\"",
        "`error`, `warn`, `info`, `debug` or `trace`.",
    ),
    fixed(
        "log",
        "format",
        Value("\"text\""),
        "\"text\"",
        "`text` or `json`.",
    ),
    fixed(
        "audit",
        "directory",
        Required,
        "\"/var/log/strongroom/web\"",
        "The log's directory, of this sidecar's own; it is made with mode 0700 when it is not there.",
    ),
    fixed(
        "audit",
        "names",
        Value("\"clear\""),
        "\"hashed\"",
        "How entries are named: `clear`, or `hashed` under a key that the store's members have.",
    ),
    fixed(
        "audit",
        "durability",
        Value("\"written\""),
        "\"fsync\"",
        "When a record counts: `written` when the kernel has it, which survives the end of the sidecar; `fsync` when the disk has it, which survives the end of the machine.",
    ),
    fixed(
        "audit",
        "rotate_bytes",
        Value("67108864"),
        "67108864",
        "The next file begins when one has so many bytes, 65536 to 1099511627776.",
    ),
    fixed(
        "audit",
        "rotate_every",
        Value("\"24h\""),
        "\"24h\"",
        "The next file begins when one is so old.",
    ),
    fixed(
        "audit",
        "keep",
        Words("all files are kept"),
        "365",
        "How many files are kept, 2 to 1000000; older ones are removed, which the log says.",
    ),
    fixed(
        "audit",
        "head_every_records",
        Value("1000"),
        "1000",
        "A signed head follows so many records, 1 to 4096,",
    ),
    fixed(
        "audit",
        "head_every",
        Value("\"10s\""),
        "\"10s\"",
        "or comes so long after one.",
    ),
    fixed(
        "audit",
        "timeout",
        Value("\"1s\""),
        "\"1s\"",
        "A record that is not written within this time is refused, and with it what it is for: 503.",
    ),
    fixed(
        "audit",
        "syslog",
        Words("no copies to syslog"),
        "\"/dev/log\"",
        "A syslog or journald socket that gets a copy of each line, at best effort.",
    ),
    fixed(
        "audit",
        "stdout",
        Value("false"),
        "true",
        "Write a copy of each line to standard output, at best effort.",
    ),
    fixed(
        "sandbox",
        "files",
        Value("true"),
        "true",
        "Files that these settings do not name are out of reach, and so is TCP, where the kernel has Landlock.",
    ),
    fixed(
        "sandbox",
        "syscalls",
        Value("\"refuse\""),
        "\"refuse\"",
        "System calls that are not needed: `refuse` them, `kill` the sidecar (for tests), or `off`.",
    ),
    key(
        "files",
        "directory",
        Required,
        "\"/run/strongroom/web/files\"",
        "The directory; it is made when it is not there. Put it on a tmpfs.",
    ),
    key(
        "files",
        "prefix",
        Words("everything the identity opens in the environment"),
        "\"web\"",
        "Only entries at or under this path, which is taken off the file names.",
    ),
    key(
        "files",
        "derive",
        Value("true"),
        "true",
        "Write a file for every entry under `prefix`; with false only those in `names`.",
    ),
    key(
        "files",
        "names",
        Value("{}"),
        "{ \"pgpass\" = \"web/database/password\" }",
        "Files by name, each with the path of its entry. These entries are required.",
    ),
    key(
        "files",
        "required",
        Value("[]"),
        "[\"web/database/password\"]",
        "Paths that must be there: without them nothing is written.",
    ),
    key(
        "files",
        "mode",
        Value("\"0400\""),
        "\"0400\"",
        "The files' permission bits, octal.",
    ),
    key(
        "files",
        "owner",
        Words("the sidecar's own user"),
        "\"web\"",
        "The files' owner: a name or a number.",
    ),
    key(
        "files",
        "group",
        Words("the sidecar's own group"),
        "\"web\"",
        "The files' group: a name or a number.",
    ),
    key(
        "files",
        "on_change",
        Value("\"nothing\""),
        "{ signal = \"HUP\", pidfile = \"/run/web.pid\" }",
        "After each switch: `\"nothing\"`, a signal to the process in a pidfile, or `{ command = [\"PROGRAM\", \"ARGUMENT\"] }`.",
    ),
    key(
        "process",
        "command",
        Required,
        "[\"/usr/bin/web\", \"--serve\"]",
        "The program and its arguments; no shell.",
    ),
    key(
        "process",
        "prefix",
        Words("everything the identity opens in the environment"),
        "\"web\"",
        "Only entries at or under this path, which is taken off the variables' names: `web/database/password` becomes `DATABASE_PASSWORD`.",
    ),
    key(
        "process",
        "derive",
        Value("true"),
        "true",
        "Make a variable of every entry under `prefix`; with false only of those in `env`.",
    ),
    key(
        "process",
        "env",
        Value("{}"),
        "{ PGPASSWORD = \"web/database/password\" }",
        "Variables by name, each with the path of its entry. These entries are required.",
    ),
    key(
        "process",
        "required",
        Value("[]"),
        "[\"web/database/password\"]",
        "Paths that must be there: without them nothing is started.",
    ),
    key(
        "process",
        "on_change",
        Value("\"restart\""),
        "\"restart\"",
        "When a value changed: `\"restart\"`, `\"nothing\"`, `{ signal = \"HUP\" }` or `{ command = [\"PROGRAM\", \"ARGUMENT\"] }`.",
    ),
    key(
        "process",
        "command_limit",
        Value("\"60s\""),
        "\"60s\"",
        "How long the program of `on_change` may take; then it and all it started in its process group are killed.",
    ),
    key(
        "process",
        "restart",
        Value("\"on-failure\""),
        "\"on-failure\"",
        "When it ends by itself: `always`, `on-failure` or `never`; with growing pauses.",
    ),
    key(
        "process",
        "clean_env",
        Value("false"),
        "true",
        "Give it nothing of the sidecar's own environment.",
    ),
    key(
        "process",
        "grace",
        Value("\"10s\""),
        "\"10s\"",
        "From SIGTERM to SIGKILL when the process is stopped.",
    ),
];

/// The keys of `table`.
pub fn of(table: &str) -> impl Iterator<Item = &'static Key> {
    KEYS.iter().filter(move |key| key.table == table)
}
