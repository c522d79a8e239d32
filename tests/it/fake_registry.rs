//! The fake registry does what its script says.
