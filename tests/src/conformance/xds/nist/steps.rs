//! Carrying out one step.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use super::super::super::hl7v2::{DOMAIN, Line, fresh};
use super::super::super::world::{Person, World};
use super::super::super::{Skip, skip};
use super::super::ask::{
    Document, ITI_18, ITI_42, ITI_43, ITI_51, ITI_57, ITI_61, ITI_62, ITI_86, ITI_92, Transaction, objects,
};
use super::prepare::{drop_unfilled, fill, now, refresh};
use super::{Done, FEED, Plan, Session, Step, Use, What, contents};
use crate::markup::{Element, Node};
use crate::soap::Reply;
use crate::xpath;

/// What is judged elsewhere, or by nobody here; the reason is printed.
fn not_applicable(step: &Step) -> Option<&'static str> {
    Some(match (step.test.as_str(), step.transaction()) {
        (_, "") => "the kit keeps its own books here and sends nothing",
        (_, "PatientMove") => {
            "ITI-64 (XAD-PID change) is an option of another profile, which is not declared"
        }
        ("16101" | "16102b", _) if step.section.starts_with("verify_") => {
            "looks at what ITI-64 did, an option of another profile, which is not declared"
        }
        ("12364", _) if step.section != "nothing" => {
            "counts in a seed that is held back; own-mpq has the same questions with counts of our own"
        }
        ("PnrXop", "Http") if step.section == "NoXop" || step.section == "dicom" => "the body is held back",
        ("PnrXop", "Http") => {
            "has codes the toolkit's own list lacks: judged as toolkit2-wire/PnrXop-… where all are taken"
        }
        ("30008", _) if step.section == "remove_branches" && !step.step.ends_with("_assoc_only") => {
            "wants another code than 30000 for an association that the step before has removed"
        }
        _ => return None,
    })
}

pub(super) async fn run(plan: &Plan, world: &World, step: &Step) -> Result<()> {
    let mut session = plan.session.lock().await;
    let outcome = match not_applicable(step) {
        Some(why) => Err(skip(why)),
        None => do_step(plan, &mut session, world, step).await,
    };
    if outcome.as_ref().is_err_and(|error| error.is::<Skip>()) {
        session.skipped.insert(step.key());
    }
    outcome
}

async fn do_step(plan: &Plan, session: &mut Session, world: &World, step: &Step) -> Result<()> {
    match (step.test.as_str(), step.section.as_str(), step.step.as_str()) {
        // Times of folders have seconds, and the kit is slower than that.
        ("12323", "add_to_folder" | "rplc", _) => tokio::time::sleep(Duration::from_millis(1100)).await,
        // Other ways through the same test: each begins with what is submitted anew.
        ("30008", "eval_remove_branches" | "remove_XFRM_RPLC_assoc_only", _)
        | ("30008", "remove_branches", "remove_APND_assoc_only") => {
            for section in ["submit", "apnd", "xfrm_rplc"] {
                let key = (step.test.clone(), section.to_owned(), section.to_owned());
                let again = plan.steps.get(&key).context("the plan has the step")?;
                transact(plan, session, world, again)
                    .await
                    .with_context(|| format!("{section} once more"))?;
            }
        }
        _ => {}
    }
    match step.transaction() {
        "PatientIdentityFeed" => fed(plan, session, world, step).await,
        "Null" => assertions(session, plan, step, None),
        _ => transact(plan, session, world, step).await,
    }
}

/// CX of a patient.
fn cx(person: &Person) -> String {
    format!("{}^^^&{}&ISO", person.value, person.system.trim_start_matches("urn:oid:"))
}

impl Session {
    /// Whether what was to be looked at was not applicable.
    fn is_skipped(&self, step: &Step) -> bool {
        self.skipped.iter().any(|(test, section, _)| *test == step.test && *section == step.section)
    }

    /// The patient that plays a part in a test; fed when first asked for.
    async fn patient(&mut self, world: &World, test: &str, part: &str) -> Result<String> {
        let key = (test.to_owned(), part.to_owned());
        if !self.patients.contains_key(&key) {
            let person = world.person(&format!("nist-{test}")).await?;
            self.patients.insert(key.clone(), person);
        }
        Ok(cx(&self.patients[&key]))
    }
}

