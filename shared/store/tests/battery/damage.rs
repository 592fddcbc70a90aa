//! What happens when files are not as they were left.
