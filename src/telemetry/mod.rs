//! What larder tells about itself while it runs. A leaf: every room but `oci` may use it.

pub mod log;
