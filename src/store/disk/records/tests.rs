//! What the two kinds of record file promise, beyond what every store does.
