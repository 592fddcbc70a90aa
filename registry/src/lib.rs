//! The Document Registry: knows what has been shared, and answers questions about it.
//!
//! Lives here: Register Document Set [ITI-42] in FHIR and XDS.b, metadata update and removal [ITI-57, ITI-92, ITI-62],
//! Find Document References [ITI-67], Find Document Lists [ITI-66], read and history of what is registered, its metadata
//! update (ITI-92 in FHIR), the registry's own record of patients, groups of them, bulk export, and `settle` for the repository.
//! Does not live here: the bytes of documents, who patients are, the rules of the framework (`xds`), FHIR itself (`fhir`).
//! Doors: every room in `shared/`; no other actor.
//!
//! How a submission walks: `face/register.rs` reads it, `register.rs` checks the rules, loads what it touches, lets
//! `xds::plan` decide and makes one commit. How a question walks: `face/search.rs` reads it into an `xds::Filter`,
//! `query.rs` finds out whose objects are meant and asks the store, and stored renderings are put together as they are.

mod amend;
mod authorities;
mod bindings;
mod config;
mod earlier;
mod export;
mod face;
mod feed;
mod gate;
mod groups;
mod identify;
mod merge;
mod merged;
mod patients;
mod places;
#[cfg(feature = "failpoints")]
mod points;
mod query;
mod read;
mod records;
mod register;
mod remove;
mod review;
mod settle;
mod stored_query;
mod survey;
mod update;
mod validate;
mod whom;

use std::sync::Arc;

use actor::{Actor, Check, Corridor, Door, House, Route};
use fhir::page::Sealer;
use futures_util::future::LocalBoxFuture;
use mllp::Ear;
use web::{Answer, Limits, Request};

pub use affinity::{Enforced, Enforcing};
pub use config::{Domain, Export, Identity, Merge, Search, Settings, StoredQuery, UnknownPatient};

use face::fhir as table;

/// The actor.
pub struct Registry {
    corridor: Corridor,
    limits: Limits,
    public_url: Option<String>,
    desk: face::Desk,
    register: register::Register,
    on_demand: register::OnDemand,
    amend: amend::Amend,
    restricted: amend::Restricted,
    remove: remove::Remove,
    /// Where documents of other repositories are.
    places: places::Places,
    validate: validate::Validate,
    find_documents: query::FindDocuments,
    find_lists: query::FindLists,
    stored_query: stored_query::RegistryQuery,
    multi_patient_query: stored_query::MultiPatientQuery,
    read: read::Read,
    feed: feed::Feed,
    /// Patients as HL7 v2 and v3 tell them.
    identities: identify::Identities,
    feed_v2: identify::FeedV2,
    feed_v3: identify::FeedV3,
    /// Where HL7 v2 is listened to.
    ear: Ear,
    settle: settle::Settle,
    update: update::Update,
    /// Which codes are accepted.
    domain: Arc<affinity::Shelf>,
    survey: survey::Survey,
    /// Whether an earlier version wrote some of what is here.
    has_earlier: bool,
    bindings: bindings::Bindings,
    submissions: bindings::Submissions,
    whom: whom::Whom,
    exports: Arc<export::Exports>,
    groups: groups::Groups,
    reviews: review::Reviews,
    /// Where SOAP answers may be sent later.
    soap: soap::Settings,
    stopping: tokio::sync::watch::Receiver<bool>,
    /// Which life of this registry this is: its id and a number that every restore raises.
    incarnation: String,
}

impl Actor for Registry {
    const NAME: &'static str = "registry";
    const PORT: u16 = 8081;
    type Settings = Settings;