/// The kit's own ADT message over MLLP; where nobody says where that is, the feed of FHIR makes the patient known.
async fn fed(plan: &Plan, session: &mut Session, world: &World, step: &Step) -> Result<()> {
    let patient = match Line::open(world).await {
        Ok(mut line) => {
            let patient = format!("{}^^^&{DOMAIN}&ISO", fresh(&format!("nist-{}", step.test)));
            let path = plan.folder.join("../toolkit2-adt/A01.hl7");
            let text =
                std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
            let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
            let message = lines.join("\r").replace("$pid$", &patient).replace("HL7MSG00001", &fresh("m"));
            line.ask(&message).await?.is(&["AA"], &[])?;
            patient
        }
        Err(error) if error.is::<Skip>() => cx(&world.person(&format!("nist-{}", step.test)).await?),
        Err(error) => return Err(error),
    };
    let done = Done { patient, at: session.done.len(), ..Done::default() };
    session.done.insert(step.key(), done);
    Ok(())
}

/// Values for the symbols of a step; skips where they come from what is not here.
async fn symbols(
    plan: &Plan,
    session: &mut Session,
    world: &World,
    step: &Step,
) -> Result<Vec<(String, String)>> {
    let mut symbols = Vec::new();
    for given in &step.uses {
        let used = Use::read(step, given)?;
        let (test, section, name) = &used.key;
        if section == FEED {
            // One patient a test; the second feed of the kit is of another patient.
            let part = if test.ends_with('b') { "other" } else { "main" };
            symbols.push((used.symbol, session.patient(world, &step.test, part).await?));
            continue;
        }
        if !plan.steps.contains_key(&used.key) {
            return Err(skip(&format!("needs what test {test}/{section} left behind, which is held back")));
        }
        let done = session.done.get(&used.key);
        let done =
            done.with_context(|| format!("{test}/{section}/{name}, on which this stands, did not do it"))?;
        let value = value(done, &used.what);
        symbols
            .push((used.symbol, value.with_context(|| format!("{test}/{section}/{name} has what is used"))?));
    }
    Ok(symbols)
}

fn value(done: &Done, what: &What) -> Option<String> {
    let only = |kind: &str| {
        let mut of_kind = done.kinds.iter().filter(|(_, known)| **known == kind).map(|(id, _)| id);
        let first = of_kind.next()?;
        of_kind.next().is_none().then(|| first.clone())
    };
    match what {
        What::Patient => Some(done.patient.clone()),
        What::Uuid(id) => done.uuids.get(id).cloned(),
        What::Uid(id) => done.uids.get(id).cloned(),
        What::Report(name) => match name.as_str() {
            "$patientid$" | "basePatientId" | "baseSourcePatientId" => Some(done.patient.clone()),
            "ssuid" => done.uids.get(&only("set")?).cloned(),
            "foluid" => done.uids.get(&only("folder")?).cloned(),
            "folid" => done.uuids.get(&only("folder")?).cloned(),
            "docid" | "doc_uuid" | "update_doc_uuid" | "DocUuid" => {
                done.uuids.get(&only("document")?).cloned()
            }
            _ if done.reply.is_some() && done.kinds.is_empty() => answered(done.reply.as_ref()?, name),
            _ => match (name.strip_suffix("_uuid"), name.strip_suffix("_uid")) {
                (Some(id), _) => done.uuids.get(id).cloned(),
                (_, Some(id)) => done.uids.get(id).cloned(),
                (None, None) => None,
            },
        },
    }
}

/// What is reported of the answer to a query.
fn answered(reply: &Reply, name: &str) -> Option<String> {
    let objects = objects(reply).ok()?;
    let slot = |element: &Element, name: &str| element.slot(name).into_iter().next();
    let id = |element: &&Element| element.attribute("id").map(str::to_owned);
    match name {
        "repuid" => slot(objects.documents.first()?, "repositoryUniqueId"),
        "Doc01Uuid" => objects.documents.first().and_then(id),
        "Doc02Uuid" => objects.documents.get(1).and_then(id),
        "ReturnAssociation01" => objects.associations.first().and_then(id),
        _ if name.to_ascii_lowercase().ends_with("time") => slot(objects.folders.first()?, "lastUpdateTime"),
        _ => None,
    }
}

fn read(plan: &Plan, step: &Step) -> Result<Element> {
    let path = plan.folder.join(step.file.as_deref().context("the step has a message")?);
    let bytes = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    Element::parse(&bytes).with_context(|| format!("{} is XML", path.display()))
}

