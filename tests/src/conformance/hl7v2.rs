//! Patients told by ADT messages over MLLP [ITI-8]: what a careless or hostile sender does, and messages of others.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use testkit::{Document, Provide, oid};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::foreign::index;
use super::world::{Person, World, encode};
use super::{Case, case, make, skip};
use crate::answer::Answer;
use crate::region::{Actor, Plan, Region};

/// The assigning authority of these cases, which a region of our own is configured with: that of the world's patients.
pub(super) const DOMAIN: &str = "2.25.271828182845904523536028747135266249775";
/// `identity.authorities` of a region of our own: the world's, and those the messages of others name.
pub(super) const AUTHORITIES: &[&str] = &[
    "WORLD&2.25.271828182845904523536028747135266249775&ISO",
    "MPI&2.16.840.1.113883.3.37.4.1.1.2.1.1&ISO",
    "BBB&2.16.840.1.113883.3.37.4.1.1.2.611.1&ISO",
    "HIMSS2005&1.3.6.1.4.1.21367.2005.1.1&ISO",
    "TEST&2.16.840.1.113883.3.72.5.9.1&ISO",
    "TEST_A&2.16.840.1.113883.3.72.5.9.2&ISO",
    "TEST_B&2.16.840.1.113883.3.72.5.9.3&ISO",
    "MyPrimarySystem&1.3.6.1.4.1.21367.2017.2.5.89&ISO",
    "ZAS&2.16.756.5.30.1.127.3.10.3&ISO",
    "NIST&1.3.6.1.4.1.21367.2005.13.20.1000&ISO",
];
/// `mllp.idle_timeout` and `mllp.frame_timeout` of a region of our own.
pub(super) const TIMEOUT: &str = "3s";
/// `mllp.max_connections` of a region of our own.
pub(super) const CONNECTIONS: usize = 8;

/// No answer may take longer.
const WITHIN: Duration = Duration::from_secs(5);

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("hl7v2-01", no_start_byte),
        case!("hl7v2-02", no_end_bytes),
        case!("hl7v2-03", endless_frame),
        case!("hl7v2-04", messages_in_any_pieces),
        case!("hl7v2-05", message_without_header),
        case!("hl7v2-06", separators_that_are_one),
        case!("hl7v2-07", unsupported_event),
        case!("hl7v2-08", no_patient),
        case!("hl7v2-09", no_identifier),
        case!("hl7v2-10", foreign_authorities),
        case!("hl7v2-11", merge_without_subsumed),
        case!("hl7v2-12", merge_into_itself),
        case!("hl7v2-13", merge_repeated),
        case!("hl7v2-14", submissions_race_a_merge),
        case!("hl7v2-15", markup_in_names),
        case!("hl7v2-16", letters_of_another_set),
        case!("hl7v2-17", ten_thousand_identifiers),
        case!("hl7v2-18", idle_connections),
        case!("hl7v2-19", plain_where_tls_is_spoken),
        case!("iti8-add", fed_patient_is_found),
        case!("iti8-merge", merged_patients_are_one),
        case!("iti8-versions", versions_and_line_ends),
    ]
}

/// A connection to the feed.
pub(super) struct Line(TcpStream);

/// An acknowledgement.
#[derive(Debug)]
pub(super) struct Ack {
    /// All of it.
    pub(super) text: String,
    /// MSA-1.
    pub(super) code: String,
}

impl Ack {
    fn read(text: String) -> Result<Ack> {
        let msa = text.split('\r').find(|line| line.starts_with("MSA")).context("an answer has an MSA")?;
        let code = msa.split('|').nth(1).context("it has a code")?.to_owned();
        Ok(Ack { text, code })
    }

    /// MSA-1 is one of these; where it is no AA, one of the errors is told.
    pub(super) fn is(&self, codes: &[&str], errors: &[&str]) -> Result<()> {
        ensure!(codes.contains(&self.code.as_str()), "answered {}, expected {codes:?}", self.text);
        let told = errors.is_empty() || self.code == "AA" || errors.iter().any(|error| self.has(error));
        ensure!(told, "answered {}, expected an error of {errors:?}", self.text);
        Ok(())
    }

