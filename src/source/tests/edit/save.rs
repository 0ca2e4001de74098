//! What is written, and what is refused: the file is as it was then, and nothing lies beside it.

use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;
use crate::source::store::StoreError;

const SHOP: &str = "[[versions]]\nname = \"v1\"\ncomponent = \"a.wasm\"\n";
const WRONG: &str = "[[versions]]\nname = \"v1\"\ncomponent = \"a.wasm\"\nx = 1\n";

#[test]
fn what_was_written_can_be_taken_back() {
    let site = Site::new(SHOP);
    let mut file = site.open();
    file.text.set_split(&shares(&[("v1", 100.0)]));
    let saved = file.save(&site.main()).unwrap();
    assert_eq!(saved.before, SHOP);
    assert_eq!(saved.digest, Digest::of(site.text()));
    saved.revert().unwrap();
    assert_eq!(site.text(), SHOP);
    let mut file = site.open();
    file.text.set_split(&shares(&[("v1", 100.0)]));
    let saved = file.save(&site.main()).unwrap();
    fs::write(site.file(), "# mine\n").unwrap();
    assert!(matches!(saved.revert(), Err(EditError::Changed { .. })));
    assert_eq!((site.text().as_str(), site.names()), ("# mine\n", vec!["shop.toml".to_owned()]));
}

#[test]
fn a_new_service_is_created_and_taken_back() {
    let site = Site::new(SHOP);
    let path = site.path("services/new.toml");
    let service = ServiceName::new("other").unwrap();
    let domains = ["a.example".to_owned(), "b.example".to_owned()];
    let mut file = ServiceFile::create(&path, &service, &domains).unwrap();
    file.text.add_version(&version("v1", site.path("bin/a.wasm")));
    let saved = file.save(&site.main()).unwrap();
    let expected = format!(
        "name = \"other\"\ndomains = [\"a.example\", \"b.example\"]\n\n[[versions]]\nname = \"v1\"\n\
         component = \"../bin/a.wasm\"\ndigest = \"{}\"\n",
        digest(1)
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), expected);
    assert_eq!(site.config().environments[0].services.len(), 2);
    saved.revert().unwrap();
    assert_eq!(site.names(), ["shop.toml"]);
    let mut file = ServiceFile::create(&path, &ServiceName::new("new").unwrap(), &[]).unwrap();
    file.text.add_version(&version("v1", "/a.wasm"));
    assert!(
        file.text.to_string().starts_with("[[versions]]\nname = \"v1\"\n"),
        "{}",
        file.text.to_string()
    );
}

#[test]
fn a_new_file_must_be_one_that_is_served() {
    let site = Site::new(SHOP);
    let service = ServiceName::new("other").unwrap();
    let exists = ServiceFile::create(&site.file(), &service, &[]);
    assert!(matches!(exists, Err(EditError::Exists { .. })));
    let mut file = ServiceFile::create(&site.path("other.toml"), &service, &[]).unwrap();
    file.text.add_version(&version("v1", "/a.wasm"));
    let refused = file.save(&site.main()).unwrap_err();
    let expected = format!(
        "no environment of {} would find {}; nothing was written; put it where \
         `services/*.toml` (default) leads, or correct that",
        site.main().display(),
        site.path("other.toml").display()
    );
    assert_eq!(refused.line(), expected);
    assert!(!site.path("other.toml").exists());
    let nowhere = ServiceFile::create(&site.path("no/other.toml"), &service, &[]).unwrap_err();
    assert!(nowhere.to_string().starts_with("there is no directory"), "{nowhere}");
}

#[test]
fn what_would_be_wrong_is_not_written() {
    let site = Site::new(SHOP);
    let mut file = site.open();
    file.text.set_split(&shares(&[("v1", 90.0), ("v9", 10.0)]));
    let refused = said(&file.save(&site.main()).unwrap_err());
    assert!(refused.starts_with("the configuration would be wrong with this edit"), "{refused}");
    assert!(refused.contains("there is no version `v9`"), "{refused}");
    assert_eq!((site.text().as_str(), site.names()), (SHOP, vec!["shop.toml".to_owned()]));
}

#[test]
fn what_was_wrong_before_is_said_and_may_be_mended() {
    let site = Site::new(WRONG);
    let mut file = site.open();
    file.text.set_split(&shares(&[("v1", 100.0)]));
    let refused = file.save(&site.main()).unwrap_err();
    assert!(matches!(refused, EditError::WrongBefore { .. }), "{refused}");
    assert!(said(&refused).contains("mend it first"), "{refused}");
    assert!(said(&refused).contains("there is no key `x`"), "{refused}");
    assert_eq!(site.text(), WRONG);
    fs::write(site.file(), format!("{SHOP}[traffic]\nsplit = {{ v1 = 90 }}\n")).unwrap();
    let mut file = site.open();
    file.text.set_split(&shares(&[("v1", 100.0)]));
    file.save(&site.main()).unwrap();
}

#[test]
fn a_wrong_file_elsewhere_keeps_nobody_from_rolling_back() {
    let site = Site::new(SHOP);
    fs::write(site.path("services/other.toml"), WRONG).unwrap();
    let mut file = site.open();
    file.text.set_split(&shares(&[("v1", 100.0)]));
    file.save(&site.main()).unwrap();
    fs::write(site.main(), "[server]\nx = 1\n").unwrap();
    let mut file = site.open();
    file.text.set_split(&shares(&[("v1", 0.0)]));
    assert!(matches!(file.save(&site.main()), Err(EditError::WrongBefore { .. })));
}

