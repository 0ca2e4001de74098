//! What the listener of HTTPS shows clients: certificates, and tickets for their next connections. After each load the
//! files of both are looked at too.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use super::load::lock;
use super::{LOG, Reload, ReloadHandle, Reloader};
use crate::certificates::{CertificateState, CertificateStore, lost};
use crate::config::{Digest, NamedFile, Problem, Report, TlsSettings};
use crate::source::{ReadError, Reading, read_file};
use crate::transient::advice;
use crate::transport::tls::{CertificateTable, TicketKeys, TlsTerms};

/// The longest file of ticket keys, in bytes.
const KEYS_MAX: u64 = 64 << 10;

/// What HTTPS is served with, as its files said it last. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Listener(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    /// `None` in a process without HTTPS.
    terms: Option<TlsTerms>,
    store: CertificateStore,
    tickets: TicketFile,
}

/// The file of ticket keys.
#[derive(Debug, Default)]
struct TicketFile {
    /// Of what is in use; `None` for keys of the process's own.
    content: Option<Digest>,
    problem: Option<Problem>,
}

/// How everything of the listener that is in files stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListenerState {
    /// In the order of the configuration.
    pub certificates: Vec<CertificateState>,
    /// Why the file of ticket keys cannot be used as it is: the keys from before stay in use.
    pub tickets: Option<Problem>,
}

impl Listener {
    fn with<T>(&self, look: impl FnOnce(&mut Inner) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What is wrong with the files.
    pub fn problems(&self) -> Vec<Problem> {
        self.with(|inner| {
            let tickets = inner.tickets.problem.clone();
            inner.store.problems().into_iter().chain(tickets).collect()
        })
    }

    /// How many could not be read for now, and one of the reasons.
    pub fn unread(&self) -> (usize, Option<String>) {
        self.with(|inner| {
            let (pairs, why) = inner.store.unread();
            let tickets = inner.tickets.problem.as_ref().filter(|it| it.is_transient);
            let why = why.or_else(|| tickets.map(|it| it.message.clone()));
            (pairs + usize::from(tickets.is_some()), why)
        })
    }
}

impl Inner {
    /// How everything stands now, and whether anything is otherwise than before.
    fn look(&mut self, tls: &TlsSettings, reading: Reading) -> (ListenerState, bool) {
        let now = SystemTime::now();
        let is_changed = self.store.load(&tls.certificates, reading, now);
        self.store.tell(now);
        if is_changed {
            self.show();
        }
        let is_changed = self.look_at_tickets(tls.ticket_keys.as_ref()) || is_changed;
        (self.state(), is_changed)
    }

    /// The files name no HTTPS any more: clients go on with what they get, and nothing that the files said of it counts.
    fn retire(&mut self) -> (ListenerState, bool) {
        let now = SystemTime::now();
        let is_changed = match self.terms {
            Some(_) => self.store.load(&[], Reading::Changed, now),
            // Nobody gets any of the pairs.
            None => !std::mem::take(&mut self.store).states().is_empty(),
        };
        if self.terms.is_some() {
            self.store.tell(now);
        }
        let had_problem = self.tickets.problem.take().is_some();
        (self.state(), is_changed || had_problem)
    }

    fn show(&self) {
        if let Some(terms) = &self.terms {
            terms.certificates().replace(CertificateTable::new(self.store.list()));
        }
    }

    fn state(&self) -> ListenerState {
        let (certificates, tickets) = (self.store.states(), self.tickets.problem.clone());
        ListenerState { certificates, tickets }
    }

