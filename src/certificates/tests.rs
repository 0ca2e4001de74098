//! Pairs in every form in which people have them, wrong in every way, and changed in every order.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DnType, IsCa, KeyPair,
    PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, SanType, date_time_ymd,
};
use tempfile::TempDir;

use super::facts::Doubt;
use super::pair::problem_of;
use super::*;
use crate::config::CertificateFiles;
use crate::source::Reading;

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn issuer(name: &str) -> Issuer {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    params.distinguished_name.push(DnType::OrganizationName, "Ours");
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate that is valid for as long as the machine of the test exists.
fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.push(DnType::CommonName, "shop");
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2100, 1, 1));
    params
}

fn self_signed(params: &CertificateParams) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

fn pair(name: &str) -> (String, String) {
    self_signed(&params(&[name]))
}

struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path
    }

    fn named(&self, name: &str) -> CertificateFiles {
        let path = |end: &str| self.path(&format!("{name}{end}"));
        CertificateFiles { certificate: path(".pem").into(), key: path(".key").into() }
    }

    fn put(&self, name: &str, pair: &(String, String)) -> CertificateFiles {
        let files = self.named(name);
        fs::write(&files.certificate.path, &pair.0).unwrap();
        fs::write(&files.key.path, &pair.1).unwrap();
        files
    }
}

fn now() -> SystemTime {
    SystemTime::now()
}

fn load(store: &mut CertificateStore, wanted: &[CertificateFiles]) -> bool {
    store.load(wanted, Reading::Changed, now())
}

/// The first name of each pair that is served, the default one first.
fn served(store: &CertificateStore) -> Vec<String> {
    store.list().into_iter().map(|(names, _)| names.first().cloned().unwrap_or_default()).collect()
}

#[test]
fn keys_of_every_kind_and_form_are_taken() {
    let files = Files::new();
    for algorithm in [&PKCS_ECDSA_P256_SHA256, &PKCS_ECDSA_P384_SHA384, &PKCS_ED25519] {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let certificate = params(&["a.example"]).self_signed(&key).unwrap().pem();
        Pair::load(&files.put("pkcs8", &(certificate, key.serialize_pem()))).unwrap();
    }
    let keys = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/upstream/tls/keys"));
    for name in ["sec1", "pkcs1"] {
        let path = |end: &str| keys.join(format!("{name}.{end}"));
        Pair::load(&CertificateFiles { certificate: path("pem").into(), key: path("key").into() })
            .unwrap();
    }
    // Both in one file, as HAProxy wants them.
    let (certificate, key) = pair("a.example");
    let both = files.write("both", format!("{key}{certificate}"));
    Pair::load(&CertificateFiles { certificate: both.clone().into(), key: both.into() }).unwrap();
}

#[test]
fn a_certificate_says_whose_it_is_and_who_signed_it() {
    let files = Files::new();
    let ours = issuer("R1");
    let mut params = params(&["Shop.Example.COM", "*.shop.example.com"]);
    let addresses = ["192.0.2.7", "2001:db8::7"].map(|it| SanType::IpAddress(it.parse().unwrap()));
    params.subject_alt_names.extend(addresses);
    params.subject_alt_names.push(SanType::Rfc822Name("me@example.com".try_into().unwrap()));
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &ours).unwrap().pem();
    let facts = Pair::load(&files.put("a", &(certificate, key.serialize_pem()))).unwrap().facts;
    let names = ["shop.example.com", "*.shop.example.com", "192.0.2.7", "2001:db8::7"];
    assert_eq!(
        (facts.names, facts.issuer.as_str()),
        (names.map(str::to_owned).to_vec(), "R1 (Ours)")
    );
    assert_eq!(facts.not_after, SystemTime::from(date_time_ymd(2100, 1, 1)));
    assert_eq!(facts.doubt, None);
    let own = Pair::load(&files.put("b", &pair("a.example"))).unwrap().facts;
    assert_eq!(own.issuer, "itself");
}

