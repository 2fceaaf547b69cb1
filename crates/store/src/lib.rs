//! headwater-store
