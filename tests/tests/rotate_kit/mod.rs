//! For tests of targets: a store with a plan, rotated by this process or by the program.
#![allow(dead_code, unreachable_pub, clippy::print_stdout, clippy::expect_used)]

use std::process::{Child, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use strongroom_core::Vault;
use strongroom_core::ambient::Ambient;
use strongroom_core::crypto::identity::Identity;
use strongroom_core::id::{PlaceId, Revision};
use strongroom_core::name::{EntryPath, EnvironmentName};
use strongroom_core::rotation::plan::Plan;
use strongroom_core::rotator::{
    Delivered, DriveError, Driver, End, How, Named, Told, Uptake, Waiting, Witness,
};
use strongroom_core::snapshot::Entry;
use strongroom_core::vault::OpenOptions;
use strongroom_core::{store, target};
use strongroom_tests::dice::Dice;
use strongroom_tests::scene::Scene;

pub const PATH: &str = "web/credential";

/// A store with the secret [`PATH`] in `prod`.
pub struct Desk {
    pub scene: Scene,
}

impl Desk {
    /// With a first value and a plan.
    pub fn new(first: &str, plan: &str) -> Self {
        let scene = Scene::with(&["prod"]);
        let desk = Self { scene };
        desk.scene.put("prod", PATH, first);
        desk.plan(plan);
        desk
    }

    /// Another plan.
    pub fn plan(&self, plan: &str) {
        let set = ["rotate", "policy", "set", "prod", PATH, "--file", "-"];
        self.scene.ok_with(&set, plan.as_bytes());
    }

    /// Rotates by the program.
    pub fn rotate(&self, options: &[&str]) -> Output {
        self.scene.run(&[&["rotate", "prod", PATH], options].concat())
    }

    pub fn start(&self) -> Child {
        let mut command = self.scene.strongroom(&["rotate", "prod", PATH]);
        command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    pub fn current(&self) -> String {
        self.scene.ok(&["get", "prod", PATH])
    }

    /// Every value that there ever was.
    pub fn show(&self) -> serde_json::Value {
        serde_json::from_str(&self.scene.ok(&["show", "prod", PATH, "--json"])).unwrap()
    }

    /// Nothing is pending and nothing lives on.
    pub fn assert_at_rest(&self) {
        let show = self.show();
        assert!(
            show.get("pending").is_none() && show.get("previous").is_none(),
            "{show}"
        );
    }

    /// The store as a program has it that follows it.
    pub fn vault(&self) -> Arc<Vault> {
        let identity = Identity::read_file(&self.scene.file("alice.identity"), || None).unwrap();
        let store = store::open(&self.scene.store(), true).unwrap();
        let vault = Vault::open(Arc::from(store), Arc::new(identity), OpenOptions::default()).unwrap();
        let vault = Arc::new(vault);
        vault.follow().unwrap();
        vault
    }

    /// Rotates, is killed after some time, and goes on or takes back, until it is at rest.
    pub fn killed(&self, dice: &mut Dice) {
        let mut rotator = self.start();
        std::thread::sleep(Duration::from_millis(dice.below(700)));
        rotator.kill().unwrap();
        rotator.wait().unwrap();
        let how = if dice.below(2) == 0 { "--abort" } else { "--resume" };
        let ran = self.rotate(&[how]);
        let said = String::from_utf8_lossy(&ran.stderr);
        if said.contains("may be gone") {
            let ran = self.rotate(&["--resume"]);
            assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        } else {
            // It was not begun, or ended already.
            assert!(ran.status.success() || said.contains("no rotation of"), "{said}");
        }
        self.assert_at_rest();
    }
}

/// Asks `kill` again and again, and `check` after each time: `STRONGROOM_KILLS` times, or for a while.
pub fn again_and_again(mut kill: impl FnMut(&mut Dice), check: impl Fn()) {
    let mut dice = Dice::new();
    let began = Instant::now();
    let asked: Option<u32> = std::env::var("STRONGROOM_KILLS")
        .ok()
        .map(|text| text.parse().expect("STRONGROOM_KILLS is a number"));
    let mut times = 0;
    while asked.map_or(began.elapsed() < Duration::from_secs(20) || times < 5, |asked| {
        times < asked
    }) {
        kill(&mut dice);
        check();
        times += 1;
    }
    println!("killed {times} times");
}

pub fn environment() -> EnvironmentName {
    EnvironmentName::new("prod").unwrap()
}

pub fn path(text: &str) -> EntryPath {
    EntryPath::new(text).unwrap()
}

pub fn value(vault: &Vault, at: &str) -> String {
    let secret = vault.snapshot().secret(&environment(), &path(at)).unwrap();
    secret.expose(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
}

/// Rotates in this process.
pub fn drive(vault: &Vault, uptake: &mut dyn Uptake, witness: &mut dyn Witness) -> Result<End, DriveError> {
    let (environment, path, ambient) = (environment(), path(PATH), Ambient::system());
    let named = Named::of(&vault.snapshot(), &environment, &path).unwrap();
    let mut target = target::builtin(&named.plan.target.kind).unwrap();
    let driver = Driver {
        vault,
        environment: &environment,
        path: &path,
        named: &named,
        message: "a test",
        place: PlaceId([1; 16]),
        ambient: &ambient,
        target: &mut *target,
        uptake,
        witness,
    };
    driver.begin(false)
}

/// Goes on in this process with what is there.
pub fn go_on(vault: &Vault, how: How) -> Result<End, DriveError> {
    let (environment, path, ambient) = (environment(), path(PATH), Ambient::system());
    let rotation = vault.rotation(&environment, &path).unwrap().unwrap();
    let named = Named::by_record(vault, &rotation).unwrap();
    let mut target = target::builtin(&named.plan.target.kind).unwrap();
    let driver = Driver {
        vault,
        environment: &environment,
        path: &path,
        named: &named,
        message: "a test",
        place: PlaceId([1; 16]),
        ambient: &ambient,
        target: &mut *target,
        uptake: &mut at_once(),
        witness: &mut Nobody,
    };
    driver.go_on(&rotation, how)
}

/// Waits for nobody.
pub struct AtOnce;

impl Uptake for AtOnce {
    fn waiting(&mut self, _: &Delivered<'_>) -> Result<Vec<Waiting>, String> {
        Ok(Vec::new())
    }
}

pub fn at_once() -> AtOnce {
    AtOnce
}

/// Nobody looks on.
pub struct Nobody;

impl Witness for Nobody {
    fn opens(&mut self, _: &[&Entry], _: Revision) -> Result<(), String> {
        Ok(())
    }
    fn told(&mut self, _: &Told<'_>) {}
}

/// Does something when it is told.
pub struct OnTold<F>(pub F);

impl<F: FnMut(&Told<'_>)> Witness for OnTold<F> {
    fn opens(&mut self, _: &[&Entry], _: Revision) -> Result<(), String> {
        Ok(())
    }
    fn told(&mut self, told: &Told<'_>) {
        (self.0)(told);
    }
}

/// Consumers of which each tells the version it has.
pub struct Users(pub Arc<Vec<std::sync::atomic::AtomicU64>>);

impl Uptake for Users {
    fn waiting(&mut self, delivered: &Delivered<'_>) -> Result<Vec<Waiting>, String> {
        let has = |user: &std::sync::atomic::AtomicU64| {
            user.load(std::sync::atomic::Ordering::SeqCst) >= u64::from(delivered.version.0)
        };
        let waiting = self.0.iter().enumerate().filter(|(_, user)| !has(user));
        Ok(waiting
            .map(|(number, _)| Waiting {
                consumer: format!("user {number}"),
                since: delivered.since,
            })
            .collect())
    }
}

/// A plan's common lines and those of its target.
pub fn plan(strategy: &str, more: &str) -> String {
    let text = format!("strategy = \"{strategy}\"\ngenerator = \"password\"\nsettle = \"0s\"\n{more}\n");
    text.parse::<Plan>()
        .unwrap_or_else(|error| panic!("{error}\n{text}"));
    text
}