#[test]
fn a_file_that_is_no_certificate_is_named_with_what_it_is() {
    let files = Files::new();
    let (certificate, key) = pair("a.example");
    let good = files.put("good", &(certificate.clone(), key.clone()));
    fs::create_dir(files.path("directory")).unwrap();
    symlink(files.path("gone"), files.path("dangling")).unwrap();
    let mode = rustix::fs::Mode::RWXU;
    rustix::fs::mkfifoat(rustix::fs::CWD, files.path("pipe"), mode).unwrap();
    files.write("empty", "\n");
    files.write("garbage", "ceci n'est pas un certificat");
    files.write("half", &certificate[..certificate.len() / 2]);
    files.write("half.key", &key[..key.len() / 2]);
    files.write("damaged", certificate.replacen("MII", "M!I", 1));
    files.write("der", [0x30, 0x82, 1, 0]);
    files.write("long", vec![b'a'; 16 << 20]);
    files.write("nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    files.write("nonsense.key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    files.write("other.key", pair("a.example").1);
    let kind = "ENCRYPTED PRIVATE KEY";
    files.write("encrypted", format!("-----BEGIN {kind}-----\nAAAA\n-----END {kind}-----\n"));
    let (kind, head) = ("RSA PRIVATE KEY", "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n");
    files.write("old", format!("-----BEGIN {kind}-----\n{head}AAAA\n-----END {kind}-----\n"));

    let both = |name| vec![(name, Kind::Certificate), (name, Kind::Key)];
    let cases = [
        (both("directory"), "is a directory", "path of the PEM file"),
        (both("dangling"), "is not there", "create the file"),
        (both("pipe"), "is a pipe", "path of the PEM file"),
        (both("empty"), "is empty", "until it is written"),
        (both("der"), "is DER", "openssl"),
        (both("long"), "is longer than 4 MiB", "path of the PEM file"),
        (vec![("garbage", Kind::Certificate)], "has no PEM certificate", "server's certificate"),
        (vec![("garbage", Kind::Key)], "has no PEM key", "private key"),
        (vec![("half", Kind::Certificate)], "ends in the middle of PEM", "until it is written"),
        (vec![("half.key", Kind::Key)], "ends in the middle of PEM", "until it is written"),
        (vec![("damaged", Kind::Certificate)], "is not valid PEM", "damaged"),
        (
            vec![("good.key", Kind::Certificate)],
            "is a key, and no certificate",
            "server's certificate",
        ),
        (vec![("good.pem", Kind::Key)], "is a certificate, and no key", "private key"),
        (vec![("nonsense", Kind::Certificate)], "cannot be read", "server's certificate"),
        (vec![("nonsense.key", Kind::Key)], "has a kind, size or curve", "ECDSA P-256"),
        (
            vec![("encrypted", Kind::Key), ("old", Kind::Key)],
            "is encrypted",
            "without a passphrase",
        ),
        (vec![("other.key", Kind::Key)], "does not belong to", "certificate was made for"),
    ];
    for (name, kind, expected, help) in cases.iter().flat_map(|(names, expected, help)| {
        names.iter().map(move |(name, kind)| (*name, *kind, *expected, *help))
    }) {
        let mut wrong = good.clone();
        match kind {
            Kind::Key => wrong.key = files.path(name).into(),
            _ => wrong.certificate = files.path(name).into(),
        }
        let bad = Pair::load(&wrong).unwrap_err();
        assert_eq!((&bad.file, bad.kind), (&files.path(name), kind), "{bad}");
        let told = bad.to_string();
        assert!(told.starts_with(&format!("{} {expected}", files.path(name).display())), "{told}");
        assert!(bad.help().contains(help), "{name}: {}", bad.help());
        let problem = problem_of(&wrong, &bad);
        assert_eq!((problem.file, problem.help.as_str()), (files.path(name), bad.help()));
    }
}

#[test]
fn a_key_that_may_not_be_read_says_who_may() {
    let files = Files::new();
    let pair = files.put("a", &pair("a.example"));
    fs::set_permissions(&pair.key.path, fs::Permissions::from_mode(0o000)).unwrap();
    // Root reads everything.
    if fs::read(&pair.key.path).is_ok() {
        return;
    }
    let bad = Pair::load(&pair).unwrap_err();
    assert_eq!((bad.flaw.clone(), bad.is_transient()), (Flaw::Denied, false));
    assert!(bad.help().contains("user that runs watershed"), "{}", bad.help());
}

/// kubernetes/ingress-nginx#7799, kubernetes/ingress-nginx#6941: with the issuer first, the key seems to be the wrong one.
#[test]
fn a_chain_in_the_wrong_order_is_told_apart_from_a_wrong_key() {
    let files = Files::new();
    let (root, other) = (issuer("root"), issuer("other"));
    let key = KeyPair::generate().unwrap();
    let own = params(&["a.example"]).signed_by(&key, &root).unwrap().pem();
    let with = |chain: &[&str]| files.put("a", &(chain.concat(), key.serialize_pem()));
    let (root, other) = (root.pem(), other.pem());
    let bad = Pair::load(&with(&[&root, &own])).unwrap_err();
    assert_eq!((bad.flaw.clone(), bad.kind), (Flaw::Order { place: 2 }, Kind::Certificate));
    assert!(bad.help().contains("own certificate first"), "{}", bad.help());
    let doubt = |chain: &[&str]| Pair::load(&with(chain)).unwrap().facts.doubt;
    assert_eq!(doubt(&[&own, &root]), None);
    assert_eq!(doubt(&[&own]), None, "an authority of one's own, which clients know");
    assert_eq!(doubt(&[&own, &other, &root]), Some(Doubt::Order));
}

#[test]
fn a_public_certificate_without_its_issuer_is_doubted() {
    let files = Files::new();
    let mut public = params(&["a.example"]);
    // One access description: id-ad-caIssuers, at http://i.
    let access = [
        0x30, 0x16, 0x30, 0x14, 0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x02, 0x86,
        0x08, b'h', b't', b't', b'p', b':', b'/', b'/', b'i',
    ];
    let oid = [1, 3, 6, 1, 5, 5, 7, 1, 1];
    public.custom_extensions.push(CustomExtension::from_oid_content(&oid, access.to_vec()));
    let (key, issuer) = (KeyPair::generate().unwrap(), issuer("R1"));
    let own = public.signed_by(&key, &issuer).unwrap().pem();
    let doubt = |text: String| {
        Pair::load(&files.put("a", &(text, key.serialize_pem()))).unwrap().facts.doubt
    };
    assert_eq!(doubt(own.clone()), Some(Doubt::NoIssuer));
    assert!(Doubt::NoIssuer.help().contains("fullchain.pem"));
    assert_eq!(doubt(format!("{own}{}", issuer.pem())), None);
    let nameless = Pair::load(&files.put("b", &self_signed(&params(&[])))).unwrap();
    assert_eq!(nameless.facts.doubt, Some(Doubt::NoNames));
}

/// kubernetes/kubernetes#127538: the two files of a pair change one after the other.
#[test]
fn a_pair_goes_on_until_both_of_its_files_are_new() {
    let files = Files::new();
    let wanted = [files.put("a", &pair("old.example"))];
    let mut store = CertificateStore::open(&wanted).unwrap();
    assert_eq!((served(&store), store.problems()), (vec!["old.example".to_owned()], Vec::new()));
    let (certificate, key) = pair("new.example");
    fs::write(&wanted[0].certificate.path, certificate).unwrap();
    assert!(load(&mut store, &wanted));
    assert_eq!(served(&store), ["old.example"]);
    let told = &store.problems()[0];
    assert_eq!(told.file, wanted[0].key.path);
    assert!(told.message.contains("does not belong to"), "{told:?}");
    assert!(!load(&mut store, &wanted), "nothing else has happened");
    fs::write(&wanted[0].key.path, &key[..40]).unwrap();
    load(&mut store, &wanted);
    assert_eq!(served(&store), ["old.example"]);
    fs::write(&wanted[0].key.path, key).unwrap();
    assert!(load(&mut store, &wanted));
    assert_eq!((served(&store), store.problems()), (vec!["new.example".to_owned()], Vec::new()));
}

#[test]
fn files_that_are_gone_take_nothing_away() {
    let files = Files::new();
    let wanted = [files.put("a", &pair("a.example"))];
    let mut store = CertificateStore::open(&wanted).unwrap();
    let before = store.list();
    fs::remove_file(&wanted[0].certificate.path).unwrap();
    fs::remove_file(&wanted[0].key.path).unwrap();
    assert!(load(&mut store, &wanted));
    assert!(Arc::ptr_eq(&before[0].1, &store.list()[0].1));
    assert!(store.problems()[0].message.contains("is not there"));
}

/// apache/trafficcontrol#2478: one that cannot be read keeps those below it from being read.
#[test]
fn a_bad_pair_keeps_no_other_from_being_served() {
    let files = Files::new();
    let good = files.put("b", &pair("b.example"));
    let wanted = [files.named("a"), good.clone(), files.named("c")];
    let mut store = CertificateStore::open(&wanted).unwrap();
    assert_eq!((served(&store), store.problems().len()), (vec!["b.example".to_owned()], 2));
    let states = store.states();
    assert_eq!(states.iter().map(|it| it.is_default).collect::<Vec<_>>(), [false, true, false]);
    files.put("a", &pair("a.example"));
    load(&mut store, &wanted);
    assert_eq!(served(&store), ["a.example", "b.example"], "the first is the default again");
}

#[test]
fn a_start_needs_one_pair_that_can_be_used() {
    let files = Files::new();
    let problems = CertificateStore::open(&[files.named("a"), files.named("b")]).unwrap_err();
    let missing: Vec<_> = problems.into_iter().map(|problem| problem.file).collect();
    assert_eq!(missing, [files.path("a.pem"), files.path("b.pem")]);
    assert!(CertificateStore::open(&[]).is_ok());
}

#[test]
fn a_start_waits_for_files_that_are_being_written() {
    let files = Files::new();
    let (certificate, key) = pair("a.example");
    let wanted = files.put("a", &(certificate, pair("b.example").1));
    let path = wanted.key.path.clone();
    let writer = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(150));
        fs::write(path, key).unwrap();
    });
    let store = CertificateStore::open(&[wanted]).unwrap();
    assert_eq!(served(&store), ["a.example"]);
    writer.join().unwrap();
}

