//! Compares a command's output with its page, except for what differs from run to run:
//!
//! | in a page | may be |
//! | --- | --- |
//! | a time or a date, or seconds since 1970 in JSON | any other |
//! | 12, 32 or 64 hexadecimal digits: digests and ids | any others |
//! | a figure with its unit: `1.30 ms`, `89.60 %` (two decimals: observed, not declared) | any other, `-` or `too early` |
//! | an age and a number of requests: `4 s ago`, `0 s: refused`, `12,345 requests` | any other |
//! | the requests of a target in its row: `healthy  462` | any other |
//! | a rate before a share, as `65.2   0 %` in a row of the status | any other, `-` or `too early` |
//! | spaces in a row | any number of them, since columns are as wide as figures |
//! | counts of `uniq -c` | others that the same shares explain: Fisher's exact test at 10⁻⁹ |
//! | generation numbers | others, each always for the same one and all in the same order |

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// How unlikely a difference of counts must be before it counts as one of shares.
const BEYOND_CHANCE: f64 = 1e-9;

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).unwrap()
}

static TIMES: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r#"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z?|\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT|"at": ?\d{10}|took_us=\d+"#,
    )
});
static DIGITS: LazyLock<Regex> =
    LazyLock::new(|| regex(r"\b([0-9a-f]{64}|[0-9a-f]{32}|[0-9a-f]{12})\b"));
static FIGURES: LazyLock<Regex> = LazyLock::new(|| regex(r"\b\d+(\.\d+)? (ms|µs)|\b\d+\.\d\d %"));
static RATES: LazyLock<Regex> =
    LazyLock::new(|| regex(r"  \d+(?:\.\d)?(  +(?:\d+(?:\.\d+)? %|-))"));
static AGES: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"\b\d+ (s|min|h \d+ min|days?( \d+ h)?)( ago| since|:)|\b\d+(,\d{3})* requests?\b")
});
static TARGETS: LazyLock<Regex> =
    LazyLock::new(|| regex(r"( (?:healthy|unhealthy|ejected|unchecked)) +[\d,]+( +[\d,]+ )"));
static SPACES: LazyLock<Regex> = LazyLock::new(|| regex(r" {2,}"));
static COUNTS: LazyLock<Regex> = LazyLock::new(|| regex(r"^ *(\d+) (.+)$"));
static GENERATIONS: LazyLock<Regex> = LazyLock::new(|| {
    regex(r#"(generation["=: ]+|generation served after it, |--to |^ +)(\d+)($|[^\d.%])"#)
});
static HISTORY_ROW: LazyLock<Regex> = LazyLock::new(|| regex(r"^ +\d+  \d{4}-"));

/// The run's generation numbers in place of the page's.
#[derive(Debug, Default)]
pub struct Generations(BTreeMap<u64, u64>);

impl Generations {
    /// A command of the page, for this run. A number that is not known yet is as far from the last known one as on the
    /// page.
    pub fn translate(&self, command: &str) -> String {
        let number = |page: u64| {
            let (known, run) = self.0.range(..=page).next_back().unwrap_or((&0, &0));
            run + (page - known)
        };
        in_generations(command, |page| number(page).to_string())
    }

    /// Takes a number of the page for one of the run, unless known numbers contradict that.
    fn is(&mut self, page: u64, run: u64) -> bool {
        let before = self.0.range(..page).next_back().is_none_or(|(_, earlier)| *earlier < run);
        let after = self.0.range(page + 1..).next().is_none_or(|(_, later)| *later > run);
        let fits = before && after && self.0.get(&page).is_none_or(|known| *known == run);
        if fits {
            self.0.insert(page, run);
        }
        fits
    }
}

/// Replaces the numbers of generations.
fn in_generations(text: &str, mut replace: impl FnMut(u64) -> String) -> String {
    let one = |found: &Captures<'_>| {
        let number = found[2].parse().unwrap();
        format!("{}{}{}", &found[1], replace(number), &found[3])
    };
    GENERATIONS.replace_all(text, one).into_owned()
}

/// The numbers of generations in a line. A number at its beginning is one in the table of the history.
fn generations(line: &str) -> Vec<u64> {
    let is_row = HISTORY_ROW.is_match(line);
    let found =
        GENERATIONS.captures_iter(line).filter(|found| is_row || !found[1].trim().is_empty());
    found.map(|found| found[2].parse().unwrap()).collect()
}

/// A line without the parts that may differ.
fn normal(line: &str) -> String {
    let is_row = HISTORY_ROW.is_match(line);
    let line = GENERATIONS.replace_all(line, |found: &Captures<'_>| {
        match is_row || !found[1].trim().is_empty() {
            true => format!("{}#{}", &found[1], &found[3]),
            false => found[0].to_owned(),
        }
    });
    let line = TIMES.replace_all(&line, "<time>");
    let line = DIGITS.replace_all(&line, "<digits>");
    let line = AGES.replace_all(&line, "<age>");
    let line = FIGURES.replace_all(&line, "<figure>");
    let line = line.replace("too early", "-");
    let line = TARGETS.replace_all(&line, "$1  <requests>$2");
    let line = RATES.replace_all(&line, "  <rate>$1");
    let line = SPACES.replace_all(&line, "  ");
    // A version without requests has no figures.
    let line = line.replace("<figure>", "-").replace("<rate>", "-");
    line.trim_end().to_owned()
}