async fn transact(plan: &Plan, session: &mut Session, world: &World, step: &Step) -> Result<()> {
    let before = read(plan, step)?;
    let mut symbols = symbols(plan, session, world, step).await?;
    let mut message = before.clone();
    if !symbols.iter().any(|(symbol, _)| symbol == "$patientid$") {
        symbols.push(("$patientid$".to_owned(), session.patient(world, &step.test, "main").await?));
    }
    fill(&mut message, &symbols);
    let mut sent = None;
    let (done, reply) = match step.transaction() {
        "StoredQuery" => query(world, ITI_18, message).await?,
        "MPQ" => query(world, ITI_51, message).await?,
        "RemoveMetadata" => (Done::default(), world.ask(ITI_62, &message.write()).await?),
        "Retrieve" => (Done::default(), world.ask(ITI_43, &message.write()).await?),
        "Rd" => (Done::default(), world.ask(ITI_86, &message.write()).await?),
        kind => {
            let patient = match step.test.as_str() {
                // The patient of the message is one nobody has fed, which is what the step is about.
                "11996" => String::new(),
                _ => {
                    match symbols.iter().find(|(symbol, _)| symbol.to_ascii_lowercase().contains("patientid"))
                    {
                        Some((_, value)) if step.flag("NoPatientId") => value.clone(),
                        _ => session.patient(world, &step.test, "main").await?,
                    }
                }
            };
            let mut changed = step.clone();
            if patient.is_empty() {
                changed.flags.insert("NoPatientId".to_owned());
            }
            let mut done = refresh(&mut message, &changed, &patient, &before);
            let reply = submit(plan, world, step, kind, &message, &mut done).await?;
            sent = Some(message);
            (done, reply)
        }
    };
    let verdict = judge(session, plan, step, &reply, &symbols);
    let mut done = done;
    done.reply = Some(reply);
    done.sent = sent;
    done.at = session.done.len();
    // A step that went wrong is nothing others can stand on, unless it was meant to fail.
    if verdict.is_ok() {
        session.done.insert(step.key(), done);
    }
    verdict
}

async fn query(world: &World, transaction: Transaction, mut message: Element) -> Result<(Done, Reply)> {
    drop_unfilled(&mut message);
    Ok((Done::default(), world.ask(transaction, &message.write()).await?))
}

async fn submit(
    plan: &Plan,
    world: &World,
    step: &Step,
    kind: &str,
    message: &Element,
    done: &mut Done,
) -> Result<Reply> {
    let transaction = match kind {
        "Register" => ITI_42,
        "RegisterODDE" => ITI_61,
        "Mu" => ITI_57,
        "Rmu" => ITI_92,
        // A recipient of XDR takes the same message.
        "ProvideAndRegister" | "XDRProvideAndRegister" => {
            let folder = plan.folder.join(step.file.as_deref().unwrap_or_default());
            let documents = documents(&folder, step, message, done)?;
            let metadata = message.detached("SubmitObjectsRequest").context("there is metadata")?;
            return world.provide_xds(&metadata, &documents).await;
        }
        other => bail!("nobody knows the transaction {other}"),
    };
    world.ask(transaction, &message.write()).await
}

fn documents(message: &Path, step: &Step, submit: &Element, done: &mut Done) -> Result<Vec<Document>> {
    let mut documents = Vec::new();
    for (id, file) in &step.documents {
        let path = message.with_file_name(file);
        let bytes = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        let own = done.uuids.get(id).unwrap_or(id).clone();
        let entry =
            submit.find("ExtrinsicObject").into_iter().find(|entry| entry.attribute("id") == Some(&own));
        let mime = entry.and_then(|entry| entry.attribute("mimeType")).unwrap_or("text/plain").to_owned();
        if let Some(uid) = done.uids.get(id) {
            done.documents.insert(uid.clone(), bytes.clone());
        }
        documents.push((own, mime, bytes));
    }
    Ok(documents)
}