    /// Whether an ERR segment has this condition, in the form of any version.
    fn has(&self, error: &str) -> bool {
        let mut lines = self.text.split('\r').filter(|line| line.starts_with("ERR"));
        lines.any(|line| line.contains(&format!("^{error}&")) || line.contains(&format!("|{error}^")))
    }
}

impl Line {
    /// Connects; skips where nobody says where the feed is.
    pub(super) async fn open(world: &World) -> Result<Line> {
        Line::open_at(world, Actor::Registry).await
    }

    /// The same at another actor.
    pub(super) async fn open_at(world: &World, actor: Actor) -> Result<Line> {
        let address = address(world, actor).await?;
        Ok(Line(TcpStream::connect(&address).await.with_context(|| format!("connecting to {address}"))?))
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.0.write_all(bytes).await?)
    }

    /// The next answer; none if the connection was closed.
    async fn hear(&mut self) -> Result<Option<Ack>> {
        let mut bytes = Vec::new();
        while !bytes.ends_with(&[0x1C, 0x0D]) {
            let mut byte = [0];
            match timeout(WITHIN * 2, self.0.read(&mut byte)).await.context("an answer comes in time")? {
                Ok(1) => bytes.push(byte[0]),
                Ok(_) | Err(_) => return Ok(None),
            }
        }
        let text = String::from_utf8_lossy(&bytes[1..bytes.len() - 2]).into_owned();
        Ack::read(text).map(Some)
    }

    pub(super) async fn ask(&mut self, message: &str) -> Result<Ack> {
        self.ask_bytes(message.as_bytes()).await
    }

    async fn ask_bytes(&mut self, message: &[u8]) -> Result<Ack> {
        self.send(&framed(message)).await?;
        self.hear().await?.context("the message is answered")
    }
}

/// Where the feed is: told by `/readyz?verbose` of a region of our own.
async fn address(world: &World, actor: Actor) -> Result<String> {
    let Some(admin) = world.subject.admin(actor) else {
        return Err(skip(
            "where another server listens to HL7 v2, and which authorities it takes, is not known",
        ));
    };
    let ready = world.wire.get(&format!("{admin}/readyz?verbose")).await?.expect(200)?.to_string();
    let rest = ready.split("HL7 v2 at ").nth(1).context("/readyz tells where HL7 v2 is listened to")?;
    Ok(rest.split([',', '"']).next().unwrap_or_default().to_owned())
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&[0x0B], message, &[0x1C, 0x0D]].concat()
}

/// A message with these segments behind MSH and EVN.
fn adt(event: &str, segments: &str) -> String {
    format!(
        "MSH|^~\\&|ADT|HOSPITAL|REGISTRY|DOMAIN|20260101120000||ADT^{event}|{}|P|2.3.1\rEVN|{event}|20260101120000\r{segments}\rPV1||O\r",
        &oid()[5..20]
    )
}

fn cx(id: &str) -> String {
    format!("{id}^^^&{DOMAIN}&ISO")
}

fn pid(id: &str) -> String {
    format!("PID|||{}||Muster^Maja||19600618|F", cx(id))
}

fn merge(gone: &str, kept: &str) -> String {
    adt("A40", &format!("{}\rMRG|{}", pid(kept), cx(gone)))
}

pub(super) fn fresh(name: &str) -> String {
    format!("{name}-{}", &oid()[5..25])
}

/// A submission of one document for an identifier.
fn provide(id: &str) -> Value {
    let patient = format!("Patient?identifier=urn:oid:{DOMAIN}%7C{id}");
    Provide::new(&patient).only(Document::new(fresh("of whom it is"))).bundle()
}

pub(super) async fn submit(world: &World, id: &str) -> Result<Answer> {
    world.provide(&provide(id)).await
}

