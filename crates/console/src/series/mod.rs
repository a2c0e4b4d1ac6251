//! Figures over time: turns become seconds, and seconds minutes. Pure: the time is that of the turns.

pub mod answers;
pub mod encoding;
pub mod figure;
pub mod point;
pub mod seconds;
#[cfg(test)]
mod tests;
