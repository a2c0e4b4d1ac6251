//! What the console and whoever starts it agree on.

/// The variable of the console's environment that tells of the socket on which it listens.
pub const SOCKET: &str = "BELLOWS_CONSOLE";
