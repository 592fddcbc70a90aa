//! What a submission does to what is known: pure, so that `$validate` is the same path without the last step.
