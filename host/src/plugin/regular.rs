//! Opening files that come to an end.

use std::{fs::File, io, path::Path};

/// Opens a regular file. Opening a named pipe waits for whoever writes into it, and with it all that is done
/// after, so it is refused unopened.
pub(super) fn open(path: &Path) -> io::Result<File> {
    match path.metadata()?.is_file() {
        true => File::open(path),
        false => Err(io::Error::other("it is not a regular file")),
    }
}