    /// Returns whether anything is otherwise than before.
    fn look_at_tickets(&mut self, file: Option<&NamedFile>) -> bool {
        let TicketFile { content, problem } = &mut self.tickets;
        let (content_before, problem_before) = (*content, problem.clone());
        match file.map(read_ticket_keys).transpose() {
            Err(wrong) => *problem = Some(*wrong),
            Ok(keys) => {
                *problem = None;
                let (now, keys) = keys.unzip();
                if now != *content {
                    *content = now;
                    if let Some(terms) = &self.terms {
                        terms.tickets().replace(keys);
                    }
                }
            }
        }
        if let Some(wrong) =
            problem.as_ref().filter(|wrong| problem_before.as_ref() != Some(*wrong))
        {
            let report = Report { problems: vec![wrong.clone()] };
            let message = &wrong.message;
            tracing::error!(target: LOG, "{message}; the keys from before stay in use:\n{report}");
        }
        content_before != *content || problem_before != *problem
    }
}

impl Reloader {
    /// The reloader of a process with HTTPS, whose clients get what `terms` say. The store has read the pairs of the
    /// configuration that the process starts with.
    pub fn with_https(self, store: CertificateStore, terms: TlsTerms) -> Self {
        self.listener.with(|inner| {
            (inner.store, inner.terms) = (store, Some(terms));
            inner.show();
            let file = self.config.server.tls.as_ref().and_then(|tls| tls.ticket_keys.as_ref());
            inner.look_at_tickets(file);
            inner.store.tell(SystemTime::now());
            self.reloads.show_listener(inner.state());
        });
        self
    }

    /// Looks at the files that the configuration names. Where it has no HTTPS any more, the listener, which stays until a
    /// restart, goes on with what it has.
    pub(super) async fn look_at_listener(&mut self, reading: Reading) {
        let (listener, tls) = (self.listener.clone(), self.config.server.tls.clone());
        let look = move || {
            listener.with(|inner| match &tls {
                Some(tls) => inner.look(tls, reading),
                None => inner.retire(),
            })
        };
        match tokio::task::spawn_blocking(look).await {
            Ok((state, is_changed)) => {
                // The place of a problem may be another one, which is no news.
                self.reloads.show_listener(state);
                if is_changed {
                    self.news.of_all();
                }
            }
            Err(stopped) => tracing::error!(target: LOG, "certificates were not read: {stopped}"),
        }
    }

    /// What came of a load, with what is wrong with the listener's files.
    pub(super) fn with_listener(&self, reload: Reload) -> Reload {
        let problems = self.listener.problems();
        if problems.is_empty() {
            return reload;
        }
        let known = reload.report.map_or_else(Vec::new, |report| report.problems);
        let problems = known.into_iter().chain(problems).collect();
        Reload { report: Some(Report { problems }), ..reload }
    }

    /// Does what time alone asks for: says once a day which certificates end, and serves those whose time has come.
    pub(super) async fn tend_listener(&mut self) {
        let now = SystemTime::now();
        let is_due = self.listener.with(|inner| {
            inner.store.remind(now);
            inner.store.is_due(now)
        });
        if is_due {
            self.look_at_listener(Reading::Changed).await;
            self.news.tell(&self.live);
        }
    }
}

impl ReloadHandle {
    /// Which certificates that clients get now a process that starts now would not have, and why. Nothing where the main
    /// file is wrong: such a process does not start at all.
    pub async fn lost_certificates(&self) -> Vec<Problem> {
        let Some(loader) = self.loader() else { return Vec::new() };
        let listener = self.listener();
        let look = move || {
            let settings = lock(&loader).settings().ok()?;
            Some(lost(&listener.certificates, &settings.tls?.certificates, SystemTime::now()))
        };
        let looked = tokio::task::spawn_blocking(look).await;
        looked.ok().flatten().unwrap_or_default()
    }
}

/// Reads a file of ticket keys.
///
/// # Errors
///
/// Where it cannot be read, or contains something else.
pub fn ticket_keys(file: &NamedFile) -> Result<TicketKeys, Box<Problem>> {
    read_ticket_keys(file).map(|(_, keys)| keys)
}

fn read_ticket_keys(file: &NamedFile) -> Result<(Digest, TicketKeys), Box<Problem>> {
    let content = read_file(&file.path, KEYS_MAX).map_err(|error| unreadable(file, &error))?;
    let keys = TicketKeys::parse(&content).map_err(|error| {
        // What the error says already tells what to do.
        let path = file.path.display();
        Box::new(file.problem(format!("the ticket keys {path} cannot be used: {error}"), ""))
    })?;
    Ok((Digest::of(&content), keys))
}

fn unreadable(file: &NamedFile, error: &ReadError) -> Box<Problem> {
    let message = format!("the ticket keys {} cannot be read: {error}", file.path.display());
    if let Some(error) = error.transient() {
        let problem = file.problem(message, advice(error));
        return Box::new(Problem { is_transient: true, ..problem });
    }
    let help =
        "make the file with `openssl rand -base64 32`, readable for the user that runs watershed";
    Box::new(file.problem(message, help))
}