/// Whether a submission could name the patient: nothing is stored to find out.
pub(super) async fn is_known(world: &World, id: &str) -> Result<bool> {
    let patient = format!("Patient?identifier=urn:oid:{DOMAIN}%7C{id}");
    let document = Document::new("rehearsed").elsewhere("http://repository.example/documents/1");
    let bundle = Provide::new(&patient).only(document).bundle();
    let url = format!("{}/validate", world.subject.host(Actor::Registry)?);
    let outcome = world.wire.post(&url, &bundle).await?.expect(200)?.to_string();
    Ok(!outcome.contains("XDSUnknownPatientId"))
}

pub(super) async fn documents(world: &World, id: &str) -> Result<Vec<Value>> {
    let query = format!(
        "DocumentReference?patient.identifier={}&_count=1000",
        encode(&format!("urn:oid:{DOMAIN}|{id}"))
    );
    world.search(Actor::Registry, &query).await
}

/// A patient that nobody had, told by A01.
async fn added(line: &mut Line, name: &str) -> Result<String> {
    let id = fresh(name);
    line.ask(&adt("A01", &pid(&id))).await?.is(&["AA"], &[])?;
    Ok(id)
}

/// A message is refused like this and makes nobody known.
async fn refuses(world: &World, message: &str, id: &str, codes: &[&str], errors: &[&str]) -> Result<()> {
    let mut line = Line::open(world).await?;
    line.send(&framed(message.as_bytes())).await?;
    match line.hear().await? {
        Some(ack) => ack.is(codes, errors)?,
        None => ensure!(errors.is_empty(), "the message is answered"),
    }
    ensure!(!is_known(world, id).await?, "nobody is known by {id}");
    Ok(())
}

async fn no_start_byte(world: &World) -> Result<()> {
    let mut line = Line::open(world).await?;
    let (skipped, taken) = (fresh("bare"), fresh("framed"));
    line.send(&framed(adt("A01", &pid(&skipped)).as_bytes())[1..]).await?;
    line.send(&framed(adt("A01", &pid(&taken)).as_bytes())).await?;
    if let Some(ack) = line.hear().await? {
        ack.is(&["AA"], &[])?;
        ensure!(is_known(world, &taken).await?, "what stands in a frame is taken");
    }
    ensure!(!is_known(world, &skipped).await?, "what stands outside of a frame is not");
    Ok(())
}

async fn no_end_bytes(world: &World) -> Result<()> {
    let mut line = Line::open(world).await?;
    let id = fresh("open");
    let message = framed(adt("A01", &pid(&id)).as_bytes());
    line.send(&message[..message.len() - 2]).await?;
    ensure!(line.hear().await?.is_none(), "the connection is closed after the frame timeout");
    ensure!(!is_known(world, &id).await?, "half a message is none");
    Ok(())
}

async fn endless_frame(world: &World) -> Result<()> {
    let mut line = Line::open(world).await?;
    line.send(&[0x0B]).await?;
    let piece = vec![b'A'; 1 << 16];
    for _ in 0..1 << 14 {
        if line.send(&piece).await.is_err() {
            return Ok(());
        }
    }
    bail!("1 GiB of one message was taken")
}

async fn messages_in_any_pieces(world: &World) -> Result<()> {
    let mut line = Line::open(world).await?;
    let messages: Vec<String> = (0..3).map(|_| adt("A01", &pid(&fresh("piece")))).collect();
    let framed: Vec<Vec<u8>> = messages.iter().map(|message| framed(message.as_bytes())).collect();
    line.send(&[framed[0].as_slice(), &framed[1]].concat()).await?;
    for byte in &framed[2] {
        line.send(&[*byte]).await?;
    }
    for message in &messages {
        let ack = line.hear().await?.context("every message is answered")?;
        ack.is(&["AA"], &[])?;
        let id = message.split('|').nth(9).unwrap_or_default();
        ensure!(ack.text.contains(&format!("MSA|AA|{id}")), "{} answers {id}", ack.text);
    }
    Ok(())
}

