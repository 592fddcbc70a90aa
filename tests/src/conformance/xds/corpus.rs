//! Messages of other registries, repositories and consumers: each answered as the index of the corpus expects.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

use super::super::world::World;
use super::super::{Case, make, skip};
use super::ask::{ITI_18, ITI_41, ITI_42, ITI_43, ITI_51, ITI_57, Transaction, objects};
use super::captured;
use crate::markup::{Element, Node};
use crate::region::Actor;
use crate::soap::{Message, Reply};

/// What is sent, and how.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// A body, after these others, whose ids it shares.
    Body(Transaction, &'static [&'static str]),
    /// ITI-41 metadata whose documents are not there: each entry gets one.
    Lacking(&'static [&'static str]),
    /// A whole envelope.
    Envelope(Actor),
    /// A whole MTOM package.
    Package,
    /// A package captured from another stack, under the Content-Type in this file.
    Captured(&'static str),
    /// A query as the toolkit keeps it, symbols unfilled.
    Template(Transaction),
    /// An answer, which nobody can be sent.
    Answer,
}

#[derive(Debug, Clone, Copy)]
enum Expected {
    Success,
    /// Failure with one of these codes.
    Failure(&'static [&'static str]),
    /// Success, or a failure with one of these codes.
    Either(&'static [&'static str]),
}

use Expected::{Either, Failure, Success};
use Kind::{Answer, Body, Captured, Envelope, Lacking, Package, Template};

const NOT_HERE: &[&str] = &["XDSDocumentUniqueIdError", "XDSUnknownRepositoryId", "XDSUnknownCommunity"];
const MALFORMED: &[&str] = &["XDSRegistryError", "XDSStoredQueryParamNumber", "XDSStoredQueryMissingParam"];
const REPOSITORY_METADATA: &[&str] = &["XDSRepositoryMetadataError", "XDSRegistryMetadataError"];

