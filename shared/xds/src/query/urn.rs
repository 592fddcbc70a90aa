//! The URNs that stored queries name things by (TF-3 4.2.2, 4.2.3.2.2).

use crate::types::{AssociationType, Availability};

const APPROVED: &str = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved";
const DEPRECATED: &str = "urn:oasis:names:tc:ebxml-regrep:StatusType:Deprecated";

/// Every association type with its URN.
const ASSOCIATIONS: &[(AssociationType, &str)] = &[
    (AssociationType::HasMember, "urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember"),
    (AssociationType::Replace, "urn:ihe:iti:2007:AssociationType:RPLC"),
    (AssociationType::Transform, "urn:ihe:iti:2007:AssociationType:XFRM"),
    (AssociationType::TransformReplace, "urn:ihe:iti:2007:AssociationType:XFRM_RPLC"),
    (AssociationType::Append, "urn:ihe:iti:2007:AssociationType:APND"),
    (AssociationType::Signs, "urn:ihe:iti:2007:AssociationType:signs"),
    (AssociationType::IsSnapshotOf, "urn:ihe:iti:2010:AssociationType:IsSnapshotOf"),
];

/// The status of a URN; none if it is not one.
pub fn status(urn: &str) -> Option<Availability> {
    match urn {
        APPROVED => Some(Availability::Approved),
        DEPRECATED => Some(Availability::Deprecated),
        _ => None,
    }
}

/// The URN of a status.
pub fn status_urn(status: Availability) -> &'static str {
    match status {
        Availability::Approved => APPROVED,
        Availability::Deprecated => DEPRECATED,
    }
}

/// The association type of a URN; none if it is not one.
pub fn association_type(urn: &str) -> Option<AssociationType> {
    ASSOCIATIONS.iter().find(|(_, known)| *known == urn).map(|(kind, _)| *kind)
}

/// The URN of an association type.
pub fn association_urn(kind: AssociationType) -> &'static str {
    ASSOCIATIONS.iter().find(|(known, _)| *known == kind).map_or("", |(_, urn)| urn)
}
