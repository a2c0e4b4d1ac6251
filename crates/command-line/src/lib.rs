//! What the command lines share: words such as `policy=hpa` of the laboratory, and the policy that
//! such a word means.

pub mod policies;
pub mod words;
