//! What turns, obstacles and services are to people: plain sentences, which the command line and the console both tell.
//! They are made of what is recorded, and of nothing else.

pub mod health;
pub mod sentences;
pub mod turn;
pub mod why_not;
pub mod words;
