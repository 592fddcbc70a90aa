//! The body of a submission as it comes in: documents are decoded as they pass, the rest is kept.

mod data;

use bytes::Bytes;
use memchr::memchr2;
use serde_json::Value;
use xds::{Finding, Findings, Place, Rule, Side};

use self::data::Data;
use crate::json;

/// Limits of a submission.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of the Bundle without its documents.
    pub body: u64,
    /// Bytes of one document.
    pub document: u64,
    /// Bytes of all documents.
    pub submission: u64,
    /// Documents.
    pub documents: u64,
    /// Entries.
    pub entries: u64,
}

/// Where the documents are in a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A Bundle: in its Binaries, `entry[n].resource.data` [ITI-65].
    Bundle,
    /// A Bundle, bare or as the `resource` of Parameters: in its Binaries (`$validate`).
    BundleOrParameters,
    /// A DocumentReference: in `content[n].attachment.data` [ITI-105].
    DocumentReference,
    /// Parameters: in `parameter[n].resource.data` [ITI-106].
    Parameters,
}

impl Form {
    /// The data of the n-th, as a FHIRPath.
    fn data(self, n: usize) -> String {
        match self {
            Form::Bundle | Form::BundleOrParameters => format!("Bundle.entry[{n}].resource.data"),
            Form::DocumentReference => format!("DocumentReference.content[{n}].attachment.data"),
            Form::Parameters => format!("Parameters.parameter[{n}].resource.data"),
        }
    }

    /// What holds the documents, as a FHIRPath.
    fn list(self) -> &'static str {
        match self {
            Form::Bundle | Form::BundleOrParameters => "Bundle.entry",
            Form::DocumentReference => "DocumentReference.content",
            Form::Parameters => "Parameters.parameter",
        }
    }
}

/// What comes out of the reader while the body goes in.
#[derive(Debug)]
pub enum Event {
    /// The data of a document begins: index of its entry, content or parameter.
    Begin(usize),
    /// Its next bytes, decoded.
    Bytes(Bytes),
    /// It ends.
    End,
}

/// A pull parser over the body: the base64 of each document (by default `entry[n].resource.data`, see [`Form`]) is decoded as
/// it passes and given out as events; everything else is kept (at most `limits.body` bytes) with the data left out.
#[derive(Debug)]
pub struct Reader {
    limits: Limits,
    form: Form,
    /// The Bundle without its data: each is left as an empty string.
    shell: Vec<u8>,
    /// Where data was left out, and how much: for the columns of findings.
    cuts: Vec<(usize, u64)>,
    frames: Vec<Frame>,
    state: State,
    /// The member name that is being read, as far as it can be one we look for.
    name: Vec<u8>,
    data: Option<Data>,
    entries: u64,
    documents: u64,
    total: u64,
}

/// Where the lexer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Between tokens; true if a string here would be a member name.
    Between(bool),
    /// In a member name; true behind a backslash.
    Name(bool),
    /// In another string; true behind a backslash.
    Text(bool),
    /// In the data of a document.
    Data,
}

/// An object or array that is open.
#[derive(Debug)]
struct Frame {
    array: bool,
    /// What is on the way to the data.
    spot: Spot,
    /// The member whose value comes next (objects).
    member: Member,
}

/// Where on the way to the data a container lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spot {
    /// The resource that is the body, or that stands for it.
    Root,
    /// What holds the documents, and is counted: `entry`, `content` or `parameter`.
    List,
    /// One of them.
    Item,
    /// `parameter`, of a Bundle in Parameters.
    Wrappers,
    /// One of them.
    Wrapper,
    /// What has the data as a member: `resource` or `attachment`.
    Holder,
    Elsewhere,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Member {
    Entry,
    Content,
    Parameter,
    Resource,
    Attachment,
    Data,
    Other,
}

/// Containers deeper than this are refused here already, so that a bomb costs nothing.
const DEPTH: usize = 64;

impl Reader {
    /// A reader at the beginning of a body.
    pub fn new(limits: Limits) -> Reader {
        Reader::of(Form::Bundle, limits)
    }

    /// A reader at the beginning of a body that has its documents elsewhere than a Bundle of ITI-65.
    pub fn of(form: Form, limits: Limits) -> Reader {
        Reader {
            limits,
            form,
            shell: Vec::new(),
            cuts: Vec::new(),
            frames: Vec::new(),
            state: State::Between(false),
            name: Vec::new(),
            data: None,
            entries: 0,
            documents: 0,
            total: 0,
        }
    }