/// By the order of files alone it would be the other's file that is wrong.
#[test]
fn a_domain_of_another_service_is_not_to_be_had() {
    let site = Site::new(SHOP);
    let other = format!("domains = [\"x.example\"]\n{SHOP}");
    fs::write(site.path("services/z.toml"), other).unwrap();
    let path = site.path("services/a.toml");
    let service = ServiceName::new("a").unwrap();
    let mut file = ServiceFile::create(&path, &service, &["x.example".to_owned()]).unwrap();
    file.text.add_version(&version("v1", "/a.wasm"));
    let refused = said(&file.save(&site.main()).unwrap_err());
    assert!(refused.contains("`x.example` is already a domain of a service"), "{refused}");
    assert!(!path.exists());
}

#[test]
fn what_cannot_be_read_is_told_as_check_does() {
    let site = Site::new(SHOP);
    let refusal = |text: Option<&[u8]>| {
        match text {
            Some(text) => fs::write(site.file(), text).unwrap(),
            None => fs::remove_file(site.file()).unwrap(),
        }
        said(&ServiceFile::open(&site.file()).unwrap_err())
    };
    let refused = refusal(Some(b"# \xff\n"));
    assert!(refused.contains("byte 3 is not UTF-8"), "{refused}");
    let refused = refusal(Some(b"[[versions]\n"));
    assert!(refused.contains("cannot be edited") && refused.contains("shop.toml:1"), "{refused}");
    let refused = refusal(None);
    assert!(refused.contains("there is no such file"), "{refused}");
}

#[test]
fn what_somebody_else_writes_meanwhile_stays() {
    let site = Site::new(SHOP);
    let mut file = site.open();
    file.text.set_split(&shares(&[("v1", 100.0)]));
    let theirs = format!("# mine\n{SHOP}");
    fs::write(site.file(), &theirs).unwrap();
    let refused = said(&file.save(&site.main()).unwrap_err());
    assert!(
        refused.contains(
            "was changed by somebody else meanwhile; nothing was written; look at it, and try again"
        ),
        "{refused}"
    );
    assert_eq!((site.text(), site.names()), (theirs, vec!["shop.toml".to_owned()]));
}

#[test]
fn a_link_stays_and_what_it_leads_to_is_changed() {
    let site = Site::new(SHOP);
    let real = site.path("real.toml");
    fs::rename(site.file(), &real).unwrap();
    symlink("../real.toml", site.file()).unwrap();
    let mut file = site.open();
    file.text.add_version(&version("v2", site.path("services/b.wasm")));
    file.save(&site.main()).unwrap();
    assert!(fs::symlink_metadata(site.file()).unwrap().is_symlink());
    let text = fs::read_to_string(&real).unwrap();
    assert!(text.contains("component = \"b.wasm\""), "as the configuration names it: {text}");
}

#[test]
fn a_config_map_is_edited_where_it_comes_from() {
    let site = Site::new(SHOP);
    fs::create_dir(site.path("services/..1")).unwrap();
    fs::rename(site.file(), site.path("services/..1/shop.toml")).unwrap();
    symlink("..1", site.path("services/..data")).unwrap();
    symlink("..data/shop.toml", site.file()).unwrap();
    let mut file = site.open();
    file.text.set_split(&shares(&[("v1", 100.0)]));
    let refused = said(&file.save(&site.main()).unwrap_err());
    assert!(refused.contains("make this change in the ConfigMap:\n\nline 4:\n"), "{refused}");
    assert!(refused.ends_with("+ [traffic]\n+ split = { v1 = 100 }\n"), "{refused}");
    assert_eq!(site.text(), SHOP);
}

#[test]
fn a_directory_that_is_not_writable_is_told_with_the_change() {
    // Root may write everywhere.
    if rustix::process::geteuid().is_root() {
        return;
    }
    let site = Site::new(SHOP);
    fs::set_permissions(site.path("services"), fs::Permissions::from_mode(0o555)).unwrap();
    let mut file = site.open();
    file.text.set_split(&shares(&[("v1", 100.0)]));
    let refused = said(&file.save(&site.main()).unwrap_err());
    fs::set_permissions(site.path("services"), fs::Permissions::from_mode(0o755)).unwrap();
    assert!(refused.contains("is not writable for this user"), "{refused}");
    assert!(refused.ends_with("+ split = { v1 = 100 }\n"), "{refused}");
}

#[test]
fn whose_error_it_is_is_said() {
    let change = || "line 1:\n- a\n+ b\n".to_owned();
    let say = |error| said(&EditError::of(error, Path::new("/s/a.toml"), None, change));
    let denied = || std::io::Error::from(std::io::ErrorKind::ReadOnlyFilesystem);
    let refused = say(StoreError::Denied(denied()));
    assert!(refused.starts_with("/s/a.toml is not writable for this user"), "{refused}");
    assert!(refused.ends_with("+ b\n"), "{refused}");
    let refused = say(StoreError::Owner { user: 7, group: 8, error: denied() });
    assert!(refused.contains("belongs to user 7 and group 8"), "{refused}");
    assert!(say(StoreError::Busy).contains("has not ended in 10 s"));
}
