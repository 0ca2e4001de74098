//! A service in a file, and a process that is played: what it makes of versions, when it ends, and who
//! else edits the file are up to the test.

mod trouble;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::api::{Author, ServiceDocument, Share, Standing};
use crate::api::{Fault, HistoryDocument, Parts, Record, RecordOutcome, RecordedVersion, Served};
use crate::config::{
    Digest, EnvironmentName, Percent, SecretSource, Service, Split, VersionName, VersionSpec,
};
use crate::edit::ServiceText;
use crate::history::MadeOf;
use crate::policy::{Base, Before, Case};
use crate::rollout::{Control, Edit, Edited, Note, PutBack, Refusal, ServiceView};
use crate::source::Loader;

pub use trouble::Trouble;

/// Somebody else who edits the file.
pub type Somebody = Box<dyn FnOnce(&str) -> String>;

pub struct Played {
    directory: tempfile::TempDir,
    view: ServiceView,
    has_process: bool,
    /// What becomes of versions; the others become normal.
    pub fates: HashMap<String, Standing>,
    /// How many more questions the process answers.
    pub answers: usize,
    /// What others do while a version is waited for, and right before an edit.
    pub meanwhile: Option<Somebody>,
    pub before_edit: Vec<Option<Somebody>>,
    /// Edits the file right after an edit, and has it served, before the command looks again.
    pub after_edit: Option<Somebody>,
    pub is_untried: bool,
    /// The text as it was last seen, and after each edit.
    seen: String,
    pub texts: Vec<String>,
    /// The commands that the process was told of.
    pub told: Vec<String>,
    served: Vec<(VersionName, Percent)>,
    records: Vec<Record>,
    parts: Parts,
    generation: u64,
}

pub fn name(text: &str) -> VersionName {
    VersionName::new(text).unwrap()
}

pub fn digest(byte: u8) -> Digest {
    Digest::from_bytes([byte; 32])
}

pub fn fault() -> Standing {
    Standing::Error(Fault {
        code: "not-a-component".to_owned(),
        detail: "it is text".to_owned(),
        suggestion: "build it".to_owned(),
        may_pass: false,
    })
}

impl Played {
    /// A service that a process serves.
    pub fn new(text: &str) -> Self {
        Self::start(text, true)
    }

    /// A service that no process serves.
    pub fn offline(text: &str) -> Self {
        Self::start(text, false)
    }