    /// Takes the next bytes of the body.
    pub fn feed(&mut self, chunk: &[u8], events: &mut Vec<Event>) -> Result<(), Findings> {
        self.pass(chunk, events).map_err(|finding| vec![finding.by(Side::Repository)])
    }

    /// Ends the body: the Bundle without its data, as JSON text, strictly parsed.
    pub fn finish(self) -> Result<Value, Findings> {
        json::read(&self.shell, &json::Limits::default())
            .map_err(|fault| vec![fault.finding(&self.shell, &self.cuts).by(Side::Repository)])
    }

    fn pass(&mut self, chunk: &[u8], events: &mut Vec<Event>) -> Result<(), Finding> {
        let mut at = 0;
        // Bytes from here to `at` belong to the shell and are not copied yet.
        let mut kept = 0;
        while at < chunk.len() {
            match self.state {
                State::Between(name) => {
                    if let Some(begin) = self.token(chunk[at], name)? {
                        self.keep(&chunk[kept..=at])?;
                        events.push(Event::Begin(begin));
                        kept = at + 1;
                    }
                    at += 1;
                }
                State::Name(escaped) => {
                    self.name_byte(chunk[at], escaped);
                    at += 1;
                }
                State::Text(escaped) => at += self.text(&chunk[at..], escaped),
                State::Data => {
                    at += self.data(&chunk[at..], events)?;
                    kept = at;
                }
            }
        }
        self.keep(&chunk[kept.min(at)..at])
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), Finding> {
        if self.shell.len() as u64 + bytes.len() as u64 > self.limits.body {
            return Err(limit(
                Rule::TooLong,
                Place::whole(),
                "The Bundle without its documents is longer than",
                self.limits.body,
                "max_body_bytes",
            ));
        }
        self.shell.extend_from_slice(bytes);
        Ok(())
    }

    /// Takes a byte between strings; answers the entry whose data begins with it.
    fn token(&mut self, byte: u8, name: bool) -> Result<Option<usize>, Finding> {
        match byte {
            b'{' | b'[' => self.open(byte == b'[')?,
            b'}' | b']' => {
                self.frames.pop();
                self.state = State::Between(false);
            }
            b',' => self.state = State::Between(self.frames.last().is_some_and(|frame| !frame.array)),
            b':' => self.state = State::Between(false),
            b'"' if name => {
                self.name.clear();
                self.state = State::Name(false);
            }
            b'"' => {
                let frame = self.frames.last();
                if frame.is_some_and(|frame| frame.spot == Spot::Holder && frame.member == Member::Data) {
                    return self.begin().map(Some);
                }
                self.state = State::Text(false);
            }
            _ => {}
        }
        Ok(None)
    }

    fn open(&mut self, array: bool) -> Result<(), Finding> {
        if self.frames.len() == DEPTH {
            let text = format!("The body is nested deeper than {DEPTH} levels.");
            return Err(Finding::error(Rule::Structure, Place::whole(), text));
        }
        let spot = self.spot(array);
        if spot == Spot::Item {
            self.entries += 1;
            if self.entries > self.limits.entries {
                let (place, most) = (Place::at(self.form.list()), self.limits.entries);
                return Err(limit(
                    Rule::TooCostly,
                    place,
                    "The Bundle has more entries than",
                    most,
                    "max_entries",
                ));
            }
        }
        self.frames.push(Frame { array, spot, member: Member::Other });
        self.state = State::Between(!array);
        Ok(())
    }

    /// What the container that opens here is.
    fn spot(&self, array: bool) -> Spot {
        let Some(Frame { spot, member, .. }) = self.frames.last() else {
            return if array { Spot::Elsewhere } else { Spot::Root };
        };
        let lists = match self.form {
            Form::Bundle | Form::BundleOrParameters => Member::Entry,
            Form::DocumentReference => Member::Content,
            Form::Parameters => Member::Parameter,
        };
        let holds = match self.form {
            Form::DocumentReference => Member::Attachment,
            Form::Bundle | Form::BundleOrParameters | Form::Parameters => Member::Resource,
        };
        let wrapped = self.form == Form::BundleOrParameters;
        match (spot, member, array) {
            (Spot::Root, member, true) if *member == lists => Spot::List,
            (Spot::Root, Member::Parameter, true) if wrapped => Spot::Wrappers,
            // An array in the place of an entry is counted as well; it holds no document.
            (Spot::List, _, _) => Spot::Item,
            (Spot::Item, member, false) if *member == holds => Spot::Holder,
            (Spot::Wrappers, _, false) => Spot::Wrapper,
            (Spot::Wrapper, Member::Resource, false) => Spot::Root,
            _ => Spot::Elsewhere,
        }
    }