const FILES: &[(&str, Kind, Expected)] = &[
    ("dcm4chee-xds/RegisterOneDocument.xml", Body(ITI_42, &[]), Success),
    ("dcm4chee-xds/RegisterTwoDocuments.xml", Body(ITI_42, &[]), Success),
    ("dcm4chee-xds/CreateFolderWithDocument.xml", Body(ITI_42, &[]), Success),
    ("dcm4chee-xds/RegisterOneDocumentConcurrent1.xml", Body(ITI_42, &[]), Success),
    ("dcm4chee-xds/ResubmitInitialDoc.xml", Body(ITI_42, &["dcm4chee-xds/RegisterOneDocument.xml"]), Success),
    // It lacks what a repository adds, so that it can only be meant for one.
    ("ipf-xds/SubmitObjectsRequest_ebrs3_extra_metadata.xml", Lacking(&[]), Success),
    // Its entry is stable and names an entry nobody registered.
    (
        "ipf-xds/SubmitObjectsRequest_ebrs30.xml",
        Body(ITI_42, &[]),
        Either(&["UnresolvedReferenceException", "XDSRegistryMetadataError"]),
    ),
    (
        "ipf-xds/SubmitObjectsRequest_ebrs30_update.xml",
        Body(ITI_57, &[]),
        Either(&[
            "XDSMetadataUpdateError",
            "XDSMetadataVersionError",
            "UnresolvedReferenceException",
            "XDSRegistryMetadataError",
        ]),
    ),
    ("ipf-xds/iti18request.xml", Body(ITI_18, &[]), Failure(MALFORMED)),
    ("openhim-mediator-xds/pnr1.xml", Body(ITI_41, &[]), Success),
    ("openhim-mediator-xds/pnr3.xml", Body(ITI_41, &[]), Success),
    ("openhim-mediator-xds/pnr-no-epid.xml", Body(ITI_41, &[]), Success),
    ("openhim-mediator-xds/pnr_e2e_mtom.xml", Package, Success),
    ("openhim-mediator-xds/adhocQueryRequest_wSOAP.xml", Envelope(Actor::Registry), Success),
    ("openhim-mediator-xds/adhocQueryResponse_wSOAP.xml", Answer, Success),
    ("openmrs-shr-xds/PnR1.xml", Body(ITI_41, &[]), Success),
    ("openmrs-shr-xds/PnR_correctHash.xml", Body(ITI_41, &[]), Success),
    ("openmrs-shr-xds/PnR_multiDoc.xml", Body(ITI_41, &[]), Success),
    ("openmrs-shr-xds/PnR_incorrectSize.xml", Body(ITI_41, &[]), Failure(&["XDSRepositoryMetadataError"])),
    ("openmrs-shr-xds/PnR_missingDoc.xml", Body(ITI_41, &[]), Failure(&["XDSMissingDocument"])),
    ("openmrs-shr-xds/PnR_noClassCode.xml", Body(ITI_41, &[]), Failure(REPOSITORY_METADATA)),
    ("openmrs-shr-xds/PnR_noUniqueId.xml", Body(ITI_41, &[]), Failure(REPOSITORY_METADATA)),
    ("openmrs-shr-xds/retrieveDocumentsRequest-single.xml", Body(ITI_43, &[]), Failure(NOT_HERE)),
    (
        "openmrs-shr-xds/retrieveDocumentsRequest-unknown-repo.xml",
        Body(ITI_43, &[]),
        Failure(&["XDSUnknownRepositoryId"]),
    ),
    ("openxds/submit_document.xml", Lacking(&[]), Success),
    ("openxds/add_document2_folder.xml", Lacking(&[]), Success),
    ("openxds/document_replacement.xml", Lacking(&["openxds/submit_document.xml"]), Success),
    ("openxds/document_transformation.xml", Lacking(&["openxds/submit_document.xml"]), Success),
    // The base64 of the sample is cut within a group: it is sent with documents of its own.
    ("openxds/samples/ProvideAndRegisterDocumentSet-bRequest.xml", Lacking(&[]), Success),
    ("openxds/samples/RegistryStoredQueryFindDocs.xml", Body(ITI_18, &[]), Success),
    ("openxds/samples/RetrieveDocumentSetRequest.xml", Body(ITI_43, &[]), Failure(NOT_HERE)),
    ("nhn-xca/IT_iti-18_request.xml", Envelope(Actor::Registry), Success),
    ("nhn-xca/IT_iti-43_request.xml", Envelope(Actor::Repository), Failure(NOT_HERE)),
    ("wxdsb/query_res.xml", Answer, Success),
    ("wxdsb/remove_res.xml", Answer, Success),
    ("epr-by-example/ITI-18_response_raw.xml", Answer, Success),
    ("epr-by-example/ITI-41_response.xml", Answer, Success),
    ("epr-by-example/ITI-43_response_raw.xml", Answer, Success),
    ("toolkit2-wire/multipart.body.txt", Answer, Success),
    ("toolkit2-wire/PnrXop-Xop.body.txt", Captured("toolkit2-wire/PnrXop-Xop.testplan.xml"), Success),
    (
        "toolkit2-wire/PnrXop-encodedURL.body.txt",
        Captured("toolkit2-wire/PnrXop-encodedURL.testplan.xml"),
        Success,
    ),
    ("toolkit2-utilities/FindDocuments/XDS/query.xml", Template(ITI_18), Either(MALFORMED)),
    ("toolkit2-utilities/FindDocuments2/XDS/query.xml", Template(ITI_18), Either(MALFORMED)),
    ("toolkit2-utilities/FindDocumentsByRefId/XDS/query.xml", Template(ITI_18), Either(MALFORMED)),
    ("toolkit2-utilities/FindFolders/XDS/query.xml", Template(ITI_18), Either(MALFORMED)),
    ("toolkit2-utilities/GetAll/XDS/query.xml", Template(ITI_18), Either(MALFORMED)),
    ("toolkit2-utilities/GetAssociations/XDS/query.xml", Template(ITI_18), Either(MALFORMED)),
    ("toolkit2-utilities/GetDocuments/XDS/query.xml", Template(ITI_18), Either(MALFORMED)),
    ("toolkit2-utilities/GetFolderAndContents/XDS/query.xml", Template(ITI_18), Either(MALFORMED)),
    ("toolkit2-utilities/GetFolders/XDS/query.xml", Template(ITI_18), Either(MALFORMED)),
    ("toolkit2-utilities/GetFoldersForDocument/XDS/query.xml", Template(ITI_18), Either(MALFORMED)),
    ("toolkit2-utilities/GetRelated/XDS/query.xml", Template(ITI_18), Either(MALFORMED)),
    ("toolkit2-utilities/GetSubmissionSetAndContents/XDS/query.xml", Template(ITI_18), Either(MALFORMED)),
    ("toolkit2-utilities/GetSubmissionSets/XDS/query.xml", Template(ITI_18), Either(MALFORMED)),
    ("toolkit2-utilities/MPQ-FindDocuments/XDS/query.xml", Template(ITI_51), Either(MALFORMED)),
    ("toolkit2-utilities/MU-Simple/query/query.xml", Template(ITI_18), Either(MALFORMED)),
    ("toolkit2-utilities/RegisterAndQuery/getdocs.xml", Template(ITI_18), Either(MALFORMED)),
    ("toolkit2-utilities/RegisterAndQuery/getss.xml", Template(ITI_18), Either(MALFORMED)),
    (
        "toolkit2-utilities/SourceStoresDocumentValidation/query/query.xml",
        Template(ITI_18),
        Either(MALFORMED),
    ),
];

