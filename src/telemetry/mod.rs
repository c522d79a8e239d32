//! What larder tells about itself while it runs. A leaf: every room but `oci` may use it.

mod causes;
pub mod log;

pub use causes::with_causes;
