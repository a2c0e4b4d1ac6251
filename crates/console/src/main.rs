//! `console`: what is seen and remembered of the scaler, without rights.

fn main() {}
