//! headwater-client
