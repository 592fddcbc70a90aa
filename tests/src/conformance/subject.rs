//! Whom the run judges.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::xds::CODES;
use super::{hl7v2, openhie};
use crate::process;
use crate::region::{Actor, Plan, Region};

/// The origin whose pages may call a region of our own.
const VIEWER: &str = "https://viewer.example";

/// Three FHIR bases, and what more is known when the actors are our own processes.
pub struct Subject {
    registry: String,
    repository: String,
    identity: String,
    region: Option<Region>,
    /// The codes of the cases' own documents; the actors read them again when they are told to.
    codes: Option<tempfile::NamedTempFile>,
    /// How long a server may wait for the head of a request.
    pub header_timeout: Duration,
    /// `server.limits.max_body_bytes`.
    pub max_body_bytes: u64,
    /// `server.limits.max_submission_bytes`.
    pub max_submission_bytes: u64,
    /// `server.limits.max_entries`.
    pub max_entries: usize,
    /// `server.limits.max_header_bytes`.
    pub max_header_bytes: usize,
    /// `server.limits.max_count`.
    pub max_count: usize,
    /// One of `server.cors_origins`, if any is known to be listed.
    pub cors_origin: Option<String>,
}

impl Subject {
    /// Actors somebody else started, with the documented default limits.
    pub fn elsewhere(registry: &str, repository: &str, identity: &str) -> Subject {
        Subject {
            registry: registry.trim_end_matches('/').to_owned(),
            repository: repository.trim_end_matches('/').to_owned(),
            identity: identity.trim_end_matches('/').to_owned(),
            region: None,
            codes: None,
            header_timeout: Duration::from_secs(10),
            max_body_bytes: 8 << 20,
            max_submission_bytes: 250 << 20,
            max_entries: 500,
            max_header_bytes: 32 << 10,
            max_count: 1000,
            cors_origin: None,
        }
    }

    /// A region of our own, with a shorter header timeout so that nobody waits for it.
    pub fn own(index: &str) -> Result<Subject> {
        Subject::started(&Subject::plan(index))
    }

    /// A region whose affinity domain has agreed on the codes of the toolkit, and takes no others.
    pub(super) fn with_codes(data: &Path) -> Result<Subject> {
        let own = tempfile::Builder::new().suffix(".xml").tempfile().context("making a codes.xml")?;
        std::fs::write(own.path(), CODES).context("writing a codes.xml")?;
        let toolkit = data.join("corpus/toolkit2-codes/codes-default.xml");
        let toolkit =
            std::fs::canonicalize(&toolkit).with_context(|| format!("finding {}", toolkit.display()))?;
        let mut plan = Subject::plan("redb");
        for actor in [Actor::Registry, Actor::Repository] {
            plan.set.push((actor, format!("domain.files=[{toolkit:?}, {:?}]", own.path())));
            plan.set.push((actor, "domain.enforce.default=reject".to_owned()));
        }
        let mut subject = Subject::started(&plan)?;
        subject.codes = Some(own);
        Ok(subject)
    }

    fn plan(index: &str) -> Plan {
        Plan {
            index: index.to_owned(),
            extra: "[server.limits]\nheader_timeout = \"2s\"\n".into(),
            set: Actor::ALL
                .map(|actor| (actor, format!("server.cors_origins=[\"{VIEWER}\"]")))
                .into_iter()
                .chain(feed_of_hl7().map(|value| (Actor::Registry, value)))
                .chain(sources().map(|value| (Actor::Identity, value)))
                .collect(),
            ..Plan::default()
        }
    }

    fn started(plan: &Plan) -> Result<Subject> {
        let region = Region::start(plan)?;
        let mut subject = Subject::elsewhere(
            &region.base(Actor::Registry),
            &region.base(Actor::Repository),
            &region.base(Actor::Identity),
        );
        subject.region = Some(region);
        subject.header_timeout = Duration::from_secs(2);
        subject.cors_origin = Some(VIEWER.to_owned());
        Ok(subject)
    }

    /// Whether the actors are processes of our own.
    pub(crate) fn is_own(&self) -> bool {
        self.region.is_some()
    }

    /// FHIR base of an actor.
    pub fn base(&self, actor: Actor) -> &str {
        match actor {
            Actor::Registry => &self.registry,
            Actor::Repository => &self.repository,
            Actor::Identity => &self.identity,
        }
    }

    /// `http://host:port` of an actor.
    pub fn host(&self, actor: Actor) -> Result<String> {
        let url = url::Url::parse(self.base(actor)).context("the base is a URL")?;
        Ok(format!("{}://{}", url.scheme(), crate::raw::authority(self.base(actor))?))
    }

    /// Process ids, if the actors are ours.
    pub(crate) fn pids(&self) -> Vec<(Actor, u32)> {
        let Some(region) = &self.region else { return Vec::new() };
        Actor::ALL.into_iter().filter_map(|actor| Some((actor, region.pid(actor)?))).collect()
    }

    /// The admin listener of an actor, if it is ours.
    pub(crate) fn admin(&self, actor: Actor) -> Option<String> {
        self.region.as_ref().map(|region| region.admin(actor))
    }

    /// The log of an actor, if it is ours.
    pub(crate) fn log(&self, actor: Actor) -> Option<String> {
        self.region.as_ref().map(|region| region.log(actor))
    }

    /// Where an actor keeps its data, if it is ours.
    pub(crate) fn data(&self, actor: Actor) -> Option<PathBuf> {
        self.region.as_ref().map(|region| region.data(actor))
    }

    /// Whether memory and time are judged: our own processes, built for release.
    pub(crate) fn bars(&self) -> bool {
        self.region.is_some() && !cfg!(debug_assertions)
    }

    /// Actors that have ended, though nobody asked them to.
    pub(crate) fn dead(&self) -> Vec<Actor> {
        let alive = |pid: u32| process::resident_kib(pid).is_some_and(|kib| kib > 0);
        self.pids().into_iter().filter(|(_, pid)| !alive(*pid)).map(|(actor, _)| actor).collect()
    }
}

/// Which domains an identity source knows by more than one name, who feeds them, that their sources may remove patients, and
/// that it listens to HL7 v2.
fn sources() -> [String; 4] {
    let free: Vec<&&str> = hl7v2::AUTHORITIES.iter().filter(|one| !one.starts_with("TEST_")).collect();
    [
        format!("domain.authorities={free:?}"),
        format!("domain.authority={}", openhie::AUTHORITIES.replace('\n', " ")),
        "domain.remove=true".to_owned(),
        "mllp.listen=127.0.0.1:0".to_owned(),
    ]
}

/// What makes a registry listen to HL7 v2, with timeouts so short that nobody waits for them.
fn feed_of_hl7() -> [String; 5] {
    [
        format!("identity.authorities={:?}", hl7v2::AUTHORITIES),
        "mllp.listen=127.0.0.1:0".to_owned(),
        format!("mllp.idle_timeout={}", hl7v2::TIMEOUT),
        format!("mllp.frame_timeout={}", hl7v2::TIMEOUT),
        format!("mllp.max_connections={}", hl7v2::CONNECTIONS),
    ]
}