async fn message_without_header(world: &World) -> Result<()> {
    refuses(world, "EVN|A01\r", &fresh("none"), &["AR", "AE"], &[]).await
}

async fn separators_that_are_one(world: &World) -> Result<()> {
    let id = fresh("odd");
    let message = adt("A01", &pid(&id)).replacen("MSH|^~\\&|", "MSH|||&|", 1);
    refuses(world, &message, &id, &["AR", "AE"], &[]).await
}

async fn unsupported_event(world: &World) -> Result<()> {
    let id = fresh("event");
    refuses(world, &adt("A99", &pid(&id)), &id, &["AR", "AE"], &["201"]).await
}

async fn no_patient(world: &World) -> Result<()> {
    refuses(world, &adt("A01", "ZZZ|1"), &fresh("none"), &["AE", "AR"], &["100", "101"]).await
}

async fn no_identifier(world: &World) -> Result<()> {
    refuses(world, &adt("A01", "PID|||"), &fresh("none"), &["AE"], &["101"]).await
}

async fn foreign_authorities(world: &World) -> Result<()> {
    let id = fresh("foreign");
    refuses(world, &adt("A01", &format!("PID|||{id}^^^&9.9&ISO")), &id, &["AA", "AE"], &[]).await
}

async fn merge_without_subsumed(world: &World) -> Result<()> {
    let mut line = Line::open(world).await?;
    let id = added(&mut line, "kept").await?;
    line.ask(&adt("A40", &pid(&id))).await?.is(&["AE", "AR"], &["100", "101"])?;
    ensure!(is_known(world, &id).await?, "nobody was merged");
    Ok(())
}

async fn merge_into_itself(world: &World) -> Result<()> {
    let mut line = Line::open(world).await?;
    let id = added(&mut line, "itself").await?;
    line.ask(&merge(&id, &id)).await?.is(&["AE", "AR"], &[])?;
    ensure!(is_known(world, &id).await?, "nobody was merged");
    Ok(())
}

async fn merge_repeated(world: &World) -> Result<()> {
    let mut line = Line::open(world).await?;
    let (gone, kept) = (added(&mut line, "gone").await?, added(&mut line, "kept").await?);
    let message = merge(&gone, &kept);
    line.ask(&message).await?.is(&["AA"], &[])?;
    line.ask(&message).await?.is(&["AA"], &[])?;
    ensure!(!is_known(world, &gone).await? && is_known(world, &kept).await?, "the merge stands");
    Ok(())
}

async fn submissions_race_a_merge(world: &World) -> Result<()> {
    world.wire.tolerate(&[503]);
    let mut line = Line::open(world).await?;
    let (gone, kept) = (added(&mut line, "P8").await?, added(&mut line, "P1").await?);
    let bundles: Vec<Value> = (0..200).map(|_| provide(&gone)).collect();
    let mut accepted = 0;
    let mut merged = false;
    for (number, some) in bundles.chunks(10).enumerate() {
        let submissions = futures_util::future::join_all(some.iter().map(|bundle| world.provide(bundle)));
        let message = merge(&gone, &kept);
        let (answers, ack) = if number == 10 {
            merged = true;
            let (answers, ack) = futures_util::future::join(submissions, line.ask(&message)).await;
            (answers, Some(ack?))
        } else {
            (submissions.await, None)
        };
        if let Some(ack) = ack {
            ack.is(&["AA"], &[])?;
        }
        for answer in answers {
            let answer = answer?;
            match answer.status {
                200 => accepted += 1,
                400 => {
                    ensure!(answer.excerpt().contains("XDSUnknownPatientId"), "refused: {}", answer.excerpt())
                }
                other => bail!("answered {other}: {}", answer.excerpt()),
            }
        }
    }
    ensure!(merged && accepted >= 100, "what was submitted before the merge was accepted: {accepted}");
    let found = documents(world, &kept).await?;
    ensure!(found.len() == accepted, "{accepted} were accepted, {} are found", found.len());
    let theirs = |document: &&Value| document["subject"]["identifier"]["value"] != kept.as_str();
    let left = found.iter().filter(theirs).count();
    ensure!(left == 0, "{left} documents are not shown as the survivor's");
    ensure!(documents(world, &gone).await?.is_empty(), "nothing is left under the subsumed identifier");
    Ok(())
}

