//! Claude: the frozen prefix, the request, the open connection, the SSE parser, the stream, the conversation memory.

pub mod wire;
