//! `POST [base]/$process-message`, and `POST [base]`, with a message of the feed [ITI-93].

use std::cell::OnceCell;

use actor::{Codec, Context, Fault};
use fhir::iti93::{self, Done, Message, Response, What};
use fhir::{json, negotiate};
use http::{StatusCode, header};
use uuid::Uuid;
use web::{Answer, Request};
use xds::{Findings, Rule};

use super::Served;
use super::answer::{self, Wishes};
use crate::IdentitySource;
use crate::events::Happened;
use crate::feed::{self, Change, Fed, FeedPatient, Iti93};
use crate::known::Names;

pub(super) fn process<'a>(source: &'a IdentitySource, request: &'a mut Request) -> Served<'a> {
    Box::pin(async move {
        let codec = Process { source, wishes: Wishes::of(request), read: OnceCell::new() };
        source.corridor.walk(&source.feeding::<Iti93>(), &codec, request).await
    })
}

struct Process<'a> {
    source: &'a IdentitySource,
    wishes: Wishes,
    read: OnceCell<Read>,
}

/// What the answer needs of a message.
struct Read {
    id: String,
    places: Vec<String>,
}

impl Codec<FeedPatient<Iti93>> for Process<'_> {
    async fn read(&self, request: &mut Request, context: &Context) -> Result<feed::Request, Fault<Findings>> {
        self.wishes.check()?;
        iti93::check_query(&request.query).map_err(Fault::Refused)?;
        let content_type = answer::text(request, header::CONTENT_TYPE);
        let syntax = negotiate::request(content_type).map_err(Fault::UnsupportedMedia)?;
        let limits = &self.source.limits;
        let body = request.body.whole(limits.max_body_bytes, "server.limits.max_body_bytes").await?;
        let digest = Uuid::new_v5(&Uuid::NAMESPACE_OID, &body).to_string();
        let body = syntax.parse(&body, &json::Limits::default()).map_err(Fault::Refused)?;
        let message = iti93::read(body, &context.base, limits.max_entries).map_err(Fault::Refused)?;
        self.asked(message, &digest, &context.base)
    }

    fn write(&self, fed: Vec<Fed>, context: &Context) -> Answer {
        let (id, places) = match self.read.get() {
            Some(read) => (read.id.as_str(), read.places.as_slice()),
            None => ("", [].as_slice()),
        };
        let mut done: Vec<Done> =
            fed.iter().zip(places).map(|(fed, at)| Done { at: at.clone(), text: words(fed) }).collect();
        if fed.is_empty() {
            let text = "this message was taken before; nothing had to be done again".to_owned();
            done.push(Done { at: "Bundle".to_owned(), text });
        }
        let response = Response {
            to: id,
            id: &Uuid::new_v4().to_string(),
            base: &context.base,
            now: self.source.clock.now(),
            done: &done,
        };
        self.wishes.answer(StatusCode::OK, iti93::write(&response))
    }

    fn refuse(&self, fault: Fault<Findings>, context: &Context) -> Answer {
        let Fault::Refused(mut findings) = fault else { return answer::refuse(&fault, &context.request) };
        for finding in &mut findings {
            if !finding.text.contains("Nothing was") {
                finding.text.truncate(finding.text.trim_end_matches('.').len());
                finding.text.push_str(". Nothing was stored of the message");
            }
        }
        // An unmerge that nobody asked for in so many words is what the entry's 405 is for (2:3.93.4.1.3).
        let is_unmerge = findings.iter().all(|finding| finding.rule == Rule::MergeIsFinal);
        let mut answer = answer::refuse(&Fault::Refused(findings), &context.request);
        if is_unmerge {
            answer.status = StatusCode::METHOD_NOT_ALLOWED;
        }
        answer
    }

    fn reason(&self, fault: &Fault<Findings>) -> String {
        answer::reason(fault)
    }
}

impl Process<'_> {
    /// What a message asks for, and what is kept of it for the answer.
    fn asked(&self, message: Message, digest: &str, base: &str) -> Result<feed::Request, Fault<Findings>> {
        let Message { id, source, changes } = message;
        let places = changes.iter().map(|change| change.at.path.clone()).collect();
        let entity = format!("MessageHeader/{id}");
        let once = Some(format!("message/{source}|{id}|{digest}"));
        let _ = self.read.set(Read { id, places });
        let changes =
            changes.into_iter().map(|change| self.change(change, base)).collect::<Result<_, _>>()?;
        Ok(feed::Request { changes, if_match: None, only_new: false, once, message: Some(entity) })
    }

    /// A change under the name its patient is known by here.
    fn change(&self, change: iti93::Change, base: &str) -> Result<Change, Fault<Findings>> {
        let iti93::Change { at, what, names, url } = change;
        let (records, names) = (&self.source.records, Names { business: &names, url: url.as_ref() });
        // The reader lets nobody pass who has no name at all.
        let nameless = || Fault::Internal("an entry without a name".to_owned());
        Ok(match what {
            What::Put { patient, relatives } => {
                let condition = names.condition(records, base)?.ok_or_else(nameless)?;
                Change::Put { condition, patient, unmerges: true, keeps_mother: !relatives, at }
            }
            What::Remove => {
                let identifier = names.record(records, base)?.ok_or_else(nameless)?;
                Change::Remove { identifier, at }
            }
        })
    }
}

/// What became of an entry.
fn words(fed: &Fed) -> String {
    let version = fed.stamp.version;
    let id = &fed.id;
    match &fed.happened {
        None if id.is_empty() => "nobody is known by this, so nobody had to be removed".to_owned(),
        None => format!("Patient/{id} stands like this already at version {version}"),
        Some(Happened::Created) => format!("Patient/{id} is taken in at version {version}"),
        Some(Happened::Revised { .. }) => format!("Patient/{id} is revised at version {version}"),
        Some(Happened::Merged { survivor, .. }) => {
            format!("Patient/{id} is merged into Patient/{} at version {version}", survivor.id)
        }
        Some(Happened::Unmerged { from }) => {
            format!(
                "Patient/{id} stands for itself again at version {version}, and no more behind Patient/{}",
                from.id
            )
        }
        Some(Happened::Removed { .. }) => format!("Patient/{id} is removed"),
    }
}
