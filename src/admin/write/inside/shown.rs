//! What is shown of a change that is not made: what it would do, what is in its way, and how to make it by hand.

use super::{Inside, digest};
use crate::admin::description::{described, description};
use crate::admin::write::act::Answer;
use crate::admin::write::error::WriteError;
use crate::api::{Author, ChangedDocument, Share, ShareDocument, Standing, WouldDocument, moment};
use crate::config::{Percent, Traffic, VersionSpec};
use crate::delivery::{Preview, standing};
use crate::edit::show_change;
use crate::rollout::{Control as _, Edit, Shares};
use crate::source::{EditError, Proposal, ServiceFile};
use crate::versions::ServiceKey;

impl Inside {
    /// What an edit would do. Nothing is written.
    ///
    /// # Errors
    ///
    /// Where the edit would be refused.
    pub fn would(&mut self, edit: &Edit) -> Result<Answer, WriteError> {
        self.would_with(edit, |_| ())
    }

    /// The same, with what `add` adds.
    ///
    /// # Errors
    ///
    /// As those of [`Self::would`].
    pub fn would_with(
        &mut self,
        edit: &Edit,
        add: impl FnOnce(&mut WouldDocument),
    ) -> Result<Answer, WriteError> {
        self.is_as_decided()?;
        let mut before = String::new();
        let text = ServiceFile::preview(self.file(), |text| {
            before = text.before().unwrap_or_default().to_owned();
            edit.apply(text);
        });
        let text = text.map_err(|error| self.by_hand(error.into(), edit))?;
        self.check(Proposal { path: self.file(), is_there: true, text: &text })?;
        let after = self.loader.read_text(&self.view.environment, self.file(), &text);
        let after = after.map_err(WriteError::Wrong)?;
        let preview = self.preview(edit, &after);
        let takes_away = preview.takes_away();
        let shares = self.shares(&preview);
        let diff = show_change(&before, &text);
        let (plan, way, warnings) = (preview.plan, None, Vec::new());
        let mut would = Box::new(WouldDocument { plan, takes_away, diff, shares, way, warnings });
        add(&mut would);
        Ok(Answer::Would(would))
    }

    fn preview(&self, edit: &Edit, after: &crate::config::Service) -> Preview {
        let (environment, service) = (self.view.environment.clone(), self.service().clone());
        let (root, started) = (&self.admin.root, &self.admin.started_with);
        let snapshot = self.admin.live.load();
        let entry = snapshot.get(&ServiceKey { environment, service });
        let before = described(&snapshot, &entry.into_iter().collect::<Vec<_>>(), root, started);
        let stands = |spec: &VersionSpec| standing(&self.view, edit, spec, || self.by_files(spec));
        let mut preview = Preview::of(&self.view, root, &before, after, stands);
        if !preview.plan.compile.is_empty() {
            preview.without_made(&description(&snapshot, root, started));
        }
        preview
    }

    /// Where a version will stand that nobody has made, as far as its files tell.
    fn by_files(&self, spec: &VersionSpec) -> Standing {
        let at =
            || spec.guest().and_then(|guest| self.digest_at(&guest.component).ok()?.parse().ok());
        let digest = spec.declared_digest().or_else(at);
        digest.map_or(Standing::Creating, |digest| Standing::Normal { digest })
    }

    /// The shares of a plan: those of now, where it changes none.
    fn shares(&self, preview: &Preview) -> Vec<ShareDocument> {
        let number = |share: Percent| f64::from(share.hundredths()) / 100.0;
        let changed = preview.plan.services.first().map_or(&[][..], |service| &service.shares);
        if changed.is_empty() {
            let now = self.view.shares();
            let same = |version| {
                let share = number(now.of(version));
                ShareDocument { version: version.to_string(), before: share, after: share }
            };
            return self.view.names().map(same).collect();
        }
        let share = |it: &crate::api::ShareChange| ShareDocument {
            version: it.version.clone(),
            before: number(it.before),
            after: number(it.after),
        };
        changed.iter().map(share).collect()
    }

    /// An error with the change to make by hand, if the file, or the copy that it would name, cannot be written here.
    pub(super) fn by_hand(&self, error: WriteError, edit: &Edit) -> WriteError {
        let is_foreign = match &error {
            WriteError::Edit(error) => matches!(
                **error,
                EditError::ReadOnly { .. } | EditError::Owner { .. } | EditError::ConfigMap { .. }
            ),
            WriteError::Store(error) => error.is_foreign(),
            _ => false,
        };
        let parsed = || {
            let before = self.text().ok()?;
            let mut text = crate::edit::ServiceText::parse(self.file(), before.clone()).ok()?;
            edit.apply(&mut text);
            let text = text.to_string();
            Some((show_change(&before, &text), text))
        };
        match is_foreign.then(parsed).flatten() {
            Some((diff, text)) => WriteError::ByHand { error: Box::new(error), diff, text },
            None => error,
        }
    }

    /// That the file is not what was looked at.
    pub fn file_changed(&self) -> WriteError {
        let changed = Box::new(self.changed());
        WriteError::FileChanged { service: self.service().to_string(), changed }
    }

    /// What the file says now, and who changed it last.
    pub fn changed(&self) -> ChangedDocument {
        let now = self.loader.read_one(&self.view.environment, self.file()).ok().flatten();
        let text = self.text().ok();
        let file_digest = text.as_deref().map(|text| digest(text).to_string());
        let record = self.records(self.view.environment.as_str(), 1, false).ok();
        let record = record.and_then(|document| document.records.into_iter().next());
        // What the process has not read yet is somebody's edit of the file.
        let record = record.filter(|record| record.file_digest == file_digest);
        let shares = now.as_ref().and_then(|service| Shares::declared(service));
        let share = |(version, share): (&crate::config::VersionName, Percent)| Share {
            version: version.to_string(),
            share: f64::from(share.hundredths()) / 100.0,
        };
        ChangedDocument {
            latest: now.is_some_and(|service| service.traffic == Traffic::Latest),
            shares: shares.iter().flat_map(Shares::takers).map(share).collect(),
            at: record.as_ref().map(|record| moment::text(record.at)),
            remark: record.as_ref().and_then(|record| record.remark.clone()),
            author: record.map_or(Some(Author::FileEdit), |record| Some(record.author)),
            file_digest,
        }
    }
}
