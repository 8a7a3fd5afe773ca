//! Panics as log lines.

use dunlin_api::Logger;

/// Turns every panic of the process into one error line with its place. The text stays out of it: it could quote what a
/// stranger sent; whoever catches the panic logs it where that is safe.
pub fn log_panics(logger: Logger) {
    std::panic::set_hook(Box::new(move |panic| match panic.location() {
        Some(place) => logger.error(format_args!("panic at {}:{}", place.file(), place.line())),
        None => logger.error(format_args!("panic at an unknown place")),
    }));
}