async fn markup_in_names(world: &World) -> Result<()> {
    let mut line = Line::open(world).await?;
    let id = fresh("markup");
    let marker = fresh("Marker");
    let segment = format!("PID|||{}||{marker}\u{1b}[2J<script>\u{202e}^Maja", cx(&id));
    line.ask(&adt("A01", &segment)).await?.is(&["AA"], &[])?;
    submit(world, &id).await?.expect(200)?;
    let query = format!(
        "DocumentReference?patient.identifier={}&_include=DocumentReference:patient",
        encode(&format!("urn:oid:{DOMAIN}|{id}"))
    );
    let answer = world.wire.get(&world.url(Actor::Registry, &query)).await?;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    ensure!(text.contains(&marker), "the name is kept");
    ensure!(!text.contains('\u{1b}') && !text.contains('\u{202e}'), "nothing a terminal obeys is in it");
    let log = world.subject.log(Actor::Registry).unwrap_or_default();
    ensure!(!log.contains(&marker), "nothing of the name is in the log");
    Ok(())
}

async fn letters_of_another_set(world: &World) -> Result<()> {
    let mut line = Line::open(world).await?;
    let id = fresh("letters");
    let message = adt("A01", &format!("PID|||{}||Ren@", cx(&id)));
    let message = message.replacen("|2.3.1\r", "|2.3.1||||||UNICODE UTF-8\r", 1);
    let bytes: Vec<u8> = message.bytes().map(|byte| if byte == b'@' { 0xE9 } else { byte }).collect();
    line.ask_bytes(&bytes).await?.is(&["AE"], &["102"])?;
    ensure!(!is_known(world, &id).await?, "nothing was stored");
    Ok(())
}

async fn ten_thousand_identifiers(world: &World) -> Result<()> {
    let begin = Instant::now();
    let id = fresh("many");
    let all: Vec<String> = (0..10_000).map(|number| cx(&format!("{id}-{number}"))).collect();
    let message = adt("A01", &format!("PID|||{}", all.join("~")));
    refuses(world, &message, &format!("{id}-1"), &["AE", "AR"], &[]).await?;
    ensure!(begin.elapsed() < Duration::from_secs(2), "it took {:?}", begin.elapsed());
    Ok(())
}

async fn idle_connections(world: &World) -> Result<()> {
    let mut idle = Vec::new();
    for _ in 0..CONNECTIONS {
        idle.push(Line::open(world).await?);
    }
    let mut line = Line::open(world).await?;
    added(&mut line, "patient").await.context("a new client is served within the idle timeout")?;
    for mut one in idle {
        ensure!(one.hear().await?.is_none(), "an idle connection is closed");
    }
    Ok(())
}