    async fn build(house: House<Settings>) -> Result<Registry, String> {
        if let Some(errors) = actor::errors() {
            fhir::outcome::documented_at(errors);
        }
        let ear = Ear::new(house.settings.mllp.clone(), &house, Registry::NAME)?;
        let House { settings, corridor, clock, limits, public_url, secret, time_zone, stopping, .. } = house;
        let store = corridor.store.clone();
        let identity = settings.identity.url.trim_end_matches('/').to_owned();
        if identity.is_empty() {
            return Err("identity.url is empty; it must be the public FHIR base URL of the identity source"
                .to_owned());
        }
        let authorities = Arc::new(authorities::Authorities::read(&settings.identity.authorities)?);
        if settings.mllp.address()?.is_some() && authorities.is_empty() {
            return Err("mllp.listen is set and identity.authorities is empty: no identifier of the feed would be taken; name the assigning authority of this domain, e.g. [\"IHERED&1.3.6.1.4.1.21367.13.20.1000&ISO\"]".to_owned());
        }
        let domain = Arc::new(affinity::Shelf::open(&settings.domain.codes())?);
        for remark in &domain.current().remarks {
            tracing::warn!("affinity domain: {remark}");
        }
        let has_earlier = earlier::is_there(&store)
            .map_err(|error| format!("what is registered cannot be read: {error}"))?;
        if has_earlier {
            tracing::warn!("{}", earlier::TOLD);
        }
        let gates = Arc::new(gate::Gates::new());
        let identities = identify::Identities {
            store: store.clone(),
            clock: clock.clone(),
            gates: gates.clone(),
            names: Arc::new(gate::Gates::new()),
            authorities: authorities.clone(),
            identity: identity.as_str().into(),
            most: settings.merge.max_objects,
        };
        let query = Arc::new(query::Query {
            store: store.clone(),
            clock: clock.clone(),
            domain: domain.clone(),
            authorities: authorities.clone(),
        });
        let stored_queries = Arc::new(stored_query::StoredQueries {
            query: query.clone(),
            store: store.clone(),
            clock: clock.clone(),
            settings: settings.stored_query,
            home_community: Some(settings.domain.home_community_id.clone()).filter(|id| !id.is_empty()),
            leaves: stored_query::Leaves::default(),
        });
        let exports = export::Exports::new(
            store.clone(),
            clock.clone(),
            settings.export,
            time_zone.clone(),
            identity.clone(),
            query.clone(),
        );
        let home = settings.domain.home_community_id.trim();
        let register = register::Register {
            home_community: (!home.is_empty())
                .then(|| format!("urn:oid:{}", home.trim_start_matches("urn:oid:")).into()),
            store: store.clone(),
            clock: clock.clone(),
            gates: gates.clone(),
            identity: identity.clone().into(),
            time_zone: time_zone.clone(),
            conditional: Arc::default(),
            domain: domain.clone(),
        };
        let amending = amend::Amending {
            store: store.clone(),
            clock: clock.clone(),
            gates: gates.clone(),
            identity: identity.clone().into(),
            time_zone: time_zone.clone(),
            domain: domain.clone(),
        };
        Ok(Registry {
            exports: Arc::new(exports),
            reviews: review::Reviews {
                store: store.clone(),
                clock: clock.clone(),
                gates: gates.clone(),
                authorities: authorities.clone(),
                identity: identity.as_str().into(),
            },
            groups: groups::Groups { store: store.clone(), clock: clock.clone(), identity: identity.clone() },
            stopping: stopping.clone(),
            soap: settings.soap,
            desk: face::Desk {
                sealer: Sealer::new(secret),
                page_ttl_seconds: settings.search.page_ttl,
                require_patient: settings.search.require_patient,
                identity: identity.clone(),
                home_community: Some(settings.domain.home_community_id).filter(|id| !id.is_empty()),
                time_zone: time_zone.clone(),
            },
            update: update::Update {
                store: store.clone(),
                clock: clock.clone(),
                gates: gates.clone(),
                identity: identity.as_str().into(),
                time_zone,
                domain: domain.clone(),
                max_bytes: limits.max_body_bytes,
            },
            validate: validate::Validate(register.clone()),
            on_demand: register::OnDemand(register.clone()),
            amend: amend::Amend(amending.clone()),
            restricted: amend::Restricted(amending),
            remove: remove::Remove { store: store.clone(), clock: clock.clone(), gates: gates.clone() },
            places: places::Places::read(&settings.domain.repositories)?,
            register,
            find_documents: query::FindDocuments(query.clone()),
            find_lists: query::FindLists(query),
            stored_query: stored_query::RegistryQuery(stored_queries.clone()),
            multi_patient_query: stored_query::MultiPatientQuery(stored_queries),
            read: read::Read { store: store.clone(), clock: clock.clone() },
            feed: feed::Feed {
                store: store.clone(),
                clock: clock.clone(),
                gates,
                names: identities.names.clone(),
                authorities,
                identity: identity.as_str().into(),
                most: settings.merge.max_objects,
            },
            feed_v2: identify::FeedV2(identities.clone()),
            feed_v3: identify::FeedV3(identities.clone()),
            identities,
            ear,
            bindings: bindings::Bindings { store: store.clone(), clock: clock.clone() },
            whom: whom::Whom { store: store.clone(), clock: clock.clone() },
            submissions: bindings::Submissions { store: store.clone(), clock: clock.clone() },
            incarnation: incarnation(&store),
            survey: survey::Survey::new(store.clone(), domain.clone(), stopping),
            has_earlier,
            settle: settle::Settle { store, clock },
            domain,
            corridor,
            limits,
            public_url,
        })
    }

