//! What the built files are: small, of one origin, and nothing that the policy would forbid.

use super::*;

/// What all files may have, compressed.
const LARGEST: usize = 200 << 10;

/// Addresses that nobody loads: names of languages, and what is shown as an example.
const NAMES: [&str; 2] = ["http://www.w3.org/", "https://api.example.com"];

fn text(file: &File) -> &'static str {
    std::str::from_utf8(file.content).unwrap()
}

#[test]
fn the_files_are_small() {
    let sizes = FILES.map(|file| compressed(file.content).unwrap().len());
    assert!(sizes.iter().sum::<usize>() <= LARGEST, "{sizes:?}");
}

#[test]
fn nothing_is_loaded_from_elsewhere() {
    for file in &FILES {
        let text = text(file);
        for (at, _) in text.match_indices("://") {
            let before = text.get(..at).unwrap();
            let scheme = before.rsplit(|it: char| !it.is_ascii_alphabetic()).next().unwrap();
            let address = text.get(at - scheme.len()..).unwrap();
            let is_web = ["http", "https", "ws", "wss", "ftp"].contains(&scheme);
            let shown: String = address.chars().take(80).collect();
            let is_name = NAMES.iter().any(|name| address.starts_with(name));
            assert!(!is_web || is_name, "{}: {shown}", file.name);
        }
    }
    let page = text(&FILES[0]);
    for source in ["src=\"//", "href=\"//", "@import", "url(//"] {
        assert!(FILES.iter().all(|file| !text(file).contains(source)), "{source}: {page}");
    }
}

/// `script-src 'self'` and `style-src 'self'` let no inline script and no inline style run.
#[test]
fn the_page_has_no_inline_script_or_style() {
    let page = text(&FILES[0]).to_ascii_lowercase();
    assert!(!page.contains("<style") && !page.contains("style=") && !page.contains("javascript:"));
    for script in page.split("<script").skip(1) {
        let (tag, rest) = script.split_once('>').unwrap();
        assert!(tag.contains("src=") && rest.starts_with("</script>"), "{script}");
    }
    let handler = page.split([' ', '\n']).find(|word| word.starts_with("on") && word.contains('='));
    assert_eq!(handler, None);
}

#[test]
fn the_page_names_only_files_that_there_are() {
    let page = text(&FILES[0]);
    for attribute in ["src=\"", "href=\""] {
        for rest in page.split(attribute).skip(1) {
            let name = rest.split('"').next().unwrap();
            let name = name.strip_prefix("./").or(name.strip_prefix(ROOT)).unwrap_or(name);
            assert!(has(&format!("{ROOT}{name}")), "{name}");
        }
    }
    assert!(has("/") && has("/console") && has("/console/"));
    assert!(!has("/console/index.html") && !has("/console/../") && !has("/consoleconsole.js"));
}
