//! headwater-llm
