//! The scaler, as operators speak to it.

use host::settings::Settings;
use scaler_client::{Scaler, ScalerError};

/// The scaler of an installation with these settings, by the operators' socket.
pub(crate) fn client(settings: &Settings) -> Result<Scaler, ScalerError> {
    Scaler::new(&settings.operator_socket().to_string_lossy())
}
