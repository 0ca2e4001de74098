//! Where the status is shown: written once, or again and again in one place of a terminal.

use std::io::{self, IsTerminal, Stdout, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anstream::ColorChoice;
use rustix::termios::tcgetwinsize;

use super::page::Page;

/// Columns and rows where nothing says how large the terminal is.
const COLUMNS: usize = 80;
const ROWS: usize = 24;

/// Narrower than this, nothing can be read.
const COLUMNS_MIN: usize = 20;

/// Wider than this, sentences are hard to read.
const COLUMNS_MAX: usize = 120;

/// The alternate screen, without wrapped lines and without a cursor. Sent once, and not for each frame: some terminals
/// clear the screen each time.
const OPEN: &str = "\x1b[?1049h\x1b[?7l\x1b[?25l";
const CLOSE: &str = "\x1b[?25h\x1b[?7h\x1b[?1049l";

/// Moves to the upper left corner, without clearing what is about to be overwritten.
const HOME: &str = "\x1b[H";
const CLEAR_TO_END_OF_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";

/// Standard output.
#[derive(Debug)]
pub struct Screen {
    out: Stdout,
    colours: bool,
    /// Whether pages are drawn in one place.
    is_terminal: bool,
    is_open: Arc<AtomicBool>,
    has_shown: bool,
}

impl Screen {
    pub fn new() -> Self {
        let out = io::stdout();
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        Self {
            colours: anstream::AutoStream::choice(&out) != ColorChoice::Never,
            is_terminal: out.is_terminal() && !is_dumb,
            is_open: Arc::default(),
            has_shown: false,
            out,
        }
    }

    /// Whether pages can be drawn in one place: not in a file, a pipe, or a terminal that cannot move its cursor.
    pub fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// How many columns a page may take.
    pub fn columns(&self) -> usize {
        self.size().0.min(COLUMNS_MAX)
    }

    /// Writes a page below what is there, after a line that keeps it apart from one before it.
    pub fn print(&mut self, page: &Page) -> io::Result<()> {
        let separator = if self.has_shown { "\n---\n\n" } else { "" };
        self.has_shown = true;
        let text = page.text(self.colours);
        let mut out = self.out.lock();
        out.write_all(format!("{separator}{text}").as_bytes())?;
        out.flush()
    }

    /// Takes the terminal for [`draw`](Self::draw). It gets it back when this is closed or dropped, and before a panic
    /// is reported.
    pub fn open(&mut self) -> io::Result<()> {
        self.is_open.store(true, Ordering::SeqCst);
        self.write(OPEN)
    }

    /// Has the terminal given back before a panic is reported, so that the report stays.
    pub fn close_in_panics(&self) {
        let (is_open, report) = (self.is_open.clone(), std::panic::take_hook());
        std::panic::set_hook(Box::new(move |panic| {
            give_back(&is_open).ok();
            report(panic);
        }));
    }

    /// Gives the terminal back.
    pub fn close(&mut self) -> io::Result<()> {
        give_back(&self.is_open)
    }

    /// Draws a page over the one before it, in one write: as much as fits.
    pub fn draw(&mut self, page: &Page) -> io::Result<()> {
        let (columns, rows) = self.size();
        let mut frame = HOME.to_owned();
        for (number, line) in page.fitted(columns, rows, self.colours).iter().enumerate() {
            frame.push_str(if number == 0 { "" } else { "\r\n" });
            frame.push_str(line);
            frame.push_str(CLEAR_TO_END_OF_LINE);
        }
        self.write(&(frame + CLEAR_BELOW))
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        let mut out = self.out.lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }

    /// Columns and rows: of the terminal or, where there is none, by `COLUMNS`.
    fn size(&self) -> (usize, usize) {
        let told = tcgetwinsize(&self.out).ok();
        let told = told.map(|size| (usize::from(size.ws_col), usize::from(size.ws_row)));
        let variable = |name| std::env::var(name).ok().and_then(|text| text.trim().parse().ok());
        let (columns, rows) = told.unwrap_or_default();
        let columns = Some(columns).filter(|it| *it > 0).or_else(|| variable("COLUMNS"));
        let rows = Some(rows).filter(|it| *it > 0).or_else(|| variable("LINES"));
        (columns.unwrap_or(COLUMNS).max(COLUMNS_MIN), rows.unwrap_or(ROWS).max(1))
    }
}

/// The columns of the terminal on standard output, or else by `COLUMNS`.
pub fn columns() -> usize {
    Screen::new().size().0
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing back.
        self.close().ok();
    }
}

fn give_back(is_open: &AtomicBool) -> io::Result<()> {
    if !is_open.swap(false, Ordering::SeqCst) {
        return Ok(());
    }
    let mut out = io::stdout().lock();
    out.write_all(CLOSE.as_bytes())?;
    out.flush()
}
