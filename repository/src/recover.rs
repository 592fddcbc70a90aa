//! A repository that was restored from an older backup has lost the bytes it was given since, and does not know which.
//! The registry does: until it has been asked, a document that is not known here is not said to be unknown.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use actor::{Check, meter};

use crate::disposition;
use crate::naming::is_blob_id;
use crate::records::{Document, Records, State, Whose};
use crate::registrar::{Binding, Registrar};
use crate::settle::Undecided;

/// Finds out what was lost.
#[derive(Clone)]
pub(crate) struct Recover {
    records: Records,
    /// Our FHIR base, if it is configured.
    public_url: Option<String>,
    /// Which life of this repository this is.
    life: String,
    going_on: Arc<AtomicBool>,
    adopted: Arc<AtomicBool>,
    lost: Arc<AtomicU64>,
}

impl Recover {
    pub(crate) fn new(records: Records, public_url: Option<String>) -> Result<Recover, store::Error> {
        let incarnation = records.store.incarnation();
        let life = format!("{};{}", incarnation.id, incarnation.number);
        let known = records.life(Whose::Own)?;
        let adopted = known.as_ref() == Some(&life);
        let restored = !adopted && (known.is_some() || incarnation.number > 1);
        Ok(Recover {
            records,
            public_url,
            life,
            going_on: Arc::new(AtomicBool::new(restored)),
            adopted: Arc::new(AtomicBool::new(adopted)),
            lost: Arc::default(),
        })
    }

    /// Whether what was lost is not known yet.
    pub(crate) fn going_on(&self) -> bool {
        self.going_on.load(Ordering::Acquire)
    }

    /// Finds out what was lost, if this repository was restored since the last time.
    pub(crate) async fn run(&self, registrar: &Registrar) -> Result<(), Undecided> {
        if self.adopted.load(Ordering::Acquire) {
            return Ok(());
        }
        if self.going_on() {
            tracing::warn!(
                "this repository was restored from a backup; what it has lost is asked of the registry"
            );
            match &registrar.foreign {
                None => self.walk(registrar).await?,
                Some(_) => tracing::error!(
                    "the registry speaks XDS.b and cannot be asked; documents that came after the backup are unknown here"
                ),
            }
            let lost = self.lost.load(Ordering::Relaxed);
            if lost > 0 {
                tracing::error!(lost, "registered documents are lost: their bytes came after the backup");
            }
        }
        self.records.reconciled(Whose::Own, &self.life).await?;
        self.adopted.store(true, Ordering::Release);
        self.going_on.store(false, Ordering::Release);
        Ok(())
    }

    async fn walk(&self, registrar: &Registrar) -> Result<(), Undecided> {
        let under = self.records.documents_url(self.public_url.as_deref())?.ok_or_else(|| {
            Undecided::Operator(
                "this repository was restored from a backup that says nothing about its own address; set \
                 server.public_url, so that the registry can be asked for its documents"
                    .to_owned(),
            )
        })?;
        let (mut since, mut after, mut lost) = (0, None::<String>, 0);
        loop {
            let page = registrar.bindings(&under, since, after.as_deref()).await?;
            for binding in &page.bindings {
                lost += u64::from(self.is_lost(binding).await?);
            }
            self.lost.store(lost, Ordering::Relaxed);
            meter::set("docshare_documents_lost", &[], lost);
            match page.next {
                Some(next) => (since, after) = (next, page.after),
                None => return Ok(()),
            }
        }
    }

    /// What the URLs of our documents begin with, if that is known.
    pub(crate) fn under(&self) -> Result<Option<String>, store::Error> {
        self.records.documents_url(self.public_url.as_deref())
    }

    /// Writes a document down as lost if nothing is known of it, or only that it came to nothing.
    async fn is_lost(&self, binding: &Binding) -> Result<bool, store::Error> {
        let Some(id) = binding.url.rsplit('/').next().filter(|id| is_blob_id(id)) else { return Ok(false) };
        match self.records.document(id)?.map(|known| known.state) {
            Some(State::Lost) => return Ok(true),
            Some(State::Staged | State::Withheld | State::Bound | State::Removed) => return Ok(false),
            Some(State::Rejected) | None => {}
        }
        self.records.lost(id, lost_document(binding)).await?;
        Ok(true)
    }

    /// What `/readyz` tells, if there is something to tell.
    pub(crate) fn check(&self) -> Option<Check> {
        let lost = self.lost.load(Ordering::Relaxed);
        let text = if self.going_on() {
            "restored from a backup; the registry is asked what was lost, and unknown documents are answered 503".to_owned()
        } else if lost > 0 {
            format!("restored from a backup; {lost} registered documents are lost and answered 503")
        } else {
            return None;
        };
        Some(Check { name: "restore", ok: true, text })
    }
}

/// What is kept of a registered document whose bytes are lost.
pub(crate) fn lost_document(binding: &Binding) -> Document {
    Document {
        state: State::Lost,
        key: binding.key.clone(),
        attempt: 0,
        content_type: binding.content_type.clone(),
        file_name: disposition::file_name(None, &binding.content_type),
        entry: Some(binding.entry.clone()),
        patient: binding.patient.clone(),
        unique_id: binding.unique_id.clone(),
        bytes: None,
    }
}