    fn begin(&mut self) -> Result<usize, Finding> {
        self.documents += 1;
        if self.documents > self.limits.documents {
            let place = Place::at(self.form.list());
            let most = self.limits.documents;
            return Err(limit(
                Rule::TooCostly,
                place,
                "The Bundle has more documents than",
                most,
                "max_documents",
            ));
        }
        self.data = Some(Data::default());
        self.state = State::Data;
        Ok(self.entry())
    }

    /// Index of the entry that is being read.
    fn entry(&self) -> usize {
        usize::try_from(self.entries.saturating_sub(1)).unwrap_or(usize::MAX)
    }

    fn name_byte(&mut self, byte: u8, escaped: bool) {
        match (byte, escaped) {
            (b'"', false) => {
                self.state = State::Between(false);
                let member = member(&self.name);
                if let Some(frame) = self.frames.last_mut() {
                    frame.member = member;
                }
            }
            _ => {
                // The longest name we look for, each letter written as an escape, has 60 characters.
                if self.name.len() < 64 {
                    self.name.push(byte);
                }
                self.state = State::Name(byte == b'\\' && !escaped);
            }
        }
    }

    /// Passes over a string; answers how many bytes.
    fn text(&mut self, chunk: &[u8], escaped: bool) -> usize {
        if escaped {
            self.state = State::Text(false);
            return 1;
        }
        match memchr2(b'"', b'\\', chunk) {
            None => chunk.len(),
            Some(at) => {
                self.state = if chunk[at] == b'"' { State::Between(false) } else { State::Text(true) };
                at + 1
            }
        }
    }

    /// Takes the data of a document; answers how many bytes of the chunk were its.
    fn data(&mut self, chunk: &[u8], events: &mut Vec<Event>) -> Result<usize, Finding> {
        let (entry, form) = (self.entry(), self.form);
        let Some(data) = &mut self.data else { return Ok(chunk.len()) };
        let mut decoded = Vec::with_capacity(chunk.len().min(1 << 20) / 4 * 3 + 4);
        let taken = data.take(chunk, &mut decoded);
        data.bytes += decoded.len() as u64;
        self.total += decoded.len() as u64;
        let place = || Place::at(form.data(entry));
        if data.bytes > self.limits.document {
            let most = self.limits.document;
            return Err(limit(
                Rule::TooLong,
                place(),
                "The document is longer than",
                most,
                "max_document_bytes",
            ));
        }
        if self.total > self.limits.submission {
            let text = "The documents together are longer than";
            return Err(limit(Rule::TooLong, place(), text, self.limits.submission, "max_submission_bytes"));
        }
        let invalid = || Finding::error(Rule::Value, place(), "data is not base64.");
        let (used, ended) = taken.map_err(|()| invalid())?;
        if !decoded.is_empty() {
            events.push(Event::Bytes(Bytes::from(decoded)));
        }
        if ended {
            if let Some(data) = self.data.take() {
                if !data.complete() {
                    return Err(invalid());
                }
                self.cuts.push((self.shell.len(), data.characters));
            }
            events.push(Event::End);
            self.state = State::Between(false);
            self.shell.push(b'"');
        }
        Ok(used)
    }
}

/// Which member a name is; escapes resolved, so that nobody hides one.
fn member(name: &[u8]) -> Member {
    let known = |name: &[u8]| match name {
        b"entry" => Member::Entry,
        b"content" => Member::Content,
        b"parameter" => Member::Parameter,
        b"attachment" => Member::Attachment,
        b"resource" => Member::Resource,
        b"data" => Member::Data,
        _ => Member::Other,
    };
    if !name.contains(&b'\\') {
        return known(name);
    }
    let quoted = [b"\"", name, b"\""].concat();
    serde_json::from_slice::<String>(&quoted).map_or(Member::Other, |name| known(name.as_bytes()))
}

