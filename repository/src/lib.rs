//! The Document Repository: keeps the bytes of documents and registers what they are (ITI-65, ITI-68).
//!
//! Lives here: the submission protocol (bytes first, one commit point, fenced settle), the peers it speaks to, what is
//! kept about a submission until it is settled, tasks that make a submission later, and how a document is given out.
//! Does not live here: what a submission means and whether it may be registered (`registry`), how a Bundle is read
//! (`fhir`), how bytes are kept (`store`).
//! Doors: every room under `shared/`; no other actor.

mod answer;
mod config;
mod converted;
mod disposition;
mod documents;
mod face;
mod follow;
mod generate;
mod keys;
mod naming;
mod own;
mod patients;
#[cfg(feature = "failpoints")]
mod points;
mod provide;
mod provide_set;
mod publish;
mod reconcile;
mod records;
mod recover;
mod redrive;
mod registrar;
mod remove;
mod retrieve_set;
mod settle;
mod tasks;
mod validate;

use std::sync::Arc;

use actor::{Actor, Check, House, Report, Route};
use affinity::Shelf;
use futures_util::future::LocalBoxFuture;
use web::{Answer, PeerSettings, Request};

pub use config::{
    DocumentSettings, IdentitySettings, PatientEntries, RegistryProtocol, RegistrySettings, Settings,
    SubmissionSettings, TaskSettings,
};

pub use affinity::{Enforced, Enforcing, Settings as Domain};

use documents::Retrieve;
use generate::Generate;
use own::Own;
use provide::Provide;
use provide_set::ProvideSet;
use publish::Publish;
use reconcile::{Mode, Reconcile};
use remove::Remove;
use retrieve_set::RetrieveSet;
use settle::Settler;
use tasks::Tasks;
use validate::Validate;

/// The actor.
pub struct Repository {
    house: House<Settings>,
    provide: Provide,
    provide_set: ProvideSet,
    publish: Publish,
    generate: Generate,
    /// What documents do not say of themselves.
    maps: fhir::iti106::Maps,
    validate: Validate,
    retrieve: Retrieve,
    retrieve_set: RetrieveSet,
    remove: Remove,
    settler: Settler,
    reconcile: Reconcile,
    /// Which codes are accepted; the registry is the judge, this refuses early.
    domain: Arc<Shelf>,
    tasks: Tasks,
}

impl Repository {
    /// Where documents go while a body is read.
    fn intake(&self) -> face::Intake<'_> {
        face::Intake { store: &self.house.corridor.store, limits: &self.house.limits, domain: &self.domain }
    }

    /// Reconciles with whoever was restored from a backup and settles every submission in doubt once, as the background
    /// task does again and again; refuses with words if a peer does not tell.
    pub async fn settle_now(&self) -> Result<(), String> {
        self.settler.beat().await.map_err(|error| error.to_string())
    }
}

impl Actor for Repository {
    const NAME: &'static str = "repository";
    const PORT: u16 = 8082;
    type Settings = Settings;

    async fn build(house: House<Settings>) -> Result<Repository, String> {
        if let Some(errors) = actor::errors() {
            fhir::outcome::documented_at(errors);
        }
        if house.settings.registry.url.is_empty() {
            return Err("registry.url is empty: a repository needs a registry to register with".to_owned());
        }
        if house.settings.identity.url.is_empty() {
            return Err(
                "identity.url is empty: a repository needs an identity source to know patients by".to_owned()
            );
        }
        let maps = house.settings.publish.maps()?;
        let settler = Settler::new(&house)?;
        let domain = Arc::new(Shelf::open(&house.settings.domain)?);
        let own = Own::new(&house.settings.documents, &house.corridor.store.incarnation().id)?;
        let provide = Provide::new(&house, settler.clone(), domain.clone(), own.clone());
        let retrieve = Retrieve::new(&house, settler.clone());
        let DocumentSettings { retrieve_documents, retrieve_bytes, .. } = house.settings.documents;
        Ok(Repository {
            remove: Remove { retrieve: retrieve.clone(), own: own.clone(), documents: retrieve_documents },
            retrieve_set: RetrieveSet {
                retrieve: retrieve.clone(),
                own,
                documents: retrieve_documents,
                bytes: retrieve_bytes,
            },
            provide_set: ProvideSet(provide.clone()),
            publish: Publish(provide.clone()),
            generate: Generate(provide.clone()),
            maps,
            validate: Validate(provide.clone()),
            provide,
            retrieve,
            reconcile: Reconcile::new(&settler, house.public_url.clone()),
            tasks: Tasks::new(settler.records.clone(), house.settings.task.clone()),
            settler,
            house,
            domain,
        })
    }

    fn routes() -> &'static [Route<Repository>] {
        face::fhir::ROUTES
    }

    fn unrouted(&self, request: &Request, allowed: &[&'static str]) -> Answer {
        face::fhir::unrouted(request, allowed)
    }

    fn dress(request: &Request, json: &[bytes::Bytes]) -> Option<(&'static str, Vec<u8>)> {
        let accept = request.header(http::header::ACCEPT);
        ::fhir::negotiate::answer(&request.query, accept.as_deref()).unwrap_or_default().dress(json)
    }

    fn keys() -> &'static [(&'static str, &'static str)] {
        config::KEYS
    }

    fn background(self: Arc<Repository>) -> Vec<LocalBoxFuture<'static, ()>> {
        let stopping = self.house.stopping.clone();
        let settler = self.settler.clone();
        let pause = self.house.settings.submission.settle_interval();
        let tasks = self.house.stopping.clone();
        vec![
            Box::pin(async move { settler.watch(pause, stopping).await }),
            Box::pin(async move { self.work_on_tasks(tasks).await }),
        ]
    }

    fn reconcile(self: Arc<Self>, apply: bool) -> Option<LocalBoxFuture<'static, Result<Report, String>>> {
        let mode = if apply { Mode::Apply } else { Mode::Plan };
        Some(Box::pin(async move { self.reconcile.run(mode).await.map_err(|error| error.to_string()) }))
    }

    fn peers(settings: &Settings) -> Vec<(&'static str, PeerSettings)> {
        vec![("registry", settings.registry.peer()), ("identity", settings.identity.peer())]
    }

    fn checks(&self) -> Vec<Check> {
        let mut checks = self.settler.checks();
        // Old codes are judged by all the same; the operator reads it here.
        checks.push(Check { name: "domain", ok: true, text: self.domain.note() });
        let text = format!("repositoryUniqueId {}", self.retrieve_set.own.repository);
        checks.push(Check { name: "repository", ok: true, text });
        checks
    }

    fn reload(&self) -> Result<String, String> {
        self.domain.reload().map(|change| change.words())
    }

    #[cfg(feature = "failpoints")]
    fn points() -> &'static [store::point::Point] {
        points::POINTS
    }
}
