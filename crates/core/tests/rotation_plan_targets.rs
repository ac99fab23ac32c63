//! Tables of built-in targets: what they say, what is wrong with one, and that the book's plans are read.
#![allow(clippy::unwrap_used, clippy::panic)]

use strongroom_core::rotation::plan::{Persist, Plan, TargetKind, Tls};

const BASE: &str = "generator = 'password'\n";

fn read(text: &str) -> Plan {
    let text = format!("{BASE}{text}");
    text.parse().unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn problem(text: &str) -> String {
    let all = format!("{BASE}{text}").parse::<Plan>().unwrap_err().0;
    assert_eq!(all.len(), 1, "{text}: {all:?}");
    all.concat()
}

#[test]
fn every_plan_of_the_book_is_read() {
    let book = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/rotation.md");
    let book = std::fs::read_to_string(book).unwrap();
    let mut kinds = Vec::new();
    for block in book.split("```toml\n").skip(1) {
        let text = block.split("```").next().unwrap();
        let plan: Plan = text.parse().unwrap_or_else(|error| panic!("{error}\n{text}"));
        let kind = plan.target.kind.to_string();
        kinds.push(kind.split(' ').next().unwrap().to_owned());
    }
    assert_eq!(
        kinds,
        [
            "/usr/local/libexec/rotate-file",
            "postgres",
            "redis",
            "authorized_keys",
            "nginx"
        ]
    );
}

#[test]
fn a_target_is_one_thing() {
    let both = "strategy = 'replace'\n[target]\nexec = ['/bin/true']\n[target.postgres]\nhost = '/run'";
    assert!(problem(both).contains("`target` has one of exec, authorized_keys, nginx, postgres, redis"));
    let none = "strategy = 'replace'\n[target]\nlimit = '3s'";
    assert!(problem(none).contains("or `target` has a table: authorized_keys, nginx, postgres, redis"));
    let environment = "strategy = 'replace'\n[target]\nenv = ['A']\n[target.postgres]\nhost = '/run'\nrole = 'x'\nadmin_user = 'x'";
    assert!(problem(environment).contains("`target.env`: is not known"));
}

#[test]
fn a_server_is_a_host_or_a_socket() {
    let plan = read(
        "strategy = 'replace'\n[target.postgres]\nhost = 'db1'\nrole = 'web'\nadmin = 'db/admin'\nca = '/etc/ca.pem'",
    );
    let TargetKind::Postgres(postgres) = &plan.target.kind else {
        panic!()
    };
    assert_eq!(postgres.server.port, 5432);
    assert_eq!(postgres.database, "postgres");
    let ca = Some("/etc/ca.pem".to_owned());
    assert_eq!(postgres.server.tls, Tls::Verified { ca });
    assert_eq!(plan.target.kind.admin().unwrap().as_str(), "db/admin");
    assert_eq!(plan.target.kind.to_string(), "postgres at db1:5432");

    let start = "strategy = 'replace'\n[target.postgres]\nrole = 'web'\n";
    let by_socket = format!("{start}host = '/run'\nadmin_user = 'postgres'\n");
    let tls = |more: &str| match read(&format!("{by_socket}{more}")).target.kind {
        TargetKind::Postgres(plan) => plan.server.tls,
        other => panic!("{other}"),
    };
    assert_eq!(tls(""), Tls::Off);
    // Where logins are tried, there is TLS.
    assert_eq!(tls("probe = 'db1'"), Tls::Verified { ca: None });
    assert_eq!(tls("probe = 'db1'\ntls = 'off'"), Tls::Off);

    for (more, words) in [
        ("admin = 'db/admin'", "`target.postgres.host`: is missing"),
        ("host = 'db1'", "`target.postgres.admin`: is missing"),
        ("host = 'db1'\nadmin_user = 'postgres'", "comes by a socket alone"),
        ("host = '/run'", "or `admin_user` for peer authentication"),
        (
            "host = '/run'\nadmin_user = 'a'\ntls = 'verify-full'",
            "is for hosts",
        ),
        (
            "host = 'db1'\nadmin = 'a'\ntls = 'prefer'",
            "is `verify-full` or `off`",
        ),
        ("host = 'db1'\nadmin = 'a'\ntls = 'off'\nca = '/x'", "is for `tls"),
        ("host = 'db1'\nadmin = 'a'\nca = 'x'", "is an absolute path"),
        ("host = 'db1'\nadmin = 'a'\nport = 0", "from 1 to 65535"),
        ("host = 'db1'\nadmin = 'a//b'", "`target.postgres.admin`"),
        (
            "host = 'db1'\nadmin = 'a'\nusr = 'b'",
            "`target.postgres.usr`: is not known",
        ),
    ] {
        let said = problem(&format!("{start}{more}"));
        assert!(said.contains(words), "{more}: {said}");
    }
}

#[test]
fn a_role_has_one_password() {
    let table = "[target.postgres]\nhost = '/run'\nadmin_user = 'postgres'";
    assert!(problem(&format!("strategy = 'overlap'\n{table}")).contains("`replace` or `alternate`"));
    assert!(problem(&format!("strategy = 'replace'\n{table}")).contains("is missing"));
    let alternate = format!("strategy = 'alternate'\naccounts = ['a', 'b']\n{table}");
    assert!(problem(&format!("{alternate}\nrole = 'a'")).contains("the values name the roles"));
    assert_eq!(read(&alternate).target.kind.admin(), None);
}

#[test]
fn a_user_of_redis_has_two_passwords_and_is_kept_somewhere() {
    let table = "[target.redis]\nhost = 'cache'\nuser = 'web'\n";
    let plan = read(&format!(
        "strategy = 'overlap'\n{table}persist = 'config'\nadmin = 'cache/admin'"
    ));
    let TargetKind::Redis(redis) = &plan.target.kind else {
        panic!()
    };
    assert_eq!((redis.server.port, redis.persist), (6379, Persist::Config));
    assert_eq!(plan.target.kind.admin().unwrap().as_str(), "cache/admin");
    for (strategy, more, words) in [
        ("overlap", "", "`target.redis.persist`: is missing"),
        ("overlap", "persist = 'disk'", "is `acl-file`, `config` or `none`"),
        (
            "replace",
            "persist = 'none'\nrole = 'x'",
            "`target.redis.role`: is not known",
        ),
        ("alternate", "persist = 'none'", "`overlap` or `replace`"),
    ] {
        let accounts = if strategy == "alternate" {
            "accounts = ['a', 'b']\n"
        } else {
            ""
        };
        let said = problem(&format!("strategy = '{strategy}'\n{accounts}{table}{more}"));
        assert!(said.contains(words), "{more}: {said}");
    }
}

#[test]
fn keys_lie_in_a_file_and_log_in_somewhere() {
    let table = "[target.authorized_keys]\n";
    let file = "file = '/home/a/.ssh/authorized_keys'\n";
    let plan = read(&format!("strategy = 'overlap'\n{table}{file}login = 'a@host'"));
    let TargetKind::AuthorizedKeys(keys) = &plan.target.kind else {
        panic!()
    };
    let login = keys.login.as_ref().unwrap();
    assert_eq!(
        (login.user.as_str(), login.host.as_str(), login.port),
        ("a", "host", 22)
    );
    assert_eq!(plan.target.kind.admin(), None);
    let accounts = "accounts = ['a', 'b']\n";
    for (start, more, words) in [
        (
            "strategy = 'overlap'\n",
            "",
            "`target.authorized_keys.file`: is missing",
        ),
        ("strategy = 'overlap'\n", "file = 'keys'", "is an absolute path"),
        (
            "strategy = 'overlap'\n",
            &format!("{file}login = 'host'"),
            "is a user and a host",
        ),
        (
            "strategy = 'overlap'\n",
            &format!("{file}login = 'a@-oProxyCommand=x'"),
            "is a user and a host",
        ),
        (
            "strategy = 'overlap'\n",
            &format!("{file}port = 22"),
            "`port` and `known_hosts` are for it",
        ),
        (
            "strategy = 'overlap'\n",
            &format!("{file}options = \"a\\nb\""),
            "without control characters",
        ),
        (
            &format!("strategy = 'alternate'\n{accounts}"),
            file,
            "`overlap` or `replace`",
        ),
    ] {
        let said = problem(&format!("{start}{table}{more}"));
        assert!(said.contains(words), "{more}: {said}");
    }
}

#[test]
fn nginx_has_a_file_and_serves_it_somewhere() {
    let table = "[target.nginx]\nfile = '/etc/web.pem'\n";
    let nginx = |text: &str| match read(&format!("strategy = 'replace'\n{table}{text}")).target.kind {
        TargetKind::Nginx(plan) => plan,
        other => panic!("{other}"),
    };
    assert_eq!(nginx("probe = 'host:443'").probe, ("host".to_owned(), 443));
    assert_eq!(nginx("probe = '[::1]:8443'").probe, ("::1".to_owned(), 8443));
    assert_eq!(nginx("probe = 'host:443'").pid, "/run/nginx.pid");
    for (strategy, more, words) in [
        ("replace", "", "`target.nginx.probe`: is missing"),
        ("replace", "probe = 'host'", "is a host and a port"),
        (
            "replace",
            "probe = 'host:443'\ntest = ['nginx', '-t']",
            "absolute path of a program",
        ),
        ("overlap", "probe = 'host:443'", "the strategy is `replace`"),
    ] {
        let said = problem(&format!("strategy = '{strategy}'\n{table}{more}"));
        assert!(said.contains(words), "{more}: {said}");
    }
}
