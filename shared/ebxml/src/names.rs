//! The constants of XDS.b: namespaces, and the UUIDs and URNs ebRIM says things with (ITI TF-3 4.2.5, TF-2 Appendix V).

/// Namespaces. The prefixes in brackets are those we write.
pub mod namespace {
    /// SOAP 1.2 (`soap`).
    pub const SOAP: &str = "http://www.w3.org/2003/05/soap-envelope";
    /// WS-Addressing 1.0 (`wsa`).
    pub const ADDRESSING: &str = "http://www.w3.org/2005/08/addressing";
    /// XOP (`xop`).
    pub const XOP: &str = "http://www.w3.org/2004/08/xop/include";
    /// ebRS life cycle (`lcm`).
    pub const LCM: &str = "urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0";
    /// ebRIM (`rim`).
    pub const RIM: &str = "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0";
    /// ebRS (`rs`).
    pub const RS: &str = "urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0";
    /// ebRS queries (`query`).
    pub const QUERY: &str = "urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0";
    /// XDS.b (`xds`).
    pub const XDS: &str = "urn:ihe:iti:xds-b:2007";
    /// Removal of documents, ITI-86 (`rmd`).
    pub const RMD: &str = "urn:ihe:iti:rmd:2017";
    /// HL7 v3, ITI-44 (`hl7`).
    pub const HL7: &str = "urn:hl7-org:v3";
}
