//! The `headwater` binary.

fn main() {
    headwater::cli::main()
}
