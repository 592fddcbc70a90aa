//! The rules of the framework that need nothing but the submission itself.
