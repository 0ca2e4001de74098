//! Wrong configurations: each gets a report, and every one under `tests/config/invalid` the report beside it. Those under
//! `tests/config/warned` are right, and get the warnings beside them.

use super::*;

/// A file that was emptied to be written anew, seen in between.
#[test]
fn a_file_that_declares_nothing_is_a_problem() {
    for blank in ["", " \n\t\n", "# written by hand\n\n#:schema x.json"] {
        let main = Tree::new(&[("config/watershed.toml", blank), ("config/services/.keep", "")]);
        assert_eq!(main.messages(), ["the file declares nothing"]);
        let service = ("config/services/s.toml", blank);
        let service = Tree::new(&[("config/watershed.toml", "[server]"), service]);
        assert_eq!(service.messages(), ["the file declares nothing"]);
    }
}

#[test]
fn two_environments_may_share_files_and_a_problem_in_them_is_told_once() {
    let main = "[[environments]]\nname = \"a\"\ndomain = \"a.org\"\n\
                [[environments]]\nname = \"b\"\ndomain = \"b.org\"\n";
    let good =
        Tree::new(&[("config/watershed.toml", main), ("config/services/s.toml", "domains = []")]);
    let config = good.load().unwrap();
    let domains = config.environments.iter().map(|e| e.services[0].domains[0].to_string());
    assert_eq!(domains.collect::<Vec<_>>(), ["s.a.org", "s.b.org"]);
    let wrong = Tree::new(&[("config/watershed.toml", main), ("config/services/s.toml", "x = 1")]);
    assert_eq!(wrong.messages(), ["there is no key `x` at the top of the file"]);
}

#[test]
fn text_that_is_not_utf_8_is_a_problem_with_a_line() {
    let tree = Tree::new(&[("config/services/.keep", "")]);
    fs::write(tree.path("config/watershed.toml"), b"[server]\n# \xff\n").unwrap();
    let report = tree.load().unwrap_err();
    assert_eq!(report.problems[0].line, Some(2));
    assert_eq!(report.problems[0].message, "byte 12 is not UTF-8");
    assert!(report.to_string().contains("watershed.toml:2"), "{report}");
}

#[test]
fn a_missing_main_file_is_a_problem_without_a_line() {
    let report = load(Path::new("/nowhere/watershed.toml")).unwrap_err();
    let help = "create it (`watershed init` writes a configuration to begin with), or give the path of the file you \
                mean";
    let problem = Problem::of_file("/nowhere/watershed.toml", "there is no such file", help);
    assert_eq!(report.problems, [problem]);
}

#[test]
fn a_file_of_nothing_but_misfits_ends() {
    let keys: String = (0..300).map(|n| format!("k{n} = {n}\n")).collect();
    let tree = Tree::new(&[("config/watershed.toml", &keys), ("config/services/.keep", "")]);
    assert_eq!(tree.messages().len(), 101);
}

#[test]
fn an_array_is_no_table() {
    let main = "admin = [\"127.0.0.1:9090\", \"token\"]";
    let tree = Tree::new(&[("config/watershed.toml", main), ("config/services/.keep", "")]);
    assert_eq!(tree.messages(), ["`admin` must be a table, not an array"]);
}

#[test]
fn a_problem_is_machine_readable() {
    let tree = Tree::new(&[
        ("config/watershed.toml", "[server]\nthreads = \"zwölf\""),
        ("config/services/.keep", ""),
    ]);
    let report = serde_json::to_value(tree.load().unwrap_err()).unwrap();
    let expected = serde_json::json!({ "problems": [{
        "file": tree.path("config/watershed.toml"),
        "line": 2,
        "column": 11,
        "width": 7,
        "source": "threads = \"zwölf\"",
        "message": "`threads` must be a whole number, not the string \"zwölf\"",
        "help": "write digits only, without quotation marks",
    }]});
    assert_eq!(report, expected);
}

proptest! {
    #[test]
    fn damage_is_reported_and_shown(
        at in 0..WATERSHED.len(),
        length in 0..40_usize,
        patch in "[\\PC\n\r\t\0\\[\\]{}=\".#é]{0,6}",
        main: bool,
    ) {
        let (before, after) = if main { (WATERSHED, GREETER) } else { (GREETER, WATERSHED) };
        let start = at.min(before.len());
        let end = (start + length).min(before.len());
        let damaged = format!("{}{patch}{}", &before[..start], &before[end..]);
        let (watershed, greeter) = if main { (&*damaged, after) } else { (after, &*damaged) };
        let tree = Tree::new(&[
            ("config/watershed.toml", watershed),
            ("config/services/greeter.toml", greeter),
        ]);
        if let Err(report) = tree.load() {
            prop_assert!(!report.problems.is_empty());
            prop_assert!(report.to_string().contains("--> "));
        }
    }
}

#[test]
fn every_wrong_configuration_has_its_expected_report() {
    let report = |case: &Path| match load(&case.join("watershed.toml")) {
        Ok(config) => Err(format!("{} is valid: {config:?}", case.display())),
        Err(report) => Ok(report.to_string()),
    };
    goldens("invalid", 95, report);
}

#[test]
fn every_suspect_configuration_has_its_expected_warnings() {
    let warnings = |case: &Path| match load(&case.join("watershed.toml")) {
        Ok(config) => Ok(Warnings(&config.warnings).to_string()),
        Err(report) => Err(format!("{} is wrong: {report}", case.display())),
    };
    goldens("warned", 2, warnings);
}

/// Compares what is said about each case of a kind with what is beside it; there are at least so many.
fn goldens(kind: &str, least: usize, say: impl Fn(&Path) -> Result<String, String>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config").join(kind);
    let mut cases: Vec<PathBuf> =
        fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() >= least, "only {} cases", cases.len());
    let wrong: Vec<String> = cases.iter().filter_map(|case| golden(case, &say)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// What differs from what is expected of a case, if anything.
fn golden(case: &Path, say: impl Fn(&Path) -> Result<String, String>) -> Option<String> {
    let actual = match say(case) {
        Ok(said) => without_directory(&said, case),
        Err(why) => return Some(why),
    };
    let expected = case.join("expected.txt");
    if env::var_os("WATERSHED_UPDATE_GOLDEN").is_some() {
        fs::write(&expected, &actual).unwrap();
    }
    let wanted = fs::read_to_string(&expected).unwrap_or_default();
    (actual != wanted).then(|| {
        let case = case.display();
        format!("{case}\n--- expected\n{wanted}\n--- actual\n{actual}")
    })
}

fn without_directory(said: &str, case: &Path) -> String {
    let short = short_path(case).display().to_string();
    let text = said.replace(&format!("{}/", case.display()), "");
    text.replace(&format!("{short}/"), "") + "\n"
}

#[test]
fn a_link_to_nowhere_among_the_services_is_told() {
    let main = ("config/watershed.toml", "[server]");
    let tree = Tree::new(&[main, ("config/services/s.toml", "domains = []")]);
    let link = tree.path("config/services/gone.toml");
    std::os::unix::fs::symlink("nowhere.toml", link).unwrap();
    assert_eq!(tree.messages(), ["this is a link, and there is nothing where it leads"]);
}
