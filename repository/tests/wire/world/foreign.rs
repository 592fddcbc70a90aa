//! A registry of another make: it takes ITI-42 and answers ITI-18, gives no promises, and loses answers when told to.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use super::http::{Asked, Reaction, serve};
use super::xds::attribute;

/// What becomes of the next registration.
#[derive(Debug, Clone)]
pub(crate) enum Fate {
    /// It is registered, and the answer lost.
    CommitAndLose,
    /// It is lost on its way.
    Lose,
    /// It is kept on its way, and comes in when it is let through.
    Delay,
    /// It is refused with this code.
    Refuse(&'static str),
    /// It is answered with a fault of the receiver's.
    Fault,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) script: VecDeque<Fate>,
    /// What is registered: the objects, by uniqueId of their set.
    pub(crate) registered: HashMap<String, String>,
    /// What is still on its way.
    delayed: Vec<String>,
    /// Every SubmitObjectsRequest that arrived.
    pub(crate) arrived: Vec<String>,
    /// How many of the next queries are not answered.
    pub(crate) silent: usize,
    /// Whether a set that is sent again is answered as the first time.
    pub(crate) forgiving: bool,
}

#[derive(Clone)]
pub(crate) struct ForeignRegistry {
    pub(crate) url: String,
    pub(crate) state: Arc<Mutex<State>>,
}

impl ForeignRegistry {
    pub(crate) async fn start() -> ForeignRegistry {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        let host = serve(move |asked| react(&mut shared.lock().unwrap(), &asked)).await;
        ForeignRegistry { url: format!("{host}/services/registry"), state }
    }

    /// What the next registrations come to.
    pub(crate) fn then(&self, fates: &[Fate]) {
        self.state.lock().unwrap().script.extend(fates.iter().cloned());
    }

    /// What was on its way comes in.
    pub(crate) fn let_through(&self) {
        let mut state = self.state.lock().unwrap();
        for objects in std::mem::take(&mut state.delayed) {
            let key = set_of(&objects);
            state.registered.insert(key, objects);
        }
    }

    pub(crate) fn registered(&self) -> Vec<String> {
        self.state.lock().unwrap().registered.values().cloned().collect()
    }
}

fn react(state: &mut State, asked: &Asked) -> Reaction {
    assert_eq!((asked.method.as_str(), asked.target.as_str()), ("POST", "/services/registry"));
    let message = String::from_utf8(asked.body.clone()).unwrap();
    let id =
        between(&message, "<wsa:MessageID>", "</wsa:MessageID>").expect("a message has an id").to_owned();
    if message.contains("urn:ihe:iti:2007:RegistryStoredQuery") {
        return query(state, &message, &id);
    }
    assert!(message.contains("urn:ihe:iti:2007:RegisterDocumentSet-b"), "{message}");
    assert!(asked.header("content-type").unwrap().starts_with("application/soap+xml"));
    let objects =
        between(&message, "<rim:RegistryObjectList>", "</rim:RegistryObjectList>").unwrap().to_owned();
    state.arrived.push(objects.clone());
    let key = set_of(&objects);
    match state.script.pop_front() {
        Some(Fate::Lose) => return Reaction::Close,
        Some(Fate::Delay) => {
            state.delayed.push(objects);
            return Reaction::Close;
        }
        Some(Fate::Fault) => {
            let fault = "<s:Fault><s:Code><s:Value>s:Receiver</s:Value></s:Code><s:Reason><s:Text xml:lang=\"en\">down</s:Text>\
                         </s:Reason></s:Fault>";
            return answer(500, &id, fault);
        }
        Some(Fate::Refuse(code)) => return answer(200, &id, &refusal(code)),
        Some(Fate::CommitAndLose) if !state.registered.contains_key(&key) => {
            state.registered.insert(key, objects);
            return Reaction::Close;
        }
        Some(Fate::CommitAndLose) | None => {}
    }
    if state.registered.contains_key(&key) {
        if state.forgiving {
            return answer(200, &id, &success());
        }
        return answer(200, &id, &refusal("XDSDuplicateUniqueIdInRegistry"));
    }
    state.registered.insert(key, objects);
    answer(200, &id, &success())
}

const RS: &str = "xmlns:rs=\"urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0\"";
const STATUS: &str = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:";

fn query(state: &mut State, message: &str, id: &str) -> Reaction {
    if state.silent > 0 {
        state.silent -= 1;
        return Reaction::Close;
    }
    assert!(message.contains("urn:uuid:e8e3cb2c-e39c-46b9-99e4-c12f57260b83"), "{message}");
    let key = between(message, "<rim:Value>'", "'</rim:Value>").expect("a set is asked for by its uniqueId");
    let objects = state.registered.get(key).cloned().unwrap_or_default();
    let body = format!(
        "<query:AdhocQueryResponse xmlns:query=\"urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0\" \
         xmlns:rim=\"urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0\" status=\"{STATUS}Success\"><rim:RegistryObjectList>{objects}\
         </rim:RegistryObjectList></query:AdhocQueryResponse>"
    );
    answer(200, id, &body)
}

fn success() -> String {
    format!("<rs:RegistryResponse {RS} status=\"{STATUS}Success\"/>")
}

fn refusal(code: &str) -> String {
    format!(
        "<rs:RegistryResponse {RS} status=\"{STATUS}Failure\"><rs:RegistryErrorList><rs:RegistryError errorCode=\"{code}\" \
         codeContext=\"so says the registry\" severity=\"urn:oasis:names:tc:ebxml-regrep:ErrorSeverityType:Error\"/>\
         </rs:RegistryErrorList></rs:RegistryResponse>"
    )
}

fn answer(status: u16, relates_to: &str, body: &str) -> Reaction {
    let body = format!(
        "<s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" xmlns:a=\"http://www.w3.org/2005/08/addressing\"><s:Header>\
         <a:RelatesTo>{relates_to}</a:RelatesTo></s:Header><s:Body>{body}</s:Body></s:Envelope>"
    );
    let headers = vec![("content-type".to_owned(), "application/soap+xml; charset=UTF-8".to_owned())];
    Reaction::Answer { status, headers, body }
}

/// uniqueId of the submission set among these objects.
fn set_of(objects: &str) -> String {
    let at = objects.find("urn:uuid:96fdda7c-d067-4183-912e-bf5ee74998a8").expect("a set has a uniqueId");
    let start = objects[..at].rfind('<').unwrap();
    attribute(&objects[start..], "value").unwrap()
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    text.split_once(before)?.1.split_once(after).map(|(found, _)| found)
}