fn judge(
    session: &Session,
    plan: &Plan,
    step: &Step,
    reply: &Reply,
    symbols: &[(String, String)],
) -> Result<()> {
    let status = reply.registry_status()?;
    let expected = step.expected_status.as_deref().unwrap_or("Success");
    ensure!(status == expected, "{expected} is expected, {status} came: {}", reply.told());
    let errors = reply.errors();
    ensure!(
        status == "Success" || errors.iter().any(|(.., severity)| severity.ends_with("Error")),
        "a failure names an error"
    );
    for (code, context, severity) in &errors {
        ensure!(!code.is_empty() && !context.is_empty(), "an error has a code and words: {code} {context}");
        ensure!(
            severity.starts_with("urn:oasis:names:tc:ebxml-regrep:ErrorSeverityType:"),
            "a severity is a URN: {severity}"
        );
    }
    let mut codes = step.expected_error_code.clone();
    if step.test == "11996" {
        codes.push("XDSUnknownPatientId".to_owned());
    }
    ensure!(
        codes.is_empty() || errors.iter().any(|(code, ..)| codes.contains(code)),
        "one of {codes:?} is expected: {}",
        reply.told()
    );
    let documents: Vec<String> =
        symbols.iter().filter(|(symbol, _)| symbol == "$docid$").map(|(_, value)| value.clone()).collect();
    for expected in &step.expected_contents {
        // A refused query has no list to count in.
        if status == "Success" || reply.envelope.first("RegistryObjectList").is_some() {
            contents::check(reply, expected, &documents)?;
        }
    }
    if step.transaction() == "Retrieve" && status == "Success" {
        retrieved(session, step, reply)?;
    }
    if step.assertions.is_empty() { Ok(()) } else { assertions(session, plan, step, Some(reply)) }
}

/// What is retrieved is what the same test submitted, byte for byte.
fn retrieved(session: &Session, step: &Step, reply: &Reply) -> Result<()> {
    let documents = reply.documents()?;
    ensure!(!documents.is_empty(), "a document came");
    for (uid, bytes) in documents {
        let of_test = session.done.iter().filter(|((test, ..), _)| *test == step.test);
        let sent = of_test.filter_map(|(_, done)| done.documents.get(&uid)).next();
        ensure!(sent == Some(&bytes), "{uid} came back as it was submitted");
    }
    Ok(())
}

/// The assertions of a step about its own answer, or about the last answer of its section.
fn assertions(session: &Session, plan: &Plan, step: &Step, reply: Option<&Reply>) -> Result<()> {
    let mut symbols = vec![("$DATE$".to_owned(), now().chars().take(8).collect::<String>())];
    for given in &step.uses {
        let used = Use::read(step, given)?;
        let (test, section, name) = &used.key;
        if !plan.steps.contains_key(&used.key) {
            continue;
        }
        if reply.is_none() && !session.done.contains_key(&used.key) {
            bail!("{test}/{section}/{name}, on which this stands, did not do it");
        }
        let done = session.done.get(&used.key);
        let mut value = done.and_then(|done| value(done, &used.what));
        if used.symbol == "$patientid$" {
            value = session.patients.get(&(step.test.clone(), "main".to_owned())).map(cx);
        }
        symbols
            .push((used.symbol, value.with_context(|| format!("{test}/{section}/{name} has what is used"))?));
    }
    let document = match reply {
        Some(reply) => reply.body()?.clone(),
        None => log(session, step)?,
    };
    for assertion in &step.assertions {
        let mut expression = assertion["xpath"].as_str().context("an assertion has an XPath")?.to_owned();
        if let Some((before, rest)) = expression.clone().split_once("//TestStep[")
            && let Some((_, after)) = rest.split_once("/Result/")
        {
            expression = format!("{before}//{after}");
        }
        for (symbol, value) in &symbols {
            expression = expression.replace(symbol.as_str(), value);
        }
        ensure!(xpath::holds(&document, &expression)?, "{} does not hold: {expression}", assertion["id"]);
    }
    Ok(())
}

/// What a step that sends nothing looks at: all that was sent and answered in its section, as the kit's log has it.
fn log(session: &Session, step: &Step) -> Result<Element> {
    let own = |key: &super::Key| key.0 == step.test && key.1 == step.section;
    let mut section: Vec<&Done> =
        session.done.iter().filter(|(key, _)| own(key)).map(|(_, done)| done).collect();
    section.sort_by_key(|done| done.at);
    if section.is_empty() && session.is_skipped(step) {
        return Err(skip("looks at an answer of this section, which is not asked here"));
    }
    ensure!(!section.is_empty(), "nothing of this section came to an answer");
    let mut log = Element { name: "Section".to_owned(), ..Element::default() };
    for done in section {
        log.children.extend(done.sent.clone().map(Node::Element));
        if let Some(reply) = &done.reply {
            log.children.push(Node::Element(reply.body()?.clone()));
        }
    }
    Ok(log)
}
