//! Config documents that refer to secrets: what a commit is refused for, whose secrets take the place of
//! references, and what whoever serves an environment knows of them without opening anything.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod vault_kit;

use std::collections::BTreeMap;
use std::sync::Arc;

use strongroom_core::config::{self, Format};
use strongroom_core::secret::Secret;
use strongroom_core::snapshot::{Kind, Local, ReadError, Role, Snapshot};
use strongroom_core::vault::{CommitError, Edit};
use vault_kit::*;

fn web(environment: &str, text: &str) -> Edit {
    put(environment, "web", Kind::Config, Format::Toml, text.as_bytes())
}

/// `eu` and `us` inherit from `prod`.
fn world() -> World {
    let world = World::new();
    for name in ["eu", "us"] {
        world.child(name, "prod");
    }
    world
}

fn delivered(snapshot: &Snapshot, environment: &str) -> Result<String, ReadError> {
    let reading = snapshot.read(&env(environment), &path("web"))?;
    let reading = snapshot.resolved(&env(environment), reading)?;
    Ok(String::from_utf8(expose(&reading.value)).unwrap())
}

fn refused(world: &World, edits: Vec<Edit>) -> Vec<String> {
    let before = world.vault.snapshot().revision();
    let refused = world.commit(edits).unwrap_err();
    assert_eq!(world.vault.refresh().unwrap().revision(), before);
    match refused {
        CommitError::Unfit { unfit } => unfit.iter().map(ToString::to_string).collect(),
        other => panic!("{other}"),
    }
}

const WEB: &str = "# the database\n[db]\nuser = 'web'\npassword = { secret = 'web/password' } # not here\n";

#[test]
fn each_environment_gets_its_own_secret_and_nobody_else_sees_one() {
    let world = world();
    world.put("eu", "web/password", b"of-eu");
    world.put("us", "web/password", b"of \"us\"");
    // the base lacks what those have that inherit from it
    world.commit(vec![web("prod", WEB)]).unwrap();
    let snapshot = world.vault.snapshot();
    for (environment, password) in [("eu", "of-eu"), ("us", "of \"us\"")] {
        let text = delivered(&snapshot, environment).unwrap();
        let read: toml::Table = toml::from_str(&text).unwrap();
        assert_eq!(read["db"]["password"].as_str(), Some(password));
        assert!(
            text.contains("# the database") && text.contains("# not here"),
            "{text}"
        );
        let config: BTreeMap<String, BTreeMap<String, String>> =
            snapshot.config(&env(environment), &path("web")).unwrap();
        assert_eq!(config["db"]["password"], password);
        // what is stored and shown has no secret in it
        assert_eq!(world.get(environment, "web").unwrap(), WEB.as_bytes());
    }
    let error = delivered(&snapshot, "prod").unwrap_err();
    assert!(matches!(error, ReadError::NoSecret { .. }), "{error}");
    // it may be a value that nobody meant to be a path
    assert!(
        !format!("{error} {error:?}").contains("web/password"),
        "{error:?}"
    );
}

#[test]
fn a_commit_leaves_no_reference_without_its_secret() {
    let world = world();
    world.put("eu", "web/password", b"of-eu");
    let lacking = "web in us: `db.password` refers to a secret that is not there: put it into us first, or give \
                   the key a value: a table with only `secret` in it refers to one";
    assert_eq!(refused(&world, vec![web("prod", WEB)]), [lacking]);
    // what is no secret does not do
    world
        .commit(vec![put("us", "web/password", Kind::Config, Format::Text, b"x")])
        .unwrap();
    assert_eq!(refused(&world, vec![web("prod", WEB)]), [lacking]);
    let unset = web("us", "db = { strongroom = 'unset' }");
    world.commit(vec![web("prod", WEB), unset]).unwrap();
    // the secret stays as long as something refers to it
    let told = refused(&world, vec![delete("eu", "web/password")]);
    assert_eq!(told, [lacking.replace("us", "eu")]);
    let planned = world.vault.plan(&change(vec![delete("eu", "web/password")]));
    assert!(matches!(planned, Err(CommitError::Unfit { .. })));
    world
        .commit(vec![
            delete("eu", "web/password"),
            web("eu", "db.password = 'plain'"),
        ])
        .unwrap();
    assert!(
        delivered(&world.vault.snapshot(), "eu")
            .unwrap()
            .contains("plain")
    );
}

#[test]
fn who_does_not_open_the_secret_may_refer_to_it_and_does_not_read_it() {
    let world = world();
    world
        .commit(vec![Edit::AddCompartment {
            name: compartment("safe"),
        }])
        .unwrap();
    let mut hidden = secret("eu", "web/password", b"canary");
    set_compartment(&mut hidden, "safe");
    world.commit(vec![hidden]).unwrap();
    let bob = world
        .open(&world.member("bob", Role::Writer, &["eu", "prod"]))
        .unwrap();
    bob.commit(&change(vec![web("eu", WEB)])).unwrap();
    let told = bob
        .commit(&change(vec![web(
            "eu",
            &WEB.replace("web/password", "web/other"),
        )]))
        .unwrap_err();
    assert!(told.to_string().contains("a secret that is not there"), "{told}");
    let error = delivered(&bob.snapshot(), "eu").unwrap_err();
    assert!(matches!(error, ReadError::NoSecret { .. }), "{error}");
    world.vault.refresh().unwrap();
    assert!(
        delivered(&world.vault.snapshot(), "eu")
            .unwrap()
            .contains("canary")
    );
}