    fn routes() -> &'static [Route<Registry>] {
        table::routes()
    }

    fn unrouted(&self, request: &Request, allowed: &[&'static str]) -> Answer {
        table::unrouted(request, allowed)
    }

    fn dress(request: &Request, json: &[bytes::Bytes]) -> Option<(&'static str, Vec<u8>)> {
        let accept = request.header(http::header::ACCEPT);
        ::fhir::negotiate::answer(&request.query, accept.as_deref()).unwrap_or_default().dress(json)
    }

    fn keys() -> &'static [(&'static str, &'static str)] {
        config::KEYS
    }

    fn doors(settings: &Settings) -> Vec<Door> {
        // What is no address is refused with words when the actor is built.
        let address = settings.mllp.address().ok().flatten();
        address.map(|address| Door { key: mllp::LISTEN, address }).into_iter().collect()
    }

    fn faults(settings: &Settings, _public_url: Option<&str>) -> Vec<String> {
        let mut faults = settings.mllp.faults();
        faults.extend(authorities::Authorities::read(&settings.identity.authorities).err());
        faults
    }

    fn background(self: Arc<Registry>) -> Vec<LocalBoxFuture<'static, ()>> {
        let stopping = self.stopping.clone();
        vec![
            Box::pin(Arc::clone(&self.exports).work(self.stopping.clone())),
            Box::pin(mllp::serve(self, stopping)),
        ]
    }

    fn checks(&self) -> Vec<Check> {
        // Old codes are served all the same; the operator reads it here.
        let mut checks = vec![Check { name: "domain", ok: true, text: self.domain.note() }];
        let text = match self.ear.place() {
            Some(place) => {
                format!("HL7 v2 at {place}, identifiers of {}", self.identities.authorities.words())
            }
            None => "not listened to (mllp.listen is empty)".to_owned(),
        };
        checks.push(Check { name: "mllp", ok: true, text });
        // Somebody has to decide; that nobody has done so does not make the registry unready.
        let text = match records::reviews(&self.corridor.store, None, Some(true), (None, 0)) {
            Ok(page) => match page.total.unwrap_or_default() {
                0 => "nothing of patients who were merged and parted again is to be reviewed".to_owned(),
                open => format!(
                    "to be reviewed after patients were parted again: {open} (docshare patient review list)"
                ),
            },
            Err(error) => format!("what is to be reviewed cannot be read: {error}"),
        };
        checks.push(Check { name: "reviews", ok: true, text });
        if self.has_earlier {
            checks.push(Check { name: "earlier", ok: true, text: earlier::TOLD.to_owned() });
        }
        checks
    }

    fn reload(&self) -> Result<String, String> {
        self.ear.reload()?;
        let change = self.domain.reload()?;
        for remark in &change.loaded.remarks {
            tracing::warn!("affinity domain: {remark}");
        }
        self.survey.begin();
        Ok(change.words())
    }

    fn admin(&self, request: &Request) -> Option<Answer> {
        survey::admin(&self.survey, request)
    }

    #[cfg(feature = "failpoints")]
    fn points() -> &'static [store::point::Point] {
        points::POINTS
    }
}

/// Which life of this registry this is, as its answers say it.
fn incarnation(store: &store::Store) -> String {
    let incarnation = store.incarnation();
    format!("{};{}", incarnation.id, incarnation.number)
}
