//! Provide Document Bundle [ITI-65], and the same without bytes: registration in FHIR [ITI-42].

mod answer;
mod compose;
mod digest;
mod documents;
mod members;
mod patch;
mod provided;
mod reader;
mod request;

pub use answer::{EntryReceipt, read_response, write_response};
pub(crate) use members::registered;
pub use patch::Patched;
pub use provided::{Measured, Origin, Provided, Role, resolve, write_registration};
pub use reader::{Event, Form, Limits, Reader};
pub(crate) use request::attachment;
pub use request::{Door, local_subject, local_subjects, read_request, read_request_in};
