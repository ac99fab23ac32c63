//! The canonical invocations: scripts and documentation rely on these lines as they stand, so they
//! run here through a shell, as they stand.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::process::Command;

use strongroom_tests::component;
use strongroom_tests::program;
use strongroom_tests::scene::Scene;

/// A shell script in a scratch directory, with the programs on its path: its standard output.
fn shell(scene: &Scene, script: &str) -> String {
    let bin = program::path("strongroom").parent().unwrap().to_owned();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", script])
        .current_dir(scene.path())
        .env("PATH", path)
        .env("HOME", scene.file("home"))
        .env_remove("STRONGROOM_STORE")
        .env_remove("STRONGROOM_IDENTITY")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

const BEGIN: &str = r#"
strongroom init sqlite:./store.db --admin alice --identity ./alice.identity --no-passphrase >&2
export STRONGROOM_STORE=sqlite:./store.db STRONGROOM_IDENTITY=./alice.identity
strongroom environment add prod >&2
printf s3cret | strongroom put prod web/database/password >&2
"#;

#[test]
fn a_store_is_made_filled_read_and_verified() {
    let scene = Scene::bare();
    let get = format!("{BEGIN}\nstrongroom get prod web/database/password");
    assert_eq!(shell(&scene, &get), "s3cret", "the value alone, no newline added");
    let more = "export STRONGROOM_STORE=sqlite:./store.db STRONGROOM_IDENTITY=./alice.identity\n";
    shell(&scene, &format!("{more}strongroom verify"));
    let env = shell(&scene, &format!("{more}strongroom run prod --prefix web -- env"));
    assert!(
        env.lines().any(|line| line == "DATABASE_PASSWORD=s3cret"),
        "{env}"
    );
}

#[test]
fn a_sidecar_is_checked_started_and_asked() {
    if !component::present("curl", "the canonical curl line") {
        return;
    }
    let scene = Scene::bare();
    let script = format!(
        r#"{BEGIN}
strongroom identity new ./web.identity --no-passphrase >&2
strongroom member add web --public "$(strongroom identity show ./web.identity)" --role reader --compartment prod >&2
cat > web.toml <<END
store = "sqlite:./store.db"
identity = "./web.identity"
environment = "prod"

[socket]
path = "./web/sidecar.sock"
END
strongroom-sidecar --settings ./web.toml --check >&2
strongroom-sidecar --settings ./web.toml 2>sidecar.log &
sidecar=$!
trap 'kill $sidecar' EXIT
for try in $(seq 300); do
    curl -sf --unix-socket ./web/sidecar.sock http://localhost/readyz >&2 && break
    sleep 0.1
done
curl -s --unix-socket ./web/sidecar.sock http://localhost/api/v1/secrets/web/database/password
echo
strongroom-run --socket ./web/sidecar.sock -- env
"#
    );
    let output = shell(&scene, &script);
    let (json, env) = output.split_once('\n').unwrap();
    let json: serde_json::Value = serde_json::from_str(json).unwrap();
    assert_eq!(json["value"], "s3cret");
    assert_eq!(json["environment"], "prod");
    assert_eq!(json["path"], "web/database/password");
    assert!(
        env.lines().any(|line| line == "WEB_DATABASE_PASSWORD=s3cret"),
        "{env}"
    );
}