    fn start(text: &str, has_process: bool) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("services")).unwrap();
        fs::write(directory.path().join("watershed.toml"), "[server]\n").unwrap();
        fs::write(directory.path().join("services/shop.toml"), text).unwrap();
        let (environment, service) = load(directory.path());
        let mut played = Self {
            directory,
            view: ServiceView::of_files(environment, service, Vec::new()),
            has_process,
            fates: HashMap::new(),
            answers: usize::MAX,
            meanwhile: None,
            before_edit: Vec::new(),
            after_edit: None,
            is_untried: false,
            seen: text.to_owned(),
            texts: Vec::new(),
            told: Vec::new(),
            served: Vec::new(),
            records: Vec::new(),
            parts: Parts::default(),
            generation: 0,
        };
        played.publish();
        played.look().unwrap();
        played
    }

    pub fn file(&self) -> PathBuf {
        self.directory.path().join("services/shop.toml")
    }

    pub fn text(&self) -> String {
        fs::read_to_string(self.file()).unwrap()
    }

    /// Somebody edits the file, and the process serves that.
    pub fn write(&mut self, text: &str) {
        fs::write(self.file(), text).unwrap();
        self.publish();
        self.reread().unwrap();
    }

    /// The shares that the file declares.
    pub fn split(&self) -> String {
        let (_, service) = load(self.directory.path());
        let shares = crate::rollout::Shares::declared(&service);
        shares.map_or_else(|| "latest".to_owned(), |shares| shares.to_string())
    }

    fn ask(&mut self) -> Result<(), Trouble> {
        self.answers = self.answers.checked_sub(1).ok_or(Trouble::Gone)?;
        Ok(())
    }

    fn fate(&self, spec: &VersionSpec) -> Standing {
        let made = || Standing::Normal { digest: pinned(spec) };
        self.fates.get(spec.name.as_str()).cloned().unwrap_or_else(made)
    }

    /// What the process makes of the file as it is: what is declared, or what was served before.
    fn publish(&mut self) {
        let (_, service) = load(self.directory.path());
        let standings: Vec<_> = service.versions.iter().map(|spec| self.fate(spec)).collect();
        let shares = self.served.iter().enumerate().map(|(index, (_, share))| (index, *share));
        let base = match Split::new(shares.collect()) {
            Ok(split) => Base::Split(split),
            Err(_) => Base::Nothing,
        };
        let made = self
            .served
            .iter()
            .map(|(name, _)| Some(crate::policy::Incumbent { name, digest: None, env: None }));
        let before = Before { base, incumbents: made.collect() };
        let before = (!self.served.is_empty()).then_some(&before);
        let verdict = Case { service: &service, standings: &standings, before }.verdict();
        let served = verdict.shares;
        self.generation += 1;
        self.record(&service, &standings, &served);
        self.served = served;
    }

    fn record(
        &mut self,
        service: &Service,
        standings: &[Standing],
        served: &[(VersionName, Percent)],
    ) {
        let digests = standings.iter().map(|it| it.digest().map(|digest| digest.to_string()));
        let digests: Vec<_> = digests.collect();
        let versions = service.versions.iter().zip(&digests).enumerate();
        let versions = versions.map(|(index, (spec, digest))| {
            let made_of = MadeOf { digest: digest.clone(), secrets: Vec::new() };
            let declaration = spec.written_with(service.policy.reach_of(index));
            (spec.name.to_string(), declaration, made_of)
        });
        let contents = Served::new(service.written(), versions, &mut self.parts);
        let recorded = service.versions.iter().zip(digests).map(|(spec, digest)| RecordedVersion {
            name: spec.name.to_string(),
            status: if digest.is_some() { "normal" } else { "error" }.to_owned(),
            digest,
        });
        let share = |(version, share): &(VersionName, Percent)| Share {
            version: version.to_string(),
            share: f64::from(share.hundredths()) / 100.0,
        };
        let record = Record {
            generation: self.generation,
            at: 0,
            environment: "default".to_owned(),
            service: "shop".to_owned(),
            author: Author::FileEdit,
            before: Vec::new(),
            after: served.iter().map(share).collect(),
            served: Some(contents),
            versions: recorded.collect(),
            remark: None,
            outcome: RecordOutcome::Published,
            restores: None,
            file_digest: None,
        };
        self.records.insert(0, record);
    }

    /// How the process tells of it.
    fn document(&self) -> ServiceDocument {
        let versions = self.view.service.versions.iter().map(|spec| {
            let mut version = json!({
                "name": spec.name.as_str(), "share": 0.0, "declared_share": 0.0,
                "requests_per_second": 0.0, "in_flight": 0,
            });
            let share = self.served.iter().find(|(name, _)| *name == spec.name);
            if let Some((_, share)) = share {
                version["share"] = json!(f64::from(share.hundredths()) / 100.0);
            }
            match self.fate(spec) {
                Standing::Creating => version["status"] = json!("creating"),
                Standing::Normal { digest } => {
                    version["status"] = json!("normal");
                    version["digest"] = json!(digest.to_string());
                }
                Standing::Error(fault) => {
                    version["status"] = json!("error");
                    version["error"] = json!(fault);
                }
            }
            version
        });
        let document = json!({
            "name": "shop", "url": "http://shop.localhost", "domains": [], "file": self.file(),
            "latest": false, "since_generation": self.generation, "in_flight": 0,
            "versions": versions.collect::<Vec<_>>(),
        });
        serde_json::from_value(document).unwrap()
    }

    fn tell(&mut self, note: Note) -> Result<Option<u64>, Trouble> {
        if !self.has_process {
            return Ok(None);
        }
        self.ask()?;
        self.told.push(note.command.clone());
        self.publish();
        if let Some(newest) = self.records.first_mut() {
            newest.author = Author::Command { user: "ada".to_owned(), command: note.command };
            newest.restores = note.restores;
        }
        Ok(Some(self.generation))
    }
}