pub(super) fn cases(data: &Path) -> Vec<Case> {
    let corpus = data.join("corpus");
    let case = |(file, kind, expected): &'static (&'static str, Kind, Expected)| {
        let corpus = corpus.clone();
        let name = file.rsplit_once('.').map_or(*file, |(name, _)| name);
        make(name, move |world| {
            let corpus = corpus.clone();
            Box::pin(async move { judge(world, &corpus, file, *kind, *expected).await })
        })
    };
    FILES.iter().map(case).collect()
}

async fn judge(world: &World, corpus: &Path, file: &str, kind: Kind, expected: Expected) -> Result<()> {
    let reply = match kind {
        Answer => {
            return Err(skip(
                "an answer of another server: what reads answers is tested with it in the crate ebxml",
            ));
        }
        Package => return package(world, &corpus.join(file)).await,
        Captured(headers) => return captured(world, &corpus.join(file), &corpus.join(headers)).await,
        Body(transaction, before) => {
            let mut ids = Ids::new(world).await?;
            for earlier in before {
                let message = ids.fresh(&read(&corpus.join(earlier))?);
                let reply = world.ask(transaction, &message.write()).await?;
                outcome(&reply, Success).with_context(|| format!("{earlier}, which comes before"))?;
            }
            let message = ids.fresh(&read(&corpus.join(file))?);
            world.ask(transaction, &message.write()).await?
        }
        Lacking(before) => {
            let mut ids = Ids::new(world).await?;
            for earlier in before {
                let reply = provide(world, &mut ids, &corpus.join(earlier)).await?;
                outcome(&reply, Success).with_context(|| format!("{earlier}, which comes before"))?;
                let entry = find_document(world, &ids).await?;
                ids.symbols.push(("$rplc_doc_uuid".to_owned(), entry.clone()));
                ids.symbols.push(("$tran_doc_uuid".to_owned(), entry));
            }
            provide(world, &mut ids, &corpus.join(file)).await?
        }
        Envelope(actor) => envelope(world, &corpus.join(file), actor).await?,
        Template(transaction) => template(world, &corpus.join(file), transaction).await?,
    };
    outcome(&reply, expected)
}

fn outcome(reply: &Reply, expected: Expected) -> Result<()> {
    let status = reply.registry_status()?;
    let codes = match expected {
        Success => &[],
        Failure(codes) | Either(codes) => codes,
    };
    match (status.as_str(), expected) {
        ("Success", Success | Either(_)) => Ok(()),
        ("Failure", Failure(_) | Either(_)) => {
            ensure!(
                reply.errors().iter().any(|(code, ..)| codes.contains(&code.as_str())),
                "one of {codes:?} is expected: {}",
                reply.told()
            );
            Ok(())
        }
        (status, expected) => bail!("{expected:?} is expected, {status} came: {}", reply.told()),
    }
}

