//! The Patient Identity Source (PIXm Manager, PDQm Supplier): knows who is who.
//!
//! Lives here: patients and their identifiers, the feeds [ITI-104, ITI-93, ITI-44, ITI-8], finding patients [ITI-78], cross-referencing [ITI-83],
//! and telling the registry of every patient.
//! Does not live here: documents, and how FHIR writes a patient (`fhir`).
//! Doors: every shared room, no other actor.

mod candidates;
mod config;
mod corresponding;
mod crossreference;
mod deliver;
mod domains;
mod events;
mod face;
mod feed;
mod known;
mod links;
mod matches;
mod matching;
mod pid;
#[cfg(feature = "failpoints")]
mod points;
mod query;
mod read;
mod receivers;
mod records;

use std::sync::Arc;

use actor::{Actor, Check, Corridor, Door, House, Route};
use fhir::page::Sealer;
use futures_util::future::LocalBoxFuture;
use mllp::Ear;
use tokio::sync::watch;
use web::{Answer, Limits, PeerSettings, Request};

pub use config::{AuthoritySettings, Domain, LinkSettings, SearchSettings, Settings};
pub use matching::Settings as MatchSettings;
pub use receivers::{Protocol, Receiver};

use candidates::FindCandidates;
use corresponding::FindCorresponding;
use crossreference::CrossReference;
use deliver::Delivery;
use domains::Domains;
use feed::{FeedPatient, Feeding, Number};
use links::{Decide, FindDuplicates, Judge, Linker, ReadLinks};
use matches::MatchPatient;
use matching::Matcher;
use query::FindPatients;
use read::{ReadHistory, ReadPatient};
use receivers::REGISTRY;
use records::Records;

/// The actor.
pub struct IdentitySource {
    corridor: Corridor,
    limits: Limits,
    sealer: Sealer,
    page_ttl_seconds: u64,
    /// The zone of times in searches that name none.
    time_zone: jiff::tz::TimeZone,
    stopping: watch::Receiver<bool>,
    delivery: Arc<Delivery>,
    clock: actor::Clock,
    records: Records,
    soap: soap::Settings,
    feeding: Arc<Feeding>,
    find: FindPatients,
    cross_reference: CrossReference,
    match_patient: MatchPatient,
    corresponding: FindCorresponding,
    candidates: FindCandidates,
    read: ReadPatient,
    history: ReadHistory,
    linker: Arc<Linker>,
    decide: Decide,
    links: ReadLinks,
    duplicates: FindDuplicates,
    /// Where HL7 v2 is listened to.
    ear: Ear,
    /// The FHIR base, if it is configured: who came by another face knows it no other way.
    public_url: Option<String>,
}

impl IdentitySource {
    /// The feed, as the transaction of this number.
    fn feeding<N: Number>(&self) -> FeedPatient<N> {
        FeedPatient::of(&self.feeding)
    }
}

impl Actor for IdentitySource {
    const NAME: &'static str = "identity";
    const PORT: u16 = 8083;
    type Settings = Settings;