async fn plain_where_tls_is_spoken(world: &World) -> Result<()> {
    if !world.subject.is_own() {
        return Err(skip("whether another server speaks TLS is not known"));
    }
    let folder = tempfile::tempdir().context("making a folder")?;
    let made =
        rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).context("making a certificate")?;
    let (certificate, key) = (folder.path().join("mllp.pem"), folder.path().join("mllp.key"));
    std::fs::write(&certificate, made.cert.pem()).context("writing a certificate")?;
    std::fs::write(&key, made.signing_key.serialize_pem()).context("writing a key")?;
    let set = [
        format!("identity.authorities={AUTHORITIES:?}"),
        "mllp.listen=127.0.0.1:0".to_owned(),
        format!("mllp.tls.certificate={}", certificate.display()),
        format!("mllp.tls.key={}", key.display()),
    ];
    let plan = Plan { set: set.map(|value| (Actor::Registry, value)).into(), ..Plan::default() };
    let region = Region::start(&plan)?;
    let ready = format!("{}/readyz?verbose", region.admin(Actor::Registry));
    let ready = world.wire.get(&ready).await?.expect(200)?.to_string();
    let rest = ready.split("HL7 v2 at ").nth(1).context("/readyz tells where HL7 v2 is listened to")?;
    let place = rest.split(", identifiers").next().unwrap_or_default();
    let address = place.strip_suffix(", TLS").with_context(|| format!("TLS is spoken at {place}"))?;
    let mut line =
        Line(TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?);
    let id = fresh("plain");
    line.send(&framed(adt("A01", &pid(&id)).as_bytes())).await?;
    ensure!(line.hear().await?.is_none(), "a plain connection is closed without an answer");
    // The log is gathered by a thread of its own, which may be behind the connection.
    let says_why = |log: &str| log.contains("it is plain, and this listener speaks TLS only");
    let mut log = region.log(Actor::Registry);
    for _ in 0..100 {
        if says_why(&log) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        log = region.log(Actor::Registry);
    }
    ensure!(says_why(&log), "the log says why: {log}");
    ensure!(!log.contains("\"ITI-8\""), "nothing was heard: {log}");
    Ok(())
}

async fn fed_patient_is_found(world: &World) -> Result<()> {
    let mut line = Line::open(world).await?;
    let id = fresh("new");
    let refused = submit(world, &id).await?;
    refused.refused_with(&[400], &[], &["XDSUnknownPatientId"])?;
    line.ask(&adt("A04", &pid(&id))).await?.is(&["AA"], &[])?;
    submit(world, &id).await?.expect(200)?;
    ensure!(documents(world, &id).await?.len() == 1, "the document is found by the identifier");
    // A patient of the identity source is known here already, and stays who it is.
    let Person { value, .. } = &world.p3;
    line.ask(&adt("A01", &pid(value))).await?.is(&["AA"], &[])?;
    line.ask(&adt("A08", &pid(value))).await?.is(&["AA"], &[])?;
    Ok(())
}

async fn merged_patients_are_one(world: &World) -> Result<()> {
    let mut line = Line::open(world).await?;
    let mut ids = Vec::new();
    for name in ["A", "B", "C"] {
        let id = added(&mut line, name).await?;
        submit(world, &id).await?.expect(200)?;
        ids.push(id);
    }
    line.ask(&merge(&ids[0], &ids[1])).await?.is(&["AA"], &[])?;
    line.ask(&merge(&ids[1], &ids[2])).await?.is(&["AA"], &[])?;
    ensure!(documents(world, &ids[2]).await?.len() == 3, "the survivor has what belonged to the whole chain");
    for gone in &ids[..2] {
        ensure!(documents(world, gone).await?.is_empty(), "nothing is found by a subsumed identifier");
        submit(world, gone).await?.refused_with(&[400], &[], &["XDSUnknownPatientId"])?;
        line.ask(&merge(gone, &world.p3.value)).await?.is(&["AE", "AR"], &[])?;
    }
    line.ask(&merge(&fresh("unknown"), &ids[2])).await?.is(&["AE", "AR"], &[])?;
    Ok(())
}

async fn versions_and_line_ends(world: &World) -> Result<()> {
    let mut line = Line::open(world).await?;
    for (version, end) in [("2.3", "\n"), ("2.3.1", "\r\n"), ("2.5", "\r"), ("2.5.1", "\n"), ("2.8", "\r")] {
        let id = fresh("version");
        let message = adt("A01", &pid(&id)).replacen("|2.3.1\r", &format!("|{version}\r"), 1);
        let message = format!("\u{feff}{}", message.replace('\r', end));
        let ack = line.ask(&message).await?;
        ack.is(&["AA"], &[])?;
        ensure!(ack.text.contains(&format!("|{version}\r")), "{} is in the version of the message", ack.text);
        ensure!(is_known(world, &id).await?, "the patient is known");
        let refused = line.ask(&message.replace("PID|||", "PID|||x^^^&9.9&ISO||")).await?;
        refused.is(&["AE"], &["204"])?;
    }
    Ok(())
}

