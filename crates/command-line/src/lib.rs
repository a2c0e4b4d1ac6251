//! What the command lines of the laboratory share: words such as `policy=hpa`, and the policy that
//! such a word means.

pub mod policies;
pub mod words;
