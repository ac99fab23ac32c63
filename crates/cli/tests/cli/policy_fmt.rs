//! `policy fmt`: which files it changes, and that they stay what they were otherwise.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};

use crate::desk::Desk;

const UNTIDY: &str = "permit(principal,action,resource);";
const TIDY: &str = "permit (principal, action, resource);\n";

#[test]
fn fmt_formats_in_place_through_a_pipe_and_only_what_validates() {
    let desk = Desk::bare();
    desk.write("a.cedar", UNTIDY);
    desk.write("b.cedar", TIDY);
    let ran = desk.run(["policy", "fmt", "--check", "a.cedar", "b.cedar"]);
    assert_eq!(
        (ran.code, String::from_utf8(ran.stdout).unwrap()),
        (1, "a.cedar: is not formatted\n".into())
    );
    assert_eq!(
        desk.ok(["policy", "fmt", "a.cedar", "b.cedar"]),
        "a.cedar: formatted\n"
    );
    assert_eq!(desk.ok(["policy", "fmt", "--check", "a.cedar", "b.cedar"]), "");
    assert_eq!(desk.feed(["policy", "fmt"], UNTIDY).ok(), TIDY);
    let file = desk.write("c.cedar", "permit(principal);");
    desk.run(["policy", "fmt", "c.cedar"])
        .refused(1, "c.cedar: line 1, column ");
    assert_eq!(std::fs::read(file).unwrap(), b"permit(principal);");
}

#[test]
fn fmt_keeps_link_mode_and_owner_and_leaves_nothing_beside() {
    let desk = Desk::bare();
    std::fs::create_dir(desk.file("real")).unwrap();
    let file = desk.write("real/a.cedar", UNTIDY);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        chown(&file, Some(4711), Some(4712)).unwrap();
    }
    symlink("real/a.cedar", desk.file("a.cedar")).unwrap();
    // somebody's own, which happens to be called so
    desk.write("a.cedar.new", "mine");
    desk.write("real/a.cedar.new", "mine");
    desk.ok(["policy", "fmt", "a.cedar"]);
    assert_eq!(
        std::fs::read_link(desk.file("a.cedar")).unwrap().to_str(),
        Some("real/a.cedar")
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), TIDY);
    let metadata = std::fs::metadata(&file).unwrap();
    assert_eq!(metadata.mode() & 0o7777, 0o640);
    if is_root {
        assert_eq!((metadata.uid(), metadata.gid()), (4711, 4712));
    }
    for name in ["a.cedar.new", "real/a.cedar.new"] {
        assert_eq!(std::fs::read_to_string(desk.file(name)).unwrap(), "mine");
    }
    assert_eq!(std::fs::read_dir(desk.file("real")).unwrap().count(), 2);
}
