//! A command at a terminal, with somebody who answers what it asks.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use nix::pty::{OpenptyResult, openpty};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::termios::{Winsize, tcsetwinsize};

use super::{DEADLINE, Finished, eventually, within};

/// What a question ends with.
const QUESTION: &str = "[y/N] ";

/// Which streams are the terminal. Others are pipes: standard input with nothing in it.
#[derive(Clone, Copy)]
pub struct Streams {
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: bool,
}

impl Streams {
    pub const ALL: Self = Self { stdin: true, stdout: true, stderr: true };
}

/// A command that runs at a terminal.
pub struct AtTerminal {
    child: Child,
    terminal: File,
    shown: Arc<Mutex<String>>,
    reading: JoinHandle<()>,
}

impl AtTerminal {
    pub fn start(mut command: Command, streams: Streams) -> Self {
        let OpenptyResult { master, slave } = openpty(None, None).unwrap();
        let stream = |is_terminal: bool| match is_terminal {
            true => Stdio::from(slave.try_clone().unwrap()),
            false => Stdio::piped(),
        };
        let Streams { stdin, stdout, stderr } = streams;
        command.stdin(stream(stdin)).stdout(stream(stdout)).stderr(stream(stderr));
        let child = command.spawn().unwrap();
        // The terminal ends when the command does: nobody else may have it open.
        drop((command, slave));
        let terminal = File::from(master.try_clone().unwrap());
        let (shown, reading) = follow(master);
        Self { child, terminal, shown, reading }
    }

    /// Makes the terminal so large, and tells the command.
    pub fn resize(&self, columns: u16, rows: u16) {
        let size = Winsize { ws_col: columns, ws_row: rows, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.terminal, size).unwrap();
        self.signal(Signal::SIGWINCH);
    }

    /// Sends the command a signal.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    /// Waits for a question, and types an answer.
    pub fn answer(&mut self, answer: &str) {
        eventually("a question", || self.shown().ends_with(QUESTION));
        self.terminal.write_all(answer.as_bytes()).unwrap();
    }

    /// What the terminal shows, answers included.
    pub fn shown(&self) -> String {
        self.shown.lock().unwrap().clone()
    }

    /// Waits for the end. `stdout` and `stderr` are what went into pipes, and `String` what the terminal showed.
    pub fn end(mut self) -> (Finished, String) {
        let mut status = None;
        within(DEADLINE * 6, "the end of the command", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        let text = |pipe: Option<&mut dyn Read>| {
            let mut text = String::new();
            if let Some(pipe) = pipe {
                pipe.read_to_string(&mut text).unwrap();
            }
            text
        };
        let stdout = text(self.child.stdout.as_mut().map(|pipe| pipe as &mut dyn Read));
        let stderr = text(self.child.stderr.as_mut().map(|pipe| pipe as &mut dyn Read));
        self.reading.join().unwrap();
        let shown = self.shown.lock().unwrap().clone();
        (Finished { code: status.unwrap().code(), stdout, stderr }, shown)
    }
}

/// Collects what a terminal shows, until the last command at it has ended.
fn follow(master: OwnedFd) -> (Arc<Mutex<String>>, JoinHandle<()>) {
    let shown = Arc::new(Mutex::new(String::new()));
    let (copy, mut master) = (shown.clone(), File::from(master));
    let reading = std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        // At its end, reading a terminal fails.
        while let Ok(read @ 1..) = master.read(&mut buffer) {
            copy.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
    });
    (shown, reading)
}