#[test]
fn a_certificate_that_is_early_or_late_does_not_replace_one_that_is_valid() {
    let files = Files::new();
    let wanted = [files.put("a", &pair("now.example"))];
    let mut store = CertificateStore::open(&wanted).unwrap();
    let (mut early, mut late) = (params(&["early.example"]), params(&["late.example"]));
    early.not_before = date_time_ymd(2099, 1, 1);
    late.not_after = date_time_ymd(2021, 1, 1);
    files.put("a", &self_signed(&late));
    assert!(load(&mut store, &wanted));
    assert_eq!(served(&store), ["now.example"]);
    files.put("a", &self_signed(&early));
    load(&mut store, &wanted);
    assert_eq!(served(&store), ["now.example"]);
    let held = store.states()[0].held.clone().unwrap();
    assert_eq!(held.names, ["early.example"]);
    assert!(held.validity(now()).warning().unwrap().contains("valid only in"));
    let then = SystemTime::from(date_time_ymd(2099, 6, 1));
    assert!(!store.is_due(now()) && store.is_due(then));
    store.load(&wanted, Reading::Changed, then);
    assert_eq!((served(&store), store.is_due(then)), (vec!["early.example".to_owned()], false));
    // Where nothing else is there, clients decide.
    let alone = [files.put("b", &self_signed(&late))];
    assert_eq!(served(&CertificateStore::open(&alone).unwrap()), ["late.example"]);
}

