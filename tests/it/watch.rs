//! `watershed status --watch`: drawn in one place on a terminal, and printed elsewhere.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::{
    AtTerminal, Finished, Site, Streams, Watershed, eventually, greeter, lab, one_version,
};

const OPEN: &str = "\x1b[?1049h\x1b[?7l\x1b[?25l";
const CLOSE: &str = "\x1b[?25h\x1b[?7h\x1b[?1049l";
const HOME: &str = "\x1b[H";

/// Thirty services, whose names are as long as the number says.
fn serve(services: usize) -> Watershed {
    let site = (0..services).fold(Site::new(), |site, number| {
        site.service(&format!("service-{number}"), &one_version("v1"))
    });
    site.start()
}

fn command(watershed: &Watershed, more: &[&str]) -> Command {
    let admin = format!("http://{}", watershed.admin_address());
    let mut command = watershed.site.command(&[&["status", "--admin", &admin], more].concat());
    command.env("TERM", "xterm").env_remove("NO_COLOR").env_remove("COLUMNS");
    command
}

/// Watches at a terminal of this size.
fn watch(watershed: &Watershed, columns: u16, rows: u16) -> AtTerminal {
    let command = command(watershed, &["--watch=0.1"]);
    let streams = Streams { stdin: false, stdout: true, stderr: false };
    let terminal = AtTerminal::start(command, streams);
    eventually("the first frame", || terminal.shown().contains(HOME));
    terminal.resize(columns, rows);
    let is_so = |frame: &Vec<String>| frame.len() <= usize::from(rows);
    eventually("a frame of its size", || {
        last_frame(&terminal.shown()).is_some_and(|it| is_so(&it))
    });
    terminal
}

/// The lines of the last whole frame, without styles.
fn last_frame(shown: &str) -> Option<Vec<String>> {
    let frames: Vec<_> = shown.split(HOME).collect();
    let (_, whole) = frames.split_first()?;
    let frame = whole.iter().rev().find(|frame| frame.contains("\x1b[J"))?;
    let text = anstream::adapter::strip_str(frame.split("\x1b[J").next()?).to_string();
    Some(text.lines().map(|line| line.trim_end().to_owned()).collect())
}

#[test]
fn frames_are_drawn_over_each_other_and_fit() {
    let watershed = serve(30);
    let terminal = watch(&watershed, 80, 50);
    let text = || last_frame(&terminal.shown()).unwrap().join("\n");
    eventually("all thirty", || text().contains("\nservice-9 ") && !text().contains("more lines"));
    assert!(text().contains("services  30: 30 fine"), "{}", text());
    terminal.resize(40, 10);
    eventually("a smaller frame", || {
        let frame = last_frame(&terminal.shown()).unwrap();
        let is_narrow = frame.iter().all(|line| line.chars().count() <= 40);
        is_narrow && frame.len() == 10 && frame[9].contains("more lines: make the terminal taller")
    });
    terminal.signal(Signal::SIGINT);
    let (finished, shown) = terminal.end();
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{finished:?}");
    // The screen is cleared by no frame, and taken once.
    assert_eq!(
        (shown.matches(OPEN).count(), shown.matches("\x1b[2J").count()),
        (1, 0),
        "{shown:?}"
    );
    let (frames, rest) = shown.split_once(CLOSE).unwrap();
    assert!(frames.starts_with(OPEN), "{shown:?}");
    assert!(rest.contains("\r\nservice-9\r\n"), "what was seen last stays, whole: {rest:?}");
    assert!(!rest.contains(HOME), "{rest:?}");
}

/// A terminal without a cursor is useless: hwatch had left one so (blacknon/hwatch#78).
#[test]
fn every_end_gives_the_terminal_back() {
    let watershed = serve(1);
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let terminal = watch(&watershed, 80, 24);
        terminal.signal(signal);
        let (finished, shown) = terminal.end();
        assert_eq!(finished.code, Some(0), "{finished:?}");
        assert_eq!(shown.matches(CLOSE).count(), 1, "{shown:?}");
    }
}

