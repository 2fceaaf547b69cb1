//! headwater-agent