#[test]
fn a_secret_that_is_no_text_is_refused_where_something_refers_to_it() {
    let world = world();
    let no_text = "web in eu: `db.password` refers to a secret that is no text: deliver that secret as a file of its own";
    world.put("eu", "web/password", &[0xff, 0xfe]);
    assert_eq!(refused(&world, vec![web("eu", WEB)]), [no_text]);
    world.put("eu", "web/password", b"text");
    world.commit(vec![web("eu", WEB)]).unwrap();
    let binary = || secret("eu", "web/password", &[0xff]);
    assert_eq!(refused(&world, vec![binary()]), [no_text]);
    // who does not open the document is not told, and nobody gets it
    let bob = world.open(&world.member("bob", Role::Writer, &["eu"])).unwrap();
    world.put("us", "web/password", b"text");
    world.commit(vec![web("prod", WEB), delete("eu", "web")]).unwrap();
    bob.commit(&change(vec![binary()])).unwrap();
    world.vault.refresh().unwrap();
    let error = delivered(&world.vault.snapshot(), "eu").unwrap_err();
    assert!(matches!(error, ReadError::Document { .. }), "{error}");
    assert!(error.to_string().contains("no UTF-8"), "{error}");
}

#[test]
fn a_document_does_not_grow_without_bound() {
    let world = world();
    world.put("eu", "a", &vec![b'x'; 400 << 10]);
    let many = |count: usize| {
        let items = vec!["{ secret = 'a' }"; count].join(", ");
        web("eu", &format!("all = [{items}]"))
    };
    world.commit(vec![many(2)]).unwrap();
    let told = refused(&world, vec![many(3)]);
    assert!(told[0].contains("more than 1 MiB in all"), "{told:?}");
    world.put("eu", "a", b"x");
    world.commit(vec![many(1000)]).unwrap();
    let error = world.commit(vec![many(1001)]).unwrap_err();
    assert!(error.to_string().contains("more than 1000 secrets"), "{error}");
    // a secret that grows under it
    let told = refused(&world, vec![secret("eu", "a", &vec![b'x'; 2000])]);
    assert!(told[0].contains("more than 1 MiB in all"), "{told:?}");
}

#[test]
fn a_document_that_comes_into_sight_is_looked_at() {
    let world = world();
    world.put("eu", "web/password", b"x");
    world.put("us", "web/password", b"x");
    world.put("eu", "web", b"a secret of that name hides the document");
    world.commit(vec![web("prod", WEB)]).unwrap();
    let before = serving(&world.vault.snapshot(), "eu", &[]);
    world.commit(vec![delete("eu", "web")]).unwrap();
    let next = world.vault.snapshot();
    let next = next.serving_after(&before, &next.changes_since(&before)).unwrap();
    assert_eq!(secrets(&next, "eu"), ["web/password"]);
}

#[test]
fn a_delivered_document_has_no_references_whatever_its_secrets_look_like() {
    let world = world();
    for value in ["../no path!", "a/path", "unset"] {
        world.put("eu", "key", value.as_bytes());
        world
            .commit(vec![web(
                "eu",
                "[oauth]\nsecret = { secret = 'key' }\n[x]\nstrongroom = { secret = 'key' }\n",
            )])
            .unwrap();
        let text = delivered(&world.vault.snapshot(), "eu").unwrap();
        let document = config::delivered(Format::Toml, text.as_bytes()).unwrap();
        assert_eq!(document["oauth"]["secret"], value);
        assert_eq!(document["x"]["strongroom"], value);
    }
}

