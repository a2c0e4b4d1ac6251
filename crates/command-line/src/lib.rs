//! What the command lines share: words such as `policy=hpa` of the laboratory, the policy or the file
//! that such a word means, and how results and progress are told.

pub mod files;
pub mod policies;
pub mod terminal;
pub mod words;