#[test]
fn an_edit_that_names_a_bad_pair_takes_nothing_away() {
    let files = Files::new();
    let before = [files.put("a", &pair("a.example")), files.put("b", &pair("b.example"))];
    let mut store = CertificateStore::open(&before).unwrap();
    let after = [files.named("new"), before[1].clone()];
    load(&mut store, &after);
    assert_eq!(served(&store), ["a.example", "b.example"], "also as the default");
    let declared: Vec<_> = store.states().iter().map(|state| state.is_declared).collect();
    assert_eq!(declared, [true, true, false]);
    files.put("new", &pair("a.example"));
    load(&mut store, &after);
    assert_eq!((served(&store).len(), store.states().len()), (2, 2));
    load(&mut store, &before[1..]);
    assert_eq!(served(&store), ["b.example"]);
}

#[test]
fn files_that_say_the_same_are_the_same_pair() {
    let files = Files::new();
    let content = pair("a.example");
    let wanted = [files.put("a", &content)];
    let mut store = CertificateStore::open(&wanted).unwrap();
    let before = store.list();
    files.put("a", &content);
    assert!(!load(&mut store, &wanted));
    assert!(!store.load(&wanted, Reading::Everything, now()));
    assert!(Arc::ptr_eq(&before[0].1, &store.list()[0].1));
}
