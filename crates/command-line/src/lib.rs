//! What the programs' command lines share: words such as `policy=hpa`, the policy or the file that
//! such a word means, numbers, services' files, and how results and progress are printed.

pub mod files;
pub mod numbers;
pub mod policies;
pub mod services;
pub mod terminal;
pub mod words;
