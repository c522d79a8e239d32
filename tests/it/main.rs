//! larder as a whole, against registries that run in this process.
