//! What is seen and remembered of the scaler, without rights.
pub mod events;
pub mod history;
pub mod samples;
pub mod series;
