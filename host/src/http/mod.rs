//! HTTP/1 as bytes: a strict, sans-I/O codec. It reads heads out of buffers, tells where bodies end,
//! and writes heads with edits applied. It owns no socket, no clock and no policy.