    async fn build(house: House<Settings>) -> Result<IdentitySource, String> {
        if let Some(errors) = actor::errors() {
            fhir::outcome::documented_at(errors);
        }
        let domains = Domains::read(&house.settings.domain)?;
        let records = Records::new(house.corridor.store.clone(), domains);
        let delivery = Arc::new(Delivery::new(&house, &records)?);
        let ear = Ear::new(house.settings.mllp.clone(), &house, IdentitySource::NAME)?;
        let public_url = house.public_url.clone();
        let House { settings, corridor, clock, .. } = house;
        settings.matching.check()?;
        let matcher = Matcher::new(records.clone(), &settings.matching);
        let deciding = Arc::default();
        let judge = Judge::new(records.clone(), matcher.clone(), &settings.links);
        let linker =
            Linker::new(records.clone(), judge, clock.clone(), delivery.clone(), Arc::clone(&deciding));
        let linker = Arc::new(linker);
        let feeding = Feeding::new(records.clone(), clock.clone(), delivery.clone(), linker.clone());
        let most = usize::try_from(house.limits.max_count).unwrap_or(usize::MAX).max(1);
        Ok(IdentitySource {
            corridor,
            limits: house.limits,
            time_zone: house.time_zone,
            sealer: Sealer::new(house.secret),
            page_ttl_seconds: settings.search.page_ttl_seconds,
            stopping: house.stopping,
            feeding: Arc::new(feeding),
            delivery: delivery.clone(),
            clock: clock.clone(),
            records: records.clone(),
            soap: settings.soap,
            find: FindPatients { records: records.clone(), clock: clock.clone() },
            cross_reference: CrossReference { records: records.clone(), clock: clock.clone() },
            match_patient: MatchPatient { records: records.clone(), matcher, clock: clock.clone() },
            candidates: FindCandidates { records: records.clone(), clock: clock.clone(), most },
            corresponding: FindCorresponding { records: records.clone(), clock: clock.clone() },
            read: ReadPatient { records: records.clone(), clock: clock.clone() },
            history: ReadHistory { records: records.clone(), clock: clock.clone() },
            linker,
            decide: Decide { records: records.clone(), clock: clock.clone(), delivery, deciding },
            links: ReadLinks { records: records.clone(), clock: clock.clone() },
            duplicates: FindDuplicates { records, clock },
            ear,
            public_url,
        })
    }

    fn routes() -> &'static [Route<IdentitySource>] {
        face::routes()
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

    fn background(self: Arc<Self>) -> Vec<LocalBoxFuture<'static, ()>> {
        let (delivery, stopping) = (self.delivery.clone(), self.stopping.clone());
        let (linker, until) = (self.linker.clone(), self.stopping.clone());
        let (records, leaving) = (self.records.clone(), self.stopping.clone());
        let heard = mllp::serve(self.clone(), self.stopping.clone());
        vec![
            Box::pin(async move { delivery.run(stopping).await }),
            Box::pin(async move { linker.run(until).await }),
            Box::pin(records::warm(records, leaving)),
            Box::pin(heard),
        ]
    }

    fn doors(settings: &Settings) -> Vec<Door> {
        // What is no address is refused with words when the actor is built.
        let address = settings.mllp.address().ok().flatten();
        address.map(|address| Door { key: mllp::LISTEN, address }).into_iter().collect()
    }

    fn faults(settings: &Settings, public_url: Option<&str>) -> Vec<String> {
        let mut faults = settings.mllp.faults();
        faults.extend(settings.matching.check().err());
        match Domains::read(&settings.domain) {
            Err(words) => faults.push(words),
            Ok(domains) => {
                let authorities = Arc::new(domains.authorities().clone());
                faults.extend(receivers::faults(
                    &settings.registry,
                    &settings.receivers,
                    &authorities,
                    public_url,
                ));
            }
        }
        faults
    }

    fn reload(&self) -> Result<String, String> {
        self.ear.reload()?;
        Ok("the certificates of the MLLP listener were read again".to_owned())
    }

    fn peers(settings: &Settings) -> Vec<(&'static str, PeerSettings)> {
        let registry = std::iter::once((REGISTRY, settings.registry.clone()));
        registry.chain(receivers::peers(&settings.receivers)).collect()
    }

    fn checks(&self) -> Vec<Check> {
        let mut checks = self.delivery.checks();
        checks.push(self.linker.check());
        let text = match self.ear.place() {
            Some(place) => format!("HL7 v2 at {place}"),
            None => "not listened to (mllp.listen is empty)".to_owned(),
        };
        checks.push(Check { name: "mllp", ok: true, text });
        checks
    }

    fn operate(&self, request: &Request) -> Option<LocalBoxFuture<'static, Answer>> {
        deliver::admin(&self.delivery, request)
    }

    #[cfg(feature = "failpoints")]
    fn points() -> &'static [store::point::Point] {
        points::POINTS
    }
}
