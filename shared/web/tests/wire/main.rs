//! The server and the peer over real sockets.

mod bodies;
mod hostile;
mod peers;
mod server;