/// The message in a file, without a SOAP envelope around it.
fn read(path: &PathBuf) -> Result<Element> {
    let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    let root = Element::parse(&bytes).with_context(|| format!("{} is XML", path.display()))?;
    if root.local() != "Envelope" {
        return Ok(root);
    }
    let body =
        root.first("Body").and_then(|body| body.elements().next()).context("the envelope has a body")?;
    root.detached(body.local()).context("the envelope has a body")
}

/// Ids of this run for those of the files: equal ones stay equal.
struct Ids {
    cx: String,
    known: BTreeMap<String, String>,
    symbols: Vec<(String, String)>,
}

impl Ids {
    async fn new(world: &World) -> Result<Ids> {
        let person = world.person("corpus").await?;
        let cx = format!("{}^^^&{}&ISO", person.value, person.system.trim_start_matches("urn:oid:"));
        Ok(Ids { symbols: vec![("$patientId".to_owned(), cx.clone())], known: BTreeMap::new(), cx })
    }

    fn fresh(&mut self, message: &Element) -> Element {
        let mut message = message.clone();
        let symbols = self.symbols.clone();
        message.strings(&mut |text| {
            for (symbol, value) in &symbols {
                *text = text.replace(symbol.as_str(), value);
            }
        });
        let own: Vec<String> = message
            .all()
            .into_iter()
            .filter(|element| {
                ["ExtrinsicObject", "RegistryPackage", "Association"].contains(&element.local())
            })
            .filter_map(|element| element.attribute("id").filter(|id| id.starts_with("urn:uuid:")))
            .map(str::to_owned)
            .collect();
        for id in own {
            self.known.entry(id).or_insert_with(testkit::urn_uuid);
        }
        let mut seen = BTreeSet::new();
        message.visit(&mut |element| self.renew(element, &mut seen));
        let known = &self.known;
        message.strings(&mut |text| {
            if let Some(fresh) = known.get(text.as_str()) {
                text.clone_from(fresh);
            }
        });
        message
    }

    /// Every object gets a unique id of its own, as the kits do: `PnR_multiDoc.xml` has one for both of its documents.
    fn renew(&mut self, element: &mut Element, seen: &mut BTreeSet<String>) {
        if element.local() != "ExternalIdentifier" {
            return;
        }
        let name =
            element.first("LocalizedString").and_then(|name| name.attribute("value")).unwrap_or_default();
        if name.ends_with(".patientId") {
            element.set("value", &self.cx.clone());
        } else if name.ends_with(".uniqueId") {
            let old = element.attribute("value").unwrap_or_default().to_owned();
            // A symbol stands for another id in each message.
            let key = if seen.insert(old.clone()) { old.clone() } else { format!("{old} again") };
            let fresh = match old.starts_with('$') {
                true => testkit::oid(),
                false => self.known.entry(key).or_insert_with(testkit::oid).clone(),
            };
            element.set("value", &fresh);
        }
    }
}

/// ITI-41 whose documents are made for it.
async fn provide(world: &World, ids: &mut Ids, path: &PathBuf) -> Result<Reply> {
    let message = ids.fresh(&read(path)?);
    let mut submit = message.detached("SubmitObjectsRequest").context("there is metadata")?;
    let mut documents = Vec::new();
    for entry in submit.find("ExtrinsicObject") {
        let id = entry.attribute("id").unwrap_or_default().to_owned();
        let mime = entry.attribute("mimeType").unwrap_or("text/xml").to_owned();
        documents.push((id.clone(), mime, format!("a document for {id} {}", testkit::oid()).into_bytes()));
    }
    // A snapshot is one of an entry, and nobody has registered that.
    submit.visit(&mut |element| {
        element.children.retain(|child| {
            !matches!(child, Node::Element(association) if association.local() == "Association"
                && association.attribute("associationType").is_some_and(|kind| kind.ends_with("IsSnapshotOf")))
        });
    });
    // Size and hash of a document that is not there say nothing.
    submit.visit(&mut |element| {
        element.children.retain(|child| {
            !matches!(child, Node::Element(slot) if slot.local() == "Slot"
                && ["hash", "size"].contains(&slot.attribute("name").unwrap_or_default()))
        });
    });
    world.provide_xds(&submit, &documents).await
}