/// Messages of others, as the index of the corpus has them.
pub(super) fn corpus_cases(data: &Path) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for folder in ["ipf-hl7/", "toolkit2-adt/", "openhie-cr/HL7/", "xds-registry-to-fhir/", "v2-to-fhir/"] {
        for (file, expected) in index(data, folder)? {
            let message = file.ends_with(".hl7") || file.ends_with(".txt");
            if !message {
                continue;
            }
            let path = data.join("corpus").join(&file);
            let name = file.clone();
            cases.push(make(&format!("iti8/{name}"), move |world| {
                let (path, name, expected) = (path.clone(), file.clone(), expected.clone());
                Box::pin(async move { of_others(world, &path, &name, &expected).await })
            }));
        }
    }
    Ok(cases)
}

/// Why a message is none that a registry is asked by, or its expectation none for a registry.
fn not_applicable(name: &str, message: &str) -> Option<&'static str> {
    let kind = message.split('|').nth(8).unwrap_or_default();
    match name.rsplit('/').next().unwrap_or(name) {
        "OHIE-CR-03-10.txt" | "OHIE-CR-03-20.txt" => Some(
            "AR is expected of a client registry; the catalogue of bad input (hl7v2-10) expects AA or AE of a document registry",
        ),
        "OHIE-CR-17-30.txt" => Some(
            "a client registry knows which sender owns which authority; a document registry is fed by one source",
        ),
        _ if kind.starts_with("QBP") => {
            Some("a query of PIX or PDQ (ITI-9, ITI-21) is for an identity source (openhie-cr)")
        }
        _ if kind.starts_with("RSP") => Some("an answer, not a request"),
        _ => None,
    }
}

async fn of_others(world: &World, path: &Path, name: &str, expected: &str) -> Result<()> {
    let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    let id = fresh("corpus");
    let text = String::from_utf8_lossy(&bytes);
    if let Some(why) = not_applicable(name, &text) {
        return Err(skip(why));
    }
    let text = text.replace("$PATIENTID", &id).replace("$MPI-OID", DOMAIN).replace("$pid$", &cx(&id));
    let mut line = Line::open(world).await?;
    if name == "ipf-hl7/iti8-a40.hl7" {
        // Both have to be known before they can be one.
        for number in ["7200117317", "7200117359"] {
            line.ask(&adt("A01", &format!("PID|||{number}^^^BBB"))).await?.is(&["AA"], &[])?;
        }
    }
    if name.ends_with("OHIE-CR-17-40.txt") {
        line.ask(&adt("A01", "PID|||RJ-292^^^TEST_A")).await?.is(&["AA"], &[])?;
    }
    let ack = line.ask(&text).await?;
    match name {
        "v2-to-fhir/Message.hl7_MDM_T02.txt" => ack.is(&["AR"], &["200"])?,
        "ipf-hl7/adt-a31-1.hl7" => ack.is(&["AR"], &["201"])?,
        "ipf-hl7/hl7v2message.hl7" => ack.is(&["AE"], &["101"])?,
        _ => {
            let expected: Vec<&str> = expected
                .split(|c: char| !c.is_ascii_uppercase())
                .filter(|code| matches!(*code, "AA" | "AE" | "AR"))
                .collect();
            ensure!(!expected.is_empty(), "the index says what is expected");
            ack.is(&expected, &[])?;
        }
    }
    if text.contains(&id) && ack.code == "AA" {
        ensure!(is_known(world, &id).await?, "the patient is known");
    }
    Ok(())
}
