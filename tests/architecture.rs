//! Checks which room uses which.