async fn find_document(world: &World, ids: &Ids) -> Result<String> {
    let parameters = [
        ("$XDSDocumentEntryPatientId".to_owned(), vec![format!("'{}'", ids.cx)]),
        (
            "$XDSDocumentEntryStatus".to_owned(),
            vec!["('urn:oasis:names:tc:ebxml-regrep:StatusType:Approved')".to_owned()],
        ),
    ];
    let query = super::seed::query("urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d", "LeafClass", &parameters);
    let reply = world.ask(ITI_18, &query).await?;
    let found = objects(&reply)?;
    let document = found.documents.first().context("what was submitted is found")?;
    Ok(document.attribute("id").unwrap_or_default().to_owned())
}

async fn envelope(world: &World, path: &Path, actor: Actor) -> Result<Reply> {
    let body = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    let message =
        Message { content_type: "application/soap+xml; charset=utf-8".to_owned(), body, id: String::new() };
    Reply::read(&world.post_soap(actor, &message).await?)
}

async fn package(world: &World, path: &Path) -> Result<()> {
    let body = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    let first = body.split(|byte| *byte == b'\n').next().context("a package has lines")?;
    let boundary = String::from_utf8_lossy(first).trim().trim_start_matches("--").to_owned();
    let content_type = format!(
        "multipart/related; boundary={boundary}; type=\"application/xop+xml\"; start-info=\"application/soap+xml\""
    );
    captured::send(world, Actor::Repository, Message { content_type, body, id: String::new() }).await
}

async fn captured(world: &World, body: &Path, headers: &Path) -> Result<()> {
    let body = std::fs::read(body).with_context(|| format!("reading {}", body.display()))?;
    let plan = std::fs::read_to_string(headers).with_context(|| format!("reading {}", headers.display()))?;
    let content_type = plan.split_once("Content-Type:").and_then(|(_, rest)| rest.split_once("</Headers>"));
    let content_type = content_type.context("the capture has a Content-Type")?.0.trim().to_owned();
    captured::send(world, Actor::Repository, Message { content_type, body, id: String::new() }).await
}

/// A query with what can be filled; what cannot is left out.
async fn template(world: &World, path: &Path, transaction: Transaction) -> Result<Reply> {
    let mut query = read(&path.to_path_buf())?;
    let cx = format!("{}^^^&{}&ISO", world.p1.value, world.p1.system.trim_start_matches("urn:oid:"));
    let uuid = format!("urn:uuid:{}", world.d1.id);
    let uid = world.d1.unique_id.trim_start_matches("urn:oid:").to_owned();
    query.strings(&mut |text| {
        let Some((before, rest)) = text.split_once('$') else { return };
        let Some((name, after)) = rest.split_once('$') else { return };
        let lower = name.to_ascii_lowercase();
        let value = match lower.as_str() {
            _ if lower.contains("pat") || lower == "pid" => Some(cx.as_str()),
            "id0" | "lid" | "lid0" => Some(uuid.as_str()),
            _ if lower.contains("uuid") => Some(uuid.as_str()),
            _ if lower.contains("uid") || lower.contains("uniqueid") => Some(uid.as_str()),
            _ => None,
        };
        if let Some(value) = value {
            *text = format!("{before}{value}{after}");
        }
    });
    query.visit(&mut |element| {
        element.children.retain(|child| {
            !matches!(child, Node::Element(value) if value.local() == "Value" && value.text().contains('$'))
        });
    });
    query.visit(&mut |element| {
        element.children.retain(
            |child| !matches!(child, Node::Element(slot) if slot.local() == "Slot" && slot.find("Value").is_empty()),
        );
    });
    world.ask(transaction, &query.write()).await
}
