//! Every engine against a plain map, over random operations.