fn limit(rule: Rule, place: Place, what: &str, most: u64, key: &str) -> Finding {
    Finding::error(rule, place, format!("{what} {most} (server.limits.{key})."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    const LIMITS: Limits =
        Limits { body: 1 << 20, document: 1 << 20, submission: 2 << 20, documents: 4, entries: 5 };

    /// The documents by entry, and the shell; the body cut at these positions.
    type Outcome = Result<(Vec<(usize, Vec<u8>)>, Value), Findings>;

    fn read_in(pieces: &[&[u8]], limits: Limits) -> Outcome {
        let mut reader = Reader::new(limits);
        let mut documents: Vec<(usize, Vec<u8>)> = Vec::new();
        for piece in pieces {
            let mut events = Vec::new();
            reader.feed(piece, &mut events)?;
            for event in events {
                match event {
                    Event::Begin(entry) => documents.push((entry, Vec::new())),
                    Event::Bytes(bytes) => documents.last_mut().unwrap().1.extend_from_slice(&bytes),
                    Event::End => {}
                }
            }
        }
        Ok((documents, reader.finish()?))
    }

    fn read(text: &str) -> Outcome {
        read_in(&[text.as_bytes()], LIMITS)
    }

    fn bundle(data: &str) -> String {
        format!(
            r#"{{"resourceType":"Bundle","data":"x","entry":[{{"resource":{{"resourceType":"List","title":"\"data\":"}}}},
            {{"fullUrl":"urn:uuid:1","resource":{{"nested":{{"data":"kept"}},"data":"{data}","resourceType":"Binary"}}}}]}}"#
        )
    }

    #[test]
    fn data_is_decoded_and_left_out() {
        let (documents, shell) = read(&bundle("SGVsbG8gV29ybGQ=")).unwrap();
        assert_eq!(documents, [(1, b"Hello World".to_vec())]);
        assert_eq!(shell["entry"][1]["resource"]["data"], "");
        assert_eq!(shell["entry"][1]["resource"]["nested"]["data"], "kept");
        assert_eq!(shell["data"], "x");
        assert_eq!(shell["entry"][0]["resource"]["title"], "\"data\":");
    }

    #[test]
    fn each_form_has_its_documents_in_its_own_place() {
        let cases = [
            (Form::DocumentReference, r#"{"content":[{"attachment":{"data":"SGVsbG8="}}],"data":"x"}"#, 0),
            (Form::Parameters, r#"{"parameter":[{"name":"x"},{"resource":{"data":"SGVsbG8="}}]}"#, 1),
            (Form::BundleOrParameters, r#"{"entry":[{},{"resource":{"data":"SGVsbG8="}}]}"#, 1),
            (
                Form::BundleOrParameters,
                r#"{"parameter":[{"resource":{"entry":[{"resource":{"data":"SGVsbG8="}}]}}]}"#,
                0,
            ),
        ];
        for (form, text, index) in cases {
            let (mut events, mut reader) = (Vec::new(), Reader::of(form, LIMITS));
            reader.feed(text.as_bytes(), &mut events).unwrap();
            assert!(matches!(events[0], Event::Begin(n) if n == index), "{form:?} {events:?}");
            assert!(matches!(&events[1], Event::Bytes(bytes) if bytes[..] == b"Hello"[..]), "{form:?}");
            assert!(!reader.finish().unwrap().to_string().contains("SGVs"), "{form:?}");
        }
        // In a FHIR document that travels in Parameters, the Binaries belong to it.
        let document = r#"{"parameter":[{"resource":{"entry":[{"resource":{"data":"SGVsbG8="}}]}}]}"#;
        let (mut events, mut reader) = (Vec::new(), Reader::of(Form::Parameters, LIMITS));
        reader.feed(document.as_bytes(), &mut events).unwrap();
        assert!(events.is_empty());
        assert!(reader.finish().unwrap().to_string().contains("SGVs"));
    }

    #[test]
    fn line_breaks_and_escapes_within_base64_are_resolved() {
        let (documents, _) = read(&bundle(r"SGVs\nbG8g\r\n V29y\u0062GQ\u003d\t")).unwrap();
        assert_eq!(documents[0].1, b"Hello World");
        let (documents, _) = read(&bundle(r"\/\/79")).unwrap();
        assert_eq!(documents[0].1, STANDARD.decode("//79").unwrap());
    }

    #[test]
    fn what_is_not_base64_is_named() {
        for data in [
            "SGVsbG8*",
            "SGVsbG8",
            "S===",
            "SGVsbG8=SGVs",
            "=",
            "SGVs\u{e9}",
            r"SGVs\b",
            r"SGVs\u1234",
            "SGVsbG8===",
        ] {
            let findings = read(&bundle(data)).expect_err(data);
            assert_eq!(findings[0].rule, Rule::Value, "{data}");
            assert_eq!(findings[0].at.path, "Bundle.entry[1].resource.data");
        }
    }

    #[test]
    fn a_member_name_written_in_escapes_hides_nothing() {
        let text = bundle("SGVsbG8gV29ybGQ=").replace("\"data\":\"SG", "\"d\\u0061ta\":\"SG");
        assert_eq!(read(&text).unwrap().0, [(1, b"Hello World".to_vec())]);
    }

    #[test]
    fn an_empty_document_begins_and_ends() {
        assert_eq!(read(&bundle("")).unwrap().0, [(1, Vec::new())]);
    }

    #[test]
    fn limits_are_named() {
        let long = STANDARD.encode(vec![7; 100]);
        let refused = |limits, rule, key: &str| {
            let findings = read_in(&[bundle(&long).as_bytes()], limits).expect_err(key);
            assert_eq!(findings[0].rule, rule);
            assert!(findings[0].text.contains(key), "{}", findings[0].text);
        };
        refused(Limits { document: 99, ..LIMITS }, Rule::TooLong, "max_document_bytes");
        refused(Limits { submission: 99, ..LIMITS }, Rule::TooLong, "max_submission_bytes");
        refused(Limits { body: 99, ..LIMITS }, Rule::TooLong, "max_body_bytes");
        refused(Limits { entries: 1, ..LIMITS }, Rule::TooCostly, "max_entries");
        refused(Limits { documents: 0, ..LIMITS }, Rule::TooCostly, "max_documents");
    }

    #[test]
    fn a_syntax_error_behind_a_document_is_where_the_source_sees_it() {
        let text = r#"{"entry":[{"resource":{"data":"SGVsbG8gV29ybGQ=",}}]}"#;
        let findings = read(text).expect_err("a trailing comma");
        let column = text.find(",}").unwrap() as u64 + 2;
        assert_eq!(findings[0].at.line, Some((1, column)));
    }

    #[test]
    fn malformed_bodies_end_in_findings() {
        for text in [
            "",
            "{",
            "[",
            "}",
            "]]]",
            "{\"entry\":[{\"resource\":{\"data\":\"SG",
            "{}{}",
            "\"",
            "{\"a\" \"b\"}",
            "null",
        ] {
            let outcome = read(text);
            assert!(text == "null" || outcome.is_err(), "{text}");
        }
        let bomb = "[".repeat(100_000);
        assert_eq!(read(&bomb).expect_err("a bomb")[0].rule, Rule::Structure);
    }

    #[test]
    fn duplicates_of_data_are_refused() {
        let text = r#"{"entry":[{"resource":{"data":"SGVs","data":"SGVs"}}]}"#;
        assert_eq!(read(text).expect_err("twice")[0].rule, Rule::Structure);
    }

    #[test]
    fn every_cut_gives_the_same() {
        let text =
            bundle(r"SGVsbG8gV29ybGQ\u0067SGVs\nbG8gV29ybGQgSGVsbG8gV29ybGQgSGVsbG8gV29ybGQhISE\/IQ==");
        let whole = read(&text).unwrap();
        for cut in 0..=text.len() {
            let (head, tail) = text.as_bytes().split_at(cut);
            assert_eq!(read_in(&[head, tail], LIMITS).unwrap(), whole, "cut at {cut}");
        }
        let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
        assert_eq!(read_in(&bytes, LIMITS).unwrap(), whole);
    }

    proptest! {
        #[test]
        fn any_document_in_any_chunks_comes_out(bytes in proptest::collection::vec(any::<u8>(), 0..600), size in 1usize..90, wrap in 1usize..80) {
            let encoded = STANDARD.encode(&bytes);
            let lines: Vec<&str> = encoded.as_bytes().chunks(wrap).map(|l| std::str::from_utf8(l).unwrap()).collect();
            for data in [encoded.clone(), lines.join("\\n"), lines.join(" ")] {
                let text = bundle(&data);
                let pieces: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
                let (documents, _) = read_in(&pieces, LIMITS).unwrap();
                prop_assert_eq!(&documents[0].1, &bytes);
            }
        }

        #[test]
        fn no_input_panics(text in r#"[\[\]{}":,\\a-f/=u0 ]{0,80}"#, cut in 0usize..80) {
            let cut = cut.min(text.len());
            let (head, tail) = text.as_bytes().split_at(cut);
            let whole = read_in(&[text.as_bytes()], LIMITS).is_ok();
            prop_assert_eq!(whole, read_in(&[head, tail], LIMITS).is_ok());
        }
    }
}