impl Control for Played {
    type Error = Trouble;
    type Saved = (String, String);

    fn view(&self) -> &ServiceView {
        &self.view
    }

    fn look(&mut self) -> Result<(), Trouble> {
        let (environment, service) = (self.view.environment.clone(), self.view.service.clone());
        self.view = match self.has_process {
            true => {
                self.ask()?;
                ServiceView::of_process(environment, service, Some(self.document()))
            }
            false => {
                // By their files, all of them could serve.
                let normal = |spec: &VersionSpec| Standing::Normal { digest: pinned(spec) };
                let standings = service.versions.iter().map(normal).collect();
                ServiceView::of_files(environment, service, standings)
            }
        };
        Ok(())
    }

    fn reread(&mut self) -> Result<(), Trouble> {
        self.seen = self.text();
        self.view.service = load(self.directory.path()).1;
        self.look()
    }

    fn edit(&mut self, edit: &Edit, note: Note) -> Result<Edited<Self::Saved>, Trouble> {
        if !self.before_edit.is_empty()
            && let Some(somebody) = self.before_edit.remove(0)
        {
            fs::write(self.file(), somebody(&self.text())).unwrap();
        }
        let before = self.text();
        if before != self.seen {
            return Err(Refusal::Changed { file: self.file() }.into());
        }
        let mut text = ServiceText::parse(&self.file(), before.clone()).unwrap();
        edit.apply(&mut text);
        let after = text.to_string();
        fs::write(self.file(), &after).unwrap();
        self.texts.push(after.clone());
        let generation = self.tell(note)?;
        if let Some(somebody) = self.after_edit.take() {
            fs::write(self.file(), somebody(&after)).unwrap();
            self.publish();
        }
        self.reread()?;
        let is_change = before != after;
        Ok(Edited { saved: (before, after), is_change, generation })
    }

    fn put_back(&mut self, edited: Edited<Self::Saved>, note: Note) -> PutBack<Trouble> {
        let (before, after) = edited.saved;
        if self.text() != after {
            return PutBack::Failed(Refusal::Changed { file: self.file() }.into());
        }
        fs::write(self.file(), before).unwrap();
        match self.tell(note).and_then(|_| self.reread()) {
            Ok(()) => PutBack::Done,
            Err(trouble) => PutBack::Untold(trouble),
        }
    }

    fn wait(&mut self, version: &VersionName, _: Duration) -> Result<Standing, Trouble> {
        if let Some(somebody) = self.meanwhile.take() {
            fs::write(self.file(), somebody(&self.text())).unwrap();
            self.publish();
        }
        self.reread()?;
        let standing = self.view.standing(version).cloned();
        standing.ok_or_else(|| self.view.unknown(version).into())
    }

    fn try_out(&mut self, version: &VersionName) -> Result<Standing, Trouble> {
        assert!(!self.has_process, "the process knows");
        if self.is_untried {
            return Err(Trouble::Untried);
        }
        let spec = self.view.version(version).unwrap().clone();
        let standing = self.fate(&spec);
        self.view.learn(version, standing.clone());
        Ok(standing)
    }

    fn history(&self, limit: usize) -> Result<HistoryDocument, Trouble> {
        let records = self.records.iter().take(limit).cloned().collect();
        Ok(HistoryDocument { records, parts: self.parts.clone(), file: None })
    }

    fn digest_at(&self, _: &Path) -> Result<String, String> {
        Ok(digest(0).to_string())
    }

    fn stored(&self, _: &str) -> Option<PathBuf> {
        None
    }

    fn secret_digest(&self, _: &str, _: &SecretSource) -> Result<String, String> {
        Err("nobody knows".to_owned())
    }
}

fn pinned(spec: &VersionSpec) -> Digest {
    spec.guest().unwrap().digest.unwrap_or(digest(0))
}

fn load(directory: &Path) -> (EnvironmentName, Arc<Service>) {
    let mut loader = Loader::new(&directory.join("watershed.toml"));
    let config = loader.inspect().unwrap_or_else(|wrong| panic!("{}", wrong.report));
    let environment = &config.environments[0];
    (environment.name.clone(), environment.services[0].clone())
}