/// The first difference between a page and the output, if there is one.
pub fn difference(
    page: &[String],
    printed: &[String],
    generations_met: &mut Generations,
) -> Option<String> {
    if let Some(counts) = both_counts(page, printed) {
        return counts;
    }
    for (page, printed) in page.iter().zip(printed) {
        if normal(page) != normal(printed) {
            return Some(format!("the page says\n  {page}\nand it printed\n  {printed}"));
        }
        for (page, run) in generations(page).into_iter().zip(generations(printed)) {
            if !generations_met.is(page, run) {
                return Some(format!("generation {page} of the page is not {run}: {printed}"));
            }
        }
    }
    (page.len() != printed.len())
        .then(|| format!("the page has {} lines, it printed {}", page.len(), printed.len()))
}

/// The comparison of two tables of `uniq -c`, if both are.
fn both_counts(page: &[String], printed: &[String]) -> Option<Option<String>> {
    let counts = |lines: &[String]| {
        let lines = lines.iter().map(|line| COUNTS.captures(line));
        let counts = lines.map(|line| line.map(|it| (it[2].to_owned(), it[1].parse().unwrap())));
        counts.collect::<Option<BTreeMap<String, u64>>>().filter(|counts| counts.len() > 1)
    };
    let (page, printed) = (counts(page)?, counts(printed)?);
    let sum = |counts: &BTreeMap<_, u64>| counts.values().sum::<u64>();
    if !page.keys().eq(printed.keys()) || sum(&page) != sum(&printed) {
        return Some(Some(format!("{page:?} is another table than {printed:?}")));
    }
    let total = sum(&page);
    let differs = |(one, other): (&u64, &u64)| fisher(*one, *other, total) < BEYOND_CHANCE;
    let differs = page.values().zip(printed.values()).any(differs);
    Some(differs.then(|| format!("chance does not explain {printed:?} beside {page:?}")))
}

/// The probability that two counts, each out of `total`, differ by this much or more if the share is the same: Fisher's
/// exact test, two-sided.
fn fisher(one: u64, other: u64, total: u64) -> f64 {
    let both = one + other;
    let log_factorial =
        |n: u64| (2..=n).map(|n| f64::from(u32::try_from(n).unwrap()).ln()).sum::<f64>();
    let choose = |n, k| log_factorial(n) - log_factorial(k) - log_factorial(n - k);
    let all = choose(2 * total, both);
    let probability = |count: u64| (choose(total, count) + choose(total, both - count) - all).exp();
    let counts = both.saturating_sub(total)..=both.min(total);
    let seen = probability(one);
    counts.map(probability).filter(|it| *it <= seen * (1.0 + 1e-7)).sum()
}

mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn counts_are_alike_within_chance() {
        let page = lines("    107 Bonjour from v2!\n    893 Hello from v1!");
        let differs = |run: &str| difference(&page, &lines(run), &mut Generations::default());
        assert_eq!(differs("     70 Bonjour from v2!\n    930 Hello from v1!"), None);
        assert!(differs("    507 Bonjour from v2!\n    493 Hello from v1!").is_some());
        assert!(differs("    107 Bonjour from v2!\n    892 Hello from v1!").is_some());
        assert!(differs("    107 Bonjour from v3!\n    893 Hello from v1!").is_some());
        assert!((fisher(5, 5, 10) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn generations_keep_their_order() {
        let mut met = Generations::default();
        let mut differs = |page: &str, run: &str| difference(&lines(page), &lines(run), &mut met);
        assert_eq!(differs("generation 4 is served", "generation 6 is served"), None);
        assert_eq!(
            differs("back at what generation 4 served", "back at what generation 6 served"),
            None
        );
        assert!(differs("generation 4 is served", "generation 7 is served").is_some());
        assert_eq!(differs("watershed-generation: 5", "watershed-generation: 9"), None);
        assert!(differs("generation 6 is served", "generation 8 is served").is_some());
        assert_eq!(
            met.translate("watershed rollback greeter --to 4"),
            "watershed rollback greeter --to 6"
        );
        assert_eq!(met.translate("curl 'x/readyz?generation=7'"), "curl 'x/readyz?generation=11'");
    }

    #[test]
    fn only_what_is_listed_may_differ() {
        for (page, run) in [
            (
                "  v1  normal  90 %  89.60 %  65.2   0 %  1.30 ms",
                "  v1  normal  90 %  -  -  0 %  -",
            ),
            (
                "  127.0.0.1:9001  v1  healthy  1,462  0  1.06 ms  0  0",
                "  127.0.0.1:9001  v1  healthy    453  0  9.06 ms  0  0",
            ),
            ("Date: Mon, 23 Nov 2026 01:44:10 GMT", "Date: Tue, 24 Nov 2026 11:44:10 GMT"),
            (
                "x-request-id: 5b5e70abd86c47568c9d363fd0a3c263",
                "x-request-id: 00000000000000000000000000000000",
            ),
        ] {
            assert_eq!(normal(page), normal(run));
        }
        for (page, run) in [
            ("  v1  normal  90 %", "  v1  normal  80 %"),
            ("bucket 602 of 10,000", "bucket 603 of 10,000"),
            ("  v1  healthy  453  0  1 ms", "  v1  healthy  453  1  1 ms"),
            ("HTTP/1.1 200 OK", "HTTP/1.1 500 OK"),
            ("  v2 from 98.2 % on", "  v2 from 98.3 % on"),
        ] {
            assert_ne!(normal(page), normal(run));
        }
    }
}