#[test]
fn schemas_say_where_a_secret_may_be() {
    let world = world();
    world.put("eu", "web/password", b"x");
    let schema = |marked: &str| {
        let text = format!(
            r#"{{"properties":{{"db":{{"properties":{{"user":{{"type":"string"}},"password":{{"type":"string"{marked}}}}}}}}}}}"#
        );
        put("eu", "schema/web", Kind::Schema, Format::Text, text.as_bytes())
    };
    let told = refused(&world, vec![schema(""), web("eu", WEB)]);
    assert_eq!(
        told,
        [
            "web in eu: `db.password` refers to a secret, and the schema allows none there: mark the key \
          `\"secret\": true` in the schema, or set a value"
        ]
    );
    world
        .commit(vec![schema(r#","secret":true"#), web("eu", WEB)])
        .unwrap();
    // taking the mark away breaks what is live
    assert_eq!(refused(&world, vec![schema("")]).len(), 1);
}

fn serving(snapshot: &Snapshot, environment: &str, locals: &[(&str, Format, &str)]) -> Snapshot {
    let local = |(at, format, text): &(&str, Format, &str)| {
        (path(at), Local::new(*format, text.as_bytes().to_vec()).unwrap())
    };
    let locals = Arc::new(locals.iter().map(local).collect());
    snapshot.serving(&env(environment), locals).unwrap()
}

fn secrets(snapshot: &Snapshot, environment: &str) -> Vec<String> {
    let entry = snapshot.entry(&env(environment), &path("web")).unwrap();
    let secrets = snapshot.secrets_in(&env(environment), &entry).unwrap();
    secrets.iter().map(|secret| secret.path.to_string()).collect()
}

#[test]
fn who_serves_knows_what_documents_refer_to_as_they_change() {
    let world = world();
    world.put("eu", "web/password", b"1");
    world.put("eu", "web/token", b"2");
    world.commit(vec![web("eu", WEB)]).unwrap();
    let plain = world.vault.snapshot();
    let first = serving(&plain, "eu", &[]);
    assert_eq!(secrets(&first, "eu"), ["web/password"]);
    let password = path("web/password");
    let referring: Vec<_> = first.referring_to(&env("eu"), &password).collect();
    assert_eq!(referring, [&path("web")]);
    // who serves nobody keeps nothing, and looks into the document
    assert_eq!(plain.referring_to(&env("eu"), &password).count(), 0);
    assert_eq!(secrets(&plain, "eu"), ["web/password"]);
    let follow = |before: &Snapshot| {
        let next = world.vault.snapshot();
        next.serving_after(before, &next.changes_since(before)).unwrap()
    };
    let both = "token = { secret = 'web/token' }\n[db]\npassword = { secret = 'web/password' }\n";
    world.commit(vec![web("eu", both)]).unwrap();
    let second = follow(&first);
    assert_eq!(secrets(&second, "eu"), ["web/password", "web/token"]);
    // a parent's layer counts, and another environment's does not
    world
        .commit(vec![web("eu", "a = 1"), web("us", "db = 1"), web("prod", WEB)])
        .unwrap();
    let third = follow(&second);
    assert_eq!(secrets(&third, "eu"), ["web/password"]);
    world
        .commit(vec![web("prod", "a = 2"), delete("eu", "web/password")])
        .unwrap();
    assert!(secrets(&follow(&third), "eu").is_empty());
}

#[test]
fn what_this_machine_says_is_nearest() {
    let world = world();
    world.put("eu", "web/token", b"t");
    world
        .commit(vec![
            web("prod", "size = 1\nwait = 3\n"),
            web("eu", "size = 2 # of eu\n"),
        ])
        .unwrap();
    let local = r#"{"size": 5, "token": {"secret": "web/token"}, "wait": {"strongroom": "unset"}}"#;
    let snapshot = serving(&world.vault.snapshot(), "eu", &[("web", Format::Json, local)]);
    // in the format of the document
    let text = delivered(&snapshot, "eu").unwrap();
    let read: toml::Table = toml::from_str(&text).unwrap();
    assert_eq!(read, toml::from_str("size = 5\ntoken = 't'").unwrap());
    assert_eq!(secrets(&snapshot, "eu"), ["web/token"]);
    // for the environment that is served, and for documents that are there
    assert_eq!(delivered(&snapshot, "prod").unwrap(), "size = 1\nwait = 3\n");
    let other = serving(&world.vault.snapshot(), "eu", &[("other", Format::Json, "{}")]);
    assert!(other.read(&env("eu"), &path("other")).is_err());
    // a schema holds for it too
    let schema = br#"{"properties":{"size":{"maximum":4},"token":{"secret":true}}}"#;
    world
        .commit(vec![put("eu", "schema/web", Kind::Schema, Format::Text, schema)])
        .unwrap();
    let snapshot = serving(&world.vault.snapshot(), "eu", &[("web", Format::Json, local)]);
    let unfit: Vec<_> = snapshot.unfit(&env("eu")).unwrap();
    let told: Vec<_> = unfit.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        ["web in eu: `size` must be at most 4 (set on this machine): choose a value within the limit"]
    );
    assert!(Local::new(Format::Text, b"x".to_vec()).is_err());
    assert!(Local::new(Format::Toml, b"canary canary".to_vec()).is_err());
}

#[test]
fn a_secret_in_the_place_of_a_reference_is_never_in_an_error() {
    let world = world();
    world.put("eu", "web/password", b"canary");
    world.commit(vec![web("eu", WEB)]).unwrap();
    let snapshot = world.vault.snapshot();
    let error = snapshot
        .config::<BTreeMap<String, BTreeMap<String, u8>>>(&env("eu"), &path("web"))
        .unwrap_err();
    assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
    let reading = snapshot.read(&env("eu"), &path("web")).unwrap();
    let resolved = snapshot
        .resolved_with(&env("eu"), reading, &mut |_| {
            Ok(Some(Secret::new(b"lent".to_vec())))
        })
        .unwrap();
    assert!(
        String::from_utf8(expose(&resolved.value))
            .unwrap()
            .contains("lent")
    );
}
