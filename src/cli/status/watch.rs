//! `--watch`: asks again and again, on a thread of its own, and shows each answer. On a terminal the status is drawn in
//! one place until a signal ends it; elsewhere pages follow one another.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use rustix::process::{Signal, getpid, kill_process};
use tokio::signal::unix::{self, SignalKind, signal};

use super::page::{DIM, Line, Page, WRONG, wrapped};
use super::screen::Screen;
use super::{Question, view};
use crate::api::StatusDocument;
use crate::cli::CliError;

/// SIGTSTP, as Ctrl-Z sends it: the same number on every Linux that is not MIPS.
const SUSPEND: i32 = 20;

/// How long the end may wait for a terminal that takes no output.
const FAREWELL: Duration = Duration::from_secs(1);

/// What may happen while the status is watched.
enum Event {
    Answer(Box<Result<StatusDocument, CliError>>),
    Resize,
    Suspend,
    End,
}

/// What is on the screen.
struct Shown {
    document: StatusDocument,
    /// When the process said that.
    at: Timestamp,
    /// Why it does not answer now.
    error: Option<String>,
}

/// Shows the status in one place until the user ends that.
pub fn draw(question: Question, first: StatusDocument, period: Duration) -> Result<(), CliError> {
    let (sender, events) = channel();
    let mut screen = Screen::new();
    forward_signals(sender.clone())?;
    screen.close_in_panics();
    screen.open()?;
    let question = Arc::new(question);
    let mut shown = Shown { document: first, at: Timestamp::now(), error: None };
    ask_again(question.clone(), period, sender);
    let ended = follow(&mut screen, &mut shown, &question, period, &events);
    screen.close()?;
    ended?;
    // What was seen last stays on the terminal, whole.
    screen.print(&view::page(&shown.document, question.url(), screen.columns()))?;
    Ok(())
}

fn follow(
    screen: &mut Screen,
    shown: &mut Shown,
    question: &Question,
    period: Duration,
    events: &Receiver<Event>,
) -> io::Result<()> {
    loop {
        screen.draw(&shown.page(question.url(), screen.columns(), period))?;
        match events.recv() {
            Ok(Event::Answer(answer)) => match *answer {
                Ok(document) => *shown = Shown { document, at: Timestamp::now(), error: None },
                Err(error) => shown.error = Some(error.text()),
            },
            Ok(Event::Resize) => {}
            Ok(Event::Suspend) => {
                screen.close()?;
                // Goes on here once the shell continues the process.
                kill_process(getpid(), Signal::STOP)?;
                screen.open()?;
            }
            Ok(Event::End) | Err(_) => return Ok(()),
        }
    }
}

impl Shown {
    fn page(&self, url: &str, columns: usize, period: Duration) -> Page {
        let Self { document, at, error } = self;
        let mut page = Page::default();
        let period = period.as_secs_f64();
        let head = format!("{at:.0}, every {period} s, Ctrl-C ends");
        page.lines.push(Line::new(DIM, &head));
        if let Some(error) = error {
            for text in error.lines() {
                wrapped("", text, columns, 2).iter().for_each(|line| page.push(WRONG, line));
            }
            page.push(DIM, &format!("It is asked again every {period} s. Before, it said:"));
        }
        page.gap();
        page.lines.extend(view::page(document, url, columns).lines);
        page
    }
}

/// Asks until nobody listens.
fn ask_again(question: Arc<Question>, period: Duration, answers: Sender<Event>) {
    thread::spawn(move || {
        loop {
            thread::sleep(period);
            if answers.send(Event::Answer(Box::new(question.ask()))).is_err() {
                break;
            }
        }
    });
}

/// Passes signals on as events. Whoever waits for a terminal that takes no output sees no event: the process ends then
/// by itself, soon after the signal or at the next one.
fn forward_signals(events: Sender<Event>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let entered = runtime.enter();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut resize = signal(SignalKind::window_change())?;
    let mut suspend = signal(SignalKind::from_raw(SUSPEND))?;
    drop(entered);
    thread::spawn(move || {
        runtime.block_on(async {
            loop {
                let event = tokio::select! {
                    _ = resize.recv() => Event::Resize,
                    _ = suspend.recv() => Event::Suspend,
                    () = ended(&mut interrupt, &mut terminate) => Event::End,
                };
                let is_end = matches!(event, Event::End);
                if events.send(event).is_err() || is_end {
                    break;
                }
            }
            tokio::time::timeout(FAREWELL, ended(&mut interrupt, &mut terminate)).await.ok();
            std::process::exit(1);
        });
    });
    Ok(())
}

async fn ended(interrupt: &mut unix::Signal, terminate: &mut unix::Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
