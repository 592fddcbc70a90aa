//! Whatever XDS can say survives every trip.

use proptest::prelude::*;

use crate::corpus::differences;
use crate::samples::submission;
use crate::trips::{in_xds, through_ebxml, through_fhir};

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_xds_says_arrives_at_the_registry(submission in submission()) {
        let there = through_fhir(&submission).map_err(TestCaseError::fail)?;
        prop_assert_eq!(differences(&in_xds(&submission), &in_xds(&there)), Vec::<String>::new());
    }

    #[test]
    fn whatever_xds_says_is_said_again_after_fhir(submission in submission()) {
        let there = through_fhir(&submission).map_err(TestCaseError::fail)?;
        let back = through_ebxml(&there).map_err(TestCaseError::fail)?;
        prop_assert_eq!(differences(&in_xds(&submission), &in_xds(&back)), Vec::<String>::new());
    }
}