#[test]
fn a_process_that_goes_away_is_asked_again() {
    let mut watershed = serve(1);
    let terminal = watch(&watershed, 100, 24);
    let text = || last_frame(&terminal.shown()).unwrap().join("\n");
    eventually("an answer", || text().contains("service-0"));
    watershed.kill();
    eventually("that nobody answers", || text().contains("error: no process answers at"));
    assert!(text().contains("service-0 "), "what it said last stays: {}", text());
    assert!(text().contains("Before, it said:"), "{}", text());
    terminal.signal(Signal::SIGINT);
    assert_eq!(terminal.end().0.code, Some(0));
}

/// A terminal that cannot move its cursor gets text.
#[test]
fn a_dumb_terminal_gets_one_text_after_the_other() {
    let watershed = serve(1);
    let mut command = command(&watershed, &["--watch=0.1"]);
    // CI systems say so, and then anstream colours whatever the terminal is.
    command.env("TERM", "dumb").env("CI", "true");
    let streams = Streams { stdin: false, stdout: true, stderr: false };
    let terminal = AtTerminal::start(command, streams);
    eventually("shown twice", || terminal.shown().contains("\n---\r\n"));
    assert!(!terminal.shown().contains('\x1b'), "{:?}", terminal.shown());
    terminal.signal(Signal::SIGKILL);
    terminal.end();
}

/// A command that is killed when dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn a_script_gets_an_object_a_line() {
    let mut watershed = serve(1);
    let mut command = command(&watershed, &["--watch=0.1", "--json"]);
    let mut child = Killed(command.stdout(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
    for _ in 0..2 {
        let told = next();
        assert_eq!(
            (&told["ok"], &told["generation"]),
            (&true.into(), &watershed.generation().into())
        );
    }
    watershed.kill();
    let failed = (0..100).map(|_| next()).find(|told| told["ok"] == false).unwrap();
    assert!(failed["error"]["code"].is_string(), "{failed:#}");
    assert_eq!(next()["ok"], false, "it goes on");
}

#[test]
fn text_fits_where_it_goes() {
    let site = Site::new().service("greeter", &greeter("v1")).service("lab", &lab("v1"));
    let watershed = site.start();
    let shown = |columns: Option<&str>, more: &[&str]| {
        let mut command = command(&watershed, more);
        if let Some(columns) = columns {
            command.env("COLUMNS", columns);
        }
        Finished::of(command).stdout
    };
    let is_narrow = |text: &str, columns: usize| {
        let wide = |line: &&str| line.chars().count() > columns;
        let mut wide = text.lines().filter(wide).filter(|line| line.split_whitespace().count() > 2);
        wide.next().is_none()
    };
    for more in [&[][..], &["lab"]] {
        for (columns, expected) in [
            (None, 80),
            (Some("40"), 40),
            (Some("100"), 100),
            (Some("nonsense"), 80),
            (Some("0"), 80),
        ] {
            let text = shown(columns, more);
            assert!(is_narrow(&text, expected), "{expected}\n{text}");
        }
    }
    // Where nobody can be asked for the size of a terminal.
    let path = watershed.site.path("shown.txt");
    let mut command = command(&watershed, &[]);
    let status = command.stdout(File::create(&path).unwrap()).status().unwrap();
    assert!(status.success() && is_narrow(&fs::read_to_string(&path).unwrap(), 80));
}

#[test]
fn a_period_is_a_number_of_seconds() {
    let site = Site::new();
    for wrong in ["0", "-1", "nan", "inf", "1e9", "2s", ""] {
        let watch = format!("--watch={wrong}");
        let finished = site.run(&["status", &watch]);
        assert_eq!(finished.code, Some(64), "{wrong}: {finished:?}");
        assert!(finished.stderr.contains("a number of seconds from 0.1 to"), "{finished:?}");
    }
}
