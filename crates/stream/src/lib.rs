//! headwater-stream
